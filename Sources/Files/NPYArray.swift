import AdaShareSupport
import Foundation

/// A NumPy array file (`.npy`) of floating-point numbers, held as float32 in row-major order.
///
/// - Source: NumPy's documented format, versions 1.0 to 3.0. Little-endian hosts only, as the files are.
public struct NPYArray: Sendable, Equatable {
    /// Lengths of the axes, outermost first; empty for a scalar.
    public let shape: [Int]
    /// The elements in row-major order.
    public let values: [Float]

    /// Creates an array.
    ///
    /// - Precondition: `values` holds the product of `shape`.
    public init(shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "shape \(shape) does not hold \(values.count) values")
        self.shape = shape
        self.values = values
    }

    /// Reads a `.npy` file: element type `<f4`, or `<f8` rounded to float32; column-major order is converted.
    ///
    /// - Throws: `InputError` if the file is missing, no NPY, truncated, over-long, or of another element type.
    public static func read(_ url: URL) throws -> NPYArray {
        let data = try WholeFile.read(url)
        let header = try NPYHeader(data, path: url.path)
        let size: Int
        switch header.descriptor {
        case "<f4": size = 4
        case "<f8": size = 8
        default:
            throw InputError(
                file: url.path, found: "element type '\(header.descriptor)'",
                expected: "'<f4' or '<f8' (little-endian floats)")
        }
        var count = 1
        for axis in header.shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: axis)
            guard !overflow, product <= Int.max / 8 else {
                throw InputError(
                    file: url.path, found: "shape \(header.shape), impossibly large", expected: "a whole header")
            }
            count = product
        }
        let found = data.count - header.byteCount
        guard found == count * size else {
            throw InputError(
                file: url.path,
                found: "\(found) bytes of elements, \(found < count * size ? "truncated" : "corrupt")",
                expected: "\(count * size) for shape \(header.shape) of '\(header.descriptor)'")
        }
        let values = data.withUnsafeBytes { bytes -> [Float] in
            let elements = UnsafeRawBufferPointer(rebasing: bytes[header.byteCount...])
            if size == 4 {
                return [Float](unsafeUninitializedCapacity: count) { target, used in
                    UnsafeMutableRawBufferPointer(target).copyMemory(from: elements)
                    used = count
                }
            }
            return (0..<count).map { Float(elements.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self)) }
        }
        let isColumnMajor = header.fortranOrder && header.shape.count > 1
        return NPYArray(shape: header.shape, values: isColumnMajor ? rowMajor(values, shape: header.shape) : values)
    }

    /// Writes the array as a version 1.0 file of `<f4` in row-major order, under a temporary name that is then renamed.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws {
        var data = NPYHeader.encode(descriptor: "<f4", shape: shape)
        values.withUnsafeBytes { data.append(contentsOf: $0) }
        try AtomicFile.write(data, to: url)
    }

    /// Reorders column-major elements (first axis fastest) to row-major (last axis fastest).
    private static func rowMajor(_ values: [Float], shape: [Int]) -> [Float] {
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in 1..<shape.count { strides[axis] = strides[axis - 1] * shape[axis - 1] }
        let inner = shape[shape.count - 1]
        let innerStride = strides[shape.count - 1]
        var result: [Float] = []
        result.reserveCapacity(values.count)
        var index = [Int](repeating: 0, count: shape.count - 1)
        while result.count < values.count {
            var source = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }
            for _ in 0..<inner {
                result.append(values[source])
                source += innerStride
            }
            var axis = index.count - 1
            while axis >= 0 {
                index[axis] += 1
                if index[axis] < shape[axis] { break }
                index[axis] = 0
                axis -= 1
            }
        }
        return result
    }
}
