import Foundation
import TestSupport
import Testing

@testable import AdaShareDeviceLayer

extension DeviceLayerTests {
    /// Kernels compiled before they are launched.
    @Suite struct KernelPreparationTests {
        private func request(_ offset: Int, kernel: String = "add", local: Int = 4) -> KernelRequest {
            KernelRequest(
                program: ProgramRequest(
                    name: "sample", source: TestDevice.source, options: ["-DOFFSET=\(offset)"]),
                kernel: kernel,
                arguments: [
                    .buffer(byteCount: 64), .buffer(byteCount: 64), .buffer(byteCount: 64), .float(2),
                ], size: WorkSize(global: [16], local: [local]))
        }

        @Test func programsAreBuiltOnceAndProgressIsTold() throws {
            let context = try DeviceContext(device: try TestDevice.device(), cacheDirectory: nil)
            var told: [[Int]] = []
            context.onProgress = { told.append([$0, $1]) }
            // Two kernels of three programs, one of them asked for twice.
            let requests = (0..<3).flatMap { [request($0), request($0, kernel: "number")] }
            try context.prepare(requests + [request(1)])
            #expect(context.programsBuilt == 3 && context.compileSeconds > 0)
            #expect(told.first == [0, 6] && told.last == [6, 6])
            #expect(told.allSatisfy { $0[1] == 6 } && told.map { $0[0] } == told.map { $0[0] }.sorted())
            // Everything is there now: nothing is built and nothing said.
            told = []
            try context.prepare(requests)
            #expect(try TestDevice.numbers(context, offset: 2) == TestDevice.expectedNumbers(offset: 2))
            #expect(context.programsBuilt == 3 && told.isEmpty)
        }

        @Test func anotherGroupSizeIsAnotherKernel() {
            let small = request(0)
            #expect(small.key == request(0).key && small.key != request(0, local: 8).key)
            #expect(small.smallest.global == [4] && small.smallest.local == [4])
            let large = KernelRequest(
                program: small.program, kernel: "add", arguments: [], size: WorkSize(global: [65_536], local: [4]))
            #expect(large.key != small.key && large.smallest.global == [65_536])
            let free = KernelRequest(
                program: small.program, kernel: "add", arguments: [], size: WorkSize(global: [16]))
            #expect(free.key != small.key && free.smallest.global == [16] && free.smallest.local == nil)
        }

        @Test func aSourceThatDoesNotCompileIsAnErrorWithItsLog() throws {
            let context = try DeviceContext(device: try TestDevice.device(), cacheDirectory: nil)
            let broken = KernelRequest(
                program: ProgramRequest(name: "broken.cl", source: "__kernel void f() { nothing = 1; }", options: []),
                kernel: "f", arguments: [], size: WorkSize(global: [1], local: [1]))
            let error = try TestDevice.error { try context.prepare([request(0), broken, request(1)]) }
            #expect(error.call == "clBuildProgram" && error.buildLog?.contains("nothing") == true)
            // Nothing counts as ready, so that it is not left out the next time.
            #expect(try TestDevice.error { try context.prepare([broken]) }.call == "clBuildProgram")
        }

        /// Where there are no processes to help, or none can be started, this one does it all.
        @Test(arguments: ["/nonexistent/adashare", "/bin/false"])
        func compilersThatFailAreDoneWithout(path: String) throws {
            let context = try DeviceContext(
                device: try TestDevice.device(), cacheDirectory: nil,
                compilers: CompilerPool(executable: URL(fileURLWithPath: path), arguments: []))
            let fresh = Int.random(in: 1_000_000..<1_000_000_000)
            try context.prepare((0..<3).map { request(fresh + $0) })
            #expect(context.programsBuilt == 3)
            #expect(
                try TestDevice.numbers(context, offset: fresh) == TestDevice.expectedNumbers(offset: fresh))
        }

        @Test func differentProgramsAreBuiltFromSeveralThreads() async throws {
            let context = try DeviceContext(device: try TestDevice.device(), cacheDirectory: nil)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<8 { group.addTask { _ = try TestDevice.program(context, offset: 40 + index % 4) } }
                try await group.waitForAll()
            }
            #expect(context.programsBuilt == 4)
        }
    }
}
