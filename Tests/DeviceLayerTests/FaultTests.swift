import TestSupport
import Testing

@testable import AdaShareDeviceLayer

/// What ends a context, and what is done about it; no device here fails by itself.
@Suite struct DeviceFaultTests {
    @Test func onlyWhatEndsAContextIsAFault() {
        let faults = DeviceFaults()
        #expect(!faults.isAny)
        for (status, call) in [
            (-36, "clFinish"), (-36, "clEnqueueNDRangeKernel"), (-2, "clEnqueueNDRangeKernel"),
            (-14, "clWaitForEvents"), (-9999, "clFinish"),
            (-5, "clFinish"), (-5, "clEnqueueReadBuffer"), (-5, "clWaitForEvents"), (-5, "clFlush"),
        ] as [(Int32, String)] {
            let before = faults.count
            faults.note(status, call)
            #expect(faults.count == before + 1, "\(status) \(call)")
        }
        let before = faults.count
        for (status, call) in [
            (-5, "clEnqueueNDRangeKernel"), (-5, "clBuildProgram"), (-4, "clCreateBuffer"), (-11, "clBuildProgram"),
            (-54, "clEnqueueNDRangeKernel"), (-46, "clCreateKernel"), (-30, "clFinish"),
        ] as [(Int32, String)] {
            faults.note(status, call)
        }
        #expect(faults.count == before, "launches and programs that ask for too much, and mistakes of ours")
        // Any failure explains a release that fails.
        let other = DeviceFaults()
        other.note(-4, "clCreateBuffer")
        #expect(other.isAny && other.count == 0)
    }

    /// One bad kernel fails the test it is in, not all that come after it.
    @Test func whatTestsShareIsMadeAgainAfterAFault() throws {
        var (made, faults) = (0, 0)
        func one() throws -> Int {
            made += 1
            return made
        }
        let kept = KeptUntilFault(faults: { faults }, one)
        #expect(try (kept.get(), kept.get()) == (1, 1))
        faults = 1
        #expect(try (kept.get(), kept.get()) == (2, 2))
        struct Failure: Error {}
        func none() throws -> Int {
            made += 1
            throw Failure()
        }
        let failing = KeptUntilFault(faults: { faults }, none)
        for _ in 0..<2 { #expect(throws: Failure.self) { try failing.get() } }
        #expect(made == 3, "what cannot be made is not tried by each test")
    }

    @Test func aProductBeginsWhereWhatCameBeforeEnds() {
        #expect(CommandQueue.start(own: 90, before: 40) == 40)
        for before in [nil, 0, 95] as [UInt64?] {
            #expect(CommandQueue.start(own: 90, before: before) == 90, "a driver without a time of the marker")
        }
    }
}

extension DeviceLayerTests {
    @Suite struct QueueModeTests {
        /// Another queue, which waits for nothing, sees what the launch left.
        @Test func launchesMayBeFinishedOneByOne() throws {
            let context = try DeviceContext(
                device: try TestDevice.device(), cacheDirectory: nil, finishesEachLaunch: true)
            let (buffer, other) = (
                try context.makeBuffer(byteCount: 16), try context.makeQueue(profiling: false)
            )
            try TestDevice.occupy(context.queue, of: context, result: buffer)
            #expect(try other.read(Float.self, count: 1, from: buffer)[0] > 1)
        }

        /// What is done without recording comes between what is recorded, in order.
        @Test func workIsTimedWithoutRecordingIt() throws {
            let context = try TestDevice.freshContext(profiling: true)
            let queue = context.queue
            let kernel = try TestDevice.program(context).kernel("add")
            let (sum, one) = (try context.makeBuffer(byteCount: 16), try context.makeBuffer(byteCount: 16))
            try queue.write([Float](repeating: 1, count: 4), to: one)
            try kernel.setArguments([.buffer(sum), .buffer(one), .buffer(sum), .float(1)])
            func add(_ label: String) throws {
                kernel.label = label
                try queue.launch(kernel, WorkSize(global: [4]))
            }
            try add("first")
            let inside = try queue.withoutRecording {
                for _ in 0..<600 { try add("inside") }
                try queue.write([Float](repeating: 2, count: 4), to: one)
                return try queue.read(Float.self, count: 1, from: sum)[0]
            }
            #expect(inside == 601)
            try add("last")
            #expect(try queue.read(Float.self, count: 4, from: sum) == [603, 603, 603, 603])
            #expect(try queue.takeProfile().map(\.label) == ["first", "last"])
            struct Failure: Error {}
            #expect(throws: Failure.self) { try queue.withoutRecording { throw Failure() } }
            try add("after")
            #expect(try queue.takeProfile().map(\.label) == ["after"])
        }

        @Test func kernelsSayWhatTheyKeepInMemory() throws {
            let kernel = try TestDevice.program(try TestDevice.context()).kernel("add")
            #expect(try kernel.privateByteCount >= 0)
        }
    }
}
