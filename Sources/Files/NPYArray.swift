import AdaShareSupport
import Foundation

/// A NumPy array file (`.npy`) of numbers, held as float32 in row-major order.
///
/// - Source: NumPy's documented format, versions 1.0 to 3.0. Files are written on little-endian hosts only.
public struct NPYArray: Sendable, Equatable {
    /// Lengths of the axes, outermost first; empty for a scalar.
    public let shape: [Int]
    /// The elements in row-major order.
    public let values: [Float]

    /// NumPy 2 makes no array of more axes.
    private static let mostAxes = 64

    /// Creates an array.
    ///
    /// - Precondition: `values` holds the product of `shape`.
    public init(shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "shape \(shape) does not hold \(values.count) values")
        self.shape = shape
        self.values = values
    }

    /// Reads a `.npy` file: integers of 1 to 8 bytes, signed or not, truth values (0 and 1) and floats of 2, 4 and 8
    /// bytes, the last rounded to float32; of either byte order, row- or column-major.
    ///
    /// - Throws: `InputError` if the file is missing, no NPY, truncated, over-long, of another element type, or if it
    ///   holds an integer that float32 does not, of which 2²⁴ + 1 is the first.
    public static func read(_ url: URL) throws -> NPYArray {
        let data = try WholeFile.read(url)
        let header = try NPYHeader(data, path: url.path)
        guard let element = NPYElement(header.descriptor) else {
            throw InputError(
                file: url.path, found: "element type '\(header.descriptor)'",
                expected: "integers, truth values, or floats of 2, 4 or 8 bytes, such as '<f4'")
        }
        guard header.shape.count <= Self.mostAxes else {
            throw InputError(
                file: url.path, found: "\(header.shape.count) axes", expected: "at most \(Self.mostAxes), as NumPy has")
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
        guard found == count * element.size else {
            throw InputError(
                file: url.path,
                found: "\(found) bytes of elements, \(found < count * element.size ? "truncated" : "corrupt")",
                expected: "\(count * element.size) for shape \(header.shape) of '\(header.descriptor)'")
        }
        let isColumnMajor = header.fortranOrder && header.shape.count > 1 && count > 0
        let values = try data.withUnsafeBytes { bytes in
            try element.decode(UnsafeRawBufferPointer(rebasing: bytes[header.byteCount...]), count) { value, at in
                InputError(
                    file: url.path, place: "element \(indices(of: at, in: header.shape, isColumnMajor))",
                    found: "\(value)", expected: "an integer that float32 holds exactly, as all up to 2^24")
            }
        }
        return NPYArray(shape: header.shape, values: isColumnMajor ? rowMajor(values, shape: header.shape) : values)
    }

    /// The indices of an element by its place in the file.
    private static func indices(of at: Int, in shape: [Int], _ isColumnMajor: Bool) -> [Int] {
        var rest = at
        let fromFastest = (isColumnMajor ? shape : shape.reversed()).map { axis in
            defer { rest /= axis }
            return rest % axis
        }
        return isColumnMajor ? fromFastest : fromFastest.reversed()
    }

    /// Writes the array as a version 1.0 file of `<f4` in row-major order, under a temporary name that is then renamed.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws {
        var data = NPYHeader.encode(descriptor: "<f4", shape: shape)
        values.withUnsafeBytes { data.append(contentsOf: $0) }
        try AtomicFile.write(data, to: url)
    }

    /// Writes whole numbers of 16 bits, in the same way: in 8 where `limit` says that they all fit.
    ///
    /// - Precondition: `values` holds the product of `shape`; where `limit` is at most 256 they are below it.
    package static func write(_ values: [UInt16], below limit: Int, shape: [Int], to url: URL) throws {
        let fits = limit <= 256
        var data = NPYHeader.encode(descriptor: fits ? "|u1" : "<u2", shape: shape)
        if fits {
            data.append(contentsOf: values.map { UInt8($0) })
        } else {
            values.map(\.littleEndian).withUnsafeBytes { data.append(contentsOf: $0) }
        }
        try AtomicFile.write(data, to: url)
    }

    /// Two axes exchanged, in squares that stay in cache.
    private static func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
        let side = 16
        return [Float](unsafeUninitializedCapacity: values.count) { result, initialized in
            values.withUnsafeBufferPointer { values in
                for top in stride(from: 0, to: rows, by: side) {
                    for left in stride(from: 0, to: columns, by: side) {
                        for row in top..<min(top + side, rows) {
                            for column in left..<min(left + side, columns) {
                                result[row * columns + column] = values[column * rows + row]
                            }
                        }
                    }
                }
            }
            initialized = values.count
        }
    }

    /// Reorders column-major elements (first axis fastest) to row-major (last axis fastest).
    private static func rowMajor(_ values: [Float], shape: [Int]) -> [Float] {
        if shape.count == 2 { return transposed(values, rows: shape[0], columns: shape[1]) }
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
