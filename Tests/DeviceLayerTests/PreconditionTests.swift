import TestSupport
import Testing

@testable import AdaShareDeviceLayer

extension DeviceLayerTests {
    /// What only a programmer can get wrong stops the process; each case runs in a process of its own.
    @Suite struct PreconditionTests {
        @Test func localSizeMustDivideGlobalSize() async {
            await #expect(processExitsWith: .failure) { _ = WorkSize(global: [10], local: [4]) }
            await #expect(processExitsWith: .failure) { _ = WorkSize(global: [1, 1, 1, 1]) }
            await #expect(processExitsWith: .failure) { _ = WorkSize(global: [4, 0]) }
        }

        @Test func sliceMustLieInsideAndBeAligned() async {
            await #expect(processExitsWith: .success) {
                _ = try TestDevice.context().makeBuffer(byteCount: 4096).slice(byteOffset: 2048, byteCount: 2048)
            }
            await #expect(processExitsWith: .failure) {
                _ = try TestDevice.context().makeBuffer(byteCount: 4096).slice(byteOffset: 2048, byteCount: 2049)
            }
            await #expect(processExitsWith: .failure) {
                _ = try TestDevice.context().makeBuffer(byteCount: 4096).slice(byteOffset: 4, byteCount: 4)
            }
        }

        @Test func transfersMustFit() async {
            await #expect(processExitsWith: .failure) {
                let context = try TestDevice.context()
                try context.queue.write(
                    [Int64](repeating: 0, count: 64), to: context.makeBuffer(byteCount: 512), byteOffset: 8)
            }
            await #expect(processExitsWith: .failure) {
                let context = try TestDevice.context()
                _ = try context.queue.read(UInt8.self, count: 513, from: context.makeBuffer(byteCount: 512))
            }
        }
    }
}
