import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareBenchmarks

@Suite struct DoctorTests {
    /// The limits in made-up files of control groups.
    private func limits(_ files: [String: String]) throws -> HostLimits {
        let root = try TemporaryFolder()
        for (name, text) in files {
            let url = root.file(name)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
        return HostLimits(root: root.url.path)
    }

    @Test func limitsAreThoseOfEveryGroupAround() throws {
        let none = try limits([:])
        #expect(none.quota == nil && none.memoryLimitBytes == nil && none.usableCores == Double(none.allowedCores))
        let second = try limits([
            "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/cpu.max": "150000 100000\n", "sys/fs/cgroup/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/memory.max": "1000000\n",
        ])
        #expect(second.quota == 1.5 && second.memoryLimitBytes == 1_000_000)
        // A container's own group at the top, under the machine's path.
        let first = try limits([
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        ])
        #expect(first.quota == 0.5 && first.memoryLimitBytes == nil && first.usableCores == 0.5)
        let unlimited = try limits([
            "proc/self/cgroup": "5:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        ])
        #expect(unlimited.quota == nil)
    }

    @Test func whatIsUsualFollowsFromTheProcessorOrTheName() throws {
        let text = "processor\t: 0\ncpu MHz\t\t: 2500.000\nflags\t\t: fpu avx2 fma\ncpu MHz\t\t: 2000.0\n"
        #expect(UsualSpeed(processor: text, cores: 2)?.gflops == 160)
        #expect(UsualSpeed(processor: text.replacing("avx2", with: "avx512f"), cores: 2)?.gflops == 320)
        #expect(UsualSpeed(processor: "", cores: 2) == nil)
        #expect(UsualSpeed(graphics: "NVIDIA H200")?.gbPerSecond == 4800)
        #expect(UsualSpeed(graphics: "NVIDIA L40S")?.gflops == 91_600)
        #expect(UsualSpeed(graphics: "NVIDIA L4")?.gbPerSecond == 300)
        for name in ["something new", "NVIDIA RTX A1000", "Quadro P1000"] {
            #expect(UsualSpeed(graphics: name) == nil)
        }
        var probe = DeviceProbe(failure: "")
        probe.usual = UsualSpeed(graphics: "NVIDIA L4")
        (probe.gflops, probe.gbPerSecond) = (25_000, 30)
        #expect(probe.slownesses == ["30 GB/s, usual are about 300"])
    }

    @Test func placesSayWhyTheyCannotBeWritten() throws {
        let folder = try TemporaryFolder()
        try folder.write("12345", "a")
        let place = DoctorReport.Place("x", folder.url.path)
        #expect(place.files == 1 && place.bytes == 5 && place.whyUnwritable == nil && place.freeBytes ?? 0 > 0)
        #expect(DoctorReport.Place("x", folder.file("new/one").path).whyUnwritable == nil)
        #expect(DoctorReport.Place("x", folder.file("a/b").path).whyUnwritable == "\(folder.file("a").path) is a file")
        #expect(DoctorReport.Place("x", nil).whyUnwritable != nil)
        // Nobody can make files there, not even the superuser.
        #expect(DoctorReport.Place("x", "/proc/x", counts: false).whyUnwritable?.hasPrefix("/proc: ") == true)
    }
}
