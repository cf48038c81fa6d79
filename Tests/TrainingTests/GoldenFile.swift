import AdaShareFiles
import Foundation

@testable import AdaShareTraining

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
