import AdaShareDeviceLayer
import Testing

@testable import AdaShareProfiling
@testable import AdaShareTraining
@testable import AdaShareTuning

/// What the skip benchmark calls ideal, from times written down by hand.
@Suite struct KernelTimesTests {
    private static func entry(_ label: String, _ kernel: String, milliseconds: UInt64) -> ProfileEntry {
        ProfileEntry(
            label: label, kernelName: kernel, queuedNanoseconds: 0, startNanoseconds: 1_000_000,
            endNanoseconds: (1 + milliseconds) * 1_000_000)
    }

    private static let reference = KernelTimes([
        entry("blocks.0.conv1 @all", "gather", milliseconds: 7),
        entry("blocks.0.conv1 @all", "sum", milliseconds: 1),
        entry("blocks.1.conv1 @all", "gather", milliseconds: 20),
        // One place launched three times by one run: 4 ms each.
        entry("head", "gather", milliseconds: 3), entry("head", "gather", milliseconds: 4),
        entry("head", "gather", milliseconds: 5),
    ])

    private static func key(_ label: String, _ kernel: String) -> KernelTimes.Key {
        KernelTimes.Key(label: label, kernel: kernel)
    }

    @Test func idleIsWhatNoLaunchRanIn() {
        func entry(_ start: UInt64, _ end: UInt64) -> ProfileEntry {
            ProfileEntry(
                label: "", kernelName: "", queuedNanoseconds: 0, startNanoseconds: start, endNanoseconds: end)
        }
        #expect([ProfileEntry]().idleShare == 0)
        #expect([entry(10, 20), entry(20, 30)].idleShare == 0)
        #expect([entry(10, 20), entry(30, 50)].idleShare == 0.25)
        #expect([entry(30, 50), entry(10, 20), entry(15, 25)].idleShare == 0.125, "two at once, out of order")
        #expect([entry(10, 40), entry(15, 20), entry(45, 50)].idleShare == 0.125, "one inside another")
    }

    @Test func idealIsTheSumOverTheKernelsStillNeeded() {
        let times = Self.reference
        #expect(times.ideal([]) == 0)
        #expect(times.ideal([Self.key("blocks.0.conv1 @depth", "gather")]) == 7)
        #expect(times.ideal([Self.key("blocks.0.conv1 @depth", "sum")]) == 1)
        // Needed once per task that sees another input.
        let needed = ["depth", "normals", "segmentation"].map { Self.key("blocks.1.conv1 @\($0)", "gather") }
        #expect(times.ideal(needed) == 60)
        #expect(times.ideal(needed + [Self.key("head", "gather")]) == 64)
    }

    @Test func fallbackCountsOnlyWhatTheReferenceDoesNotHave() {
        let mixed = KernelTimes([
            Self.entry("blocks.0.mix @depth", "mix", milliseconds: 2),
            Self.entry("blocks.0.conv1 @depth", "gather", milliseconds: 100),
        ])
        let keys = [Self.key("blocks.0.mix @all", "mix"), Self.key("blocks.0.conv1", "gather")]
        #expect(Self.reference.ideal(keys) == 7, "unknown kernels count nothing")
        #expect(Self.reference.ideal(keys, fallback: mixed) == 9)
    }

    @Test func medianOfEvenAndOddCounts() {
        #expect(median([3, 1, 2]) == 2)
        #expect(median([4, 1, 3, 2]) == 2.5)
    }
}
