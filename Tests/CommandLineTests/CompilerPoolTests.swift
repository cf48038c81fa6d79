import Foundation
import TestSupport
import Testing

@testable import AdaShareDeviceLayer

extension CommandLineTests {
    /// Processes of the program that compile kernels for another one.
    @Suite(.needsDevice) struct CompilerPoolTests {
        /// Machine code of kernels in pocl's cache, or where it would be.
        private func machineCode(of kernels: String...) -> [Int] {
            let environment = ProcessInfo.processInfo.environment
            let root =
                environment["POCL_CACHE_DIR"].map { URL(fileURLWithPath: $0) }
                ?? URL(fileURLWithPath: environment["XDG_CACHE_HOME"] ?? NSHomeDirectory() + "/.cache")
                .appendingPathComponent("pocl/kcache")
            let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
            let names = files?.compactMap { ($0 as? URL)?.lastPathComponent } ?? []
            return kernels.map { kernel in names.count { $0 == "\(kernel).so" } }
        }

        @Test func kernelsAreInTheCacheBeforeTheyAreLaunched() throws {
            let device = try TestDevice.context().device
            guard device.compilesAtFirstLaunch else { return }
            let pool = CompilerPool(executable: Program.url, arguments: ["compile-kernels"])
            let context = try DeviceContext(device: device, cacheDirectory: nil, compilers: pool)
            var told: [[Int]] = []
            context.onProgress = { told.append([$0, $1]) }
            // Of names that no cache has.
            let name = "f\(UInt64.random(in: 0 ... .max))"
            let requests = (0..<3).flatMap { program in
                ["a", "b"].map { kernel in
                    KernelRequest(
                        program: ProgramRequest(
                            name: name,
                            source: ["a", "b"].map {
                                "__kernel void \(name)\($0)(__global float *x) { x[get_global_id(0)] = NUMBER; }"
                            }.joined(separator: "\n"), options: ["-DNUMBER=\(program)"]),
                        kernel: name + kernel, arguments: [.buffer(byteCount: 64)],
                        size: WorkSize(global: [16], local: [4]))
                }
            }
            try context.prepare(requests)
            #expect(machineCode(of: name + "a", name + "b") == [3, 3])
            #expect(told.first == [0, 6] && told.last == [6, 6] && told.map { $0[0] } == told.map { $0[0] }.sorted())
            // Without the processes, only what was looked at first.
            let alone = try DeviceContext(device: device, cacheDirectory: nil)
            try alone.prepare(
                requests.map {
                    KernelRequest(
                        program: ProgramRequest(
                            name: "alone", source: $0.program.source + "\n", options: $0.program.options),
                        kernel: $0.kernel, arguments: $0.arguments, size: WorkSize(global: [16], local: [8]))
                })
            #expect(machineCode(of: name + "a", name + "b").reduce(0, +) < 12)
        }
    }
}
