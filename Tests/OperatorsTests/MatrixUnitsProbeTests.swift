import AdaShareDeviceLayer
import TestSupport
import Testing

@testable import AdaShareOperators

extension OperatorsTests {
    /// How it is found out whether a device has matrix units; whether it has is for the device to say.
    @Suite struct MatrixUnitsProbeTests {
        /// On devices without units, emulated ones take their place: what a tile computes is what the probe expects.
        @Test(arguments: MatrixOperands.allCases) func aTileComputesTheProbesProduct(operands: MatrixOperands) throws {
            let probe = TileProbe(operands)
            #expect(try probe.isRight(on: TestDevice.matrixLibrary()))
            let product = probe.product
            #expect(Set(product).count > 50, "what any tile would compute is no probe")
            let rows = stride(from: 0, to: product.count, by: 72).map { Array(product[$0..<$0 + 72]) }
            #expect(Set(rows).count == rows.count, "rows that change places are seen")
            #expect(probe.product.allSatisfy { BFloat16($0).float == $0 }, "rounded, a right one would be wrong")
        }

        /// What a device answers that has no such units, or has them and fails, is no error of the run; want of memory
        /// says nothing about them.
        @Test func whatFailsInTheProbeRulesUnitsOut() throws {
            func refusal(_ call: String, _ code: Int32, log: String? = nil) -> String? {
                MatrixUnits.refusal(DeviceError(call: call, code: code, buildLog: log))
            }
            let refused = try #require(refusal("clBuildProgram", -11, log: "no such instruction\nmore"))
            #expect(refused.hasSuffix(": no such instruction"))
            for (call, code) in [
                ("clCreateKernel", -46), ("clCreateKernel", -5), ("clFinish", -36), ("clEnqueueReadBuffer", -5),
                ("clEnqueueNDRangeKernel", -5), ("clFinish", -9999),
            ] as [(String, Int32)] {
                #expect(refusal(call, code)?.contains(call) == true, "\(call) \(code)")
            }
            for (call, code) in [
                ("clBuildProgram", -6), ("clBuildProgram", -5), ("clBuildProgram", -3), ("clCreateBuffer", -4),
            ] as [(String, Int32)] {
                #expect(refusal(call, code) == nil, "\(call) \(code)")
            }
        }
    }

    /// Groups are stated, never left to the driver.
    @Suite struct WorkSizeTests {
        @Test func groupsAreStatedAndCoverTheWork() throws {
            let gpu = try TestDevice.library(.gpu)
            for extents in [(1, 1, 1), (64, 7, 3), (13, 1, 16), (128, 41, 2), (97, 89, 1), (12, 30, 4)] {
                let size = gpu.grid(extents.0, extents.1, extents.2)
                #expect(size.global == [extents.0, extents.1, extents.2], "no item beyond the grid")
                let local = try #require(size.local)
                #expect((1...64).contains(local.reduce(1, *)), "\(size)")
            }
            #expect(gpu.grid(64, 7, 3).local == [64, 1, 1] && gpu.grid(16, 12).local == [16, 4])
            for (vectors, chunks) in [(16, 100), (4, 3), (12, 17), (128, 5), (512, 1)] {
                let size = gpu.columns(vectors, chunks: chunks)
                let local = try #require(size.local)
                #expect(size.global[0] == vectors && size.global[1] >= chunks && size.global[1] < chunks + local[1])
                #expect((33...64).contains(local.reduce(1, *)), "no group is nearly empty: \(size)")
            }
            let row = gpu.pixels(81, 41, 3)
            #expect(row.global == [128, 41, 3] && row.local == [64, 1, 1])
            #expect(gpu.rows(81 * 16, 41, 3).global == [1344, 41, 3])
            guard TestDevice.families.contains(.cpu) else { return }
            let cpu = try TestDevice.library(.cpu)
            for size in [cpu.grid(3, 4), cpu.columns(3, chunks: 4), cpu.pixels(3, 4, 1), cpu.rows(3, 4, 1)] {
                #expect(size.local?.allSatisfy { $0 == 1 } == true, "a work-item of a CPU is a group")
            }
        }
    }
}
