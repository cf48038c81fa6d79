import DeviceLayer
import Foundation
import Operators
import Testing

@testable import Training

/// Root of the suites that use a device: the tests of one process take turns.
@Suite(.serialized, .enabled(if: GoldenDevice.isPresent, "no OpenCL device: apt-get install pocl-opencl-icd"))
struct GoldenTests {}

/// The device under test, with one kernel library per family.
enum GoldenDevice {
    static let isPresent = (try? Device.all().isEmpty) == false

    private static let libraries = Result<[KernelFamily: KernelLibrary], any Error> {
        let device = try Device.select(ProcessInfo.processInfo.environment["ADASHARE_DEVICE"])
        let context = try DeviceContext(device: device, cacheDirectory: nil)
        let pairs = try KernelFamily.allCases.map { ($0, try KernelLibrary(context: context, family: $0)) }
        return Dictionary(uniqueKeysWithValues: pairs)
    }

    /// The family made for the device.
    static func nativeFamily() throws -> KernelFamily { KernelFamily(for: try library(.cpu).context.device) }

    static func library(_ family: KernelFamily) throws -> KernelLibrary { try #require(try libraries.get()[family]) }
}

extension TensorFile {
    /// A file of `Tests/Golden`.
    static func golden(_ name: String) throws -> TensorFile {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try read(tests.appendingPathComponent("Golden").appendingPathComponent("\(name).safetensors"))
    }
}

/// Reorders the axes of a row-major tensor; axis i of the result is axis `order[i]` of `values`.
func permuted<T>(_ values: [T], shape: [Int], order: [Int]) -> [T] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    var offsets = [0]
    for axis in order {
        offsets = offsets.flatMap { base in (0..<shape[axis]).map { base + $0 * strides[axis] } }
    }
    return offsets.map { values[$0] }
}

/// [N, C, H, W] → [N, H, W, C].
func channelsLast<T>(_ values: [T], _ shape: [Int]) -> [T] { permuted(values, shape: shape, order: [0, 2, 3, 1]) }

/// [N, H, W, C] → [N, C, H, W].
func channelsFirst<T>(_ values: [T], _ shape: [Int]) -> [T] { permuted(values, shape: shape, order: [0, 3, 1, 2]) }
