import AdaShareFiles
import Foundation
import TestSupport

/// Writes the files of a data set, folders included.
struct Layout {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    var root: String { folder.url.path }

    private func place(_ path: String) throws -> URL {
        let url = folder.file(path)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        return url
    }

    func text(_ path: String, _ text: String) throws { try Data(text.utf8).write(to: place(path)) }

    func array(_ path: String, _ shape: [Int], _ values: [Float]) throws {
        try NPYArray(shape: shape, values: values).write(to: place(path))
    }

    /// NumPy's own integers, int64, which nothing here writes.
    func integers(_ path: String, _ shape: (Int, Int), _ values: [Int64]) throws {
        var header = "{'descr': '<i8', 'fortran_order': False, 'shape': (\(shape.0), \(shape.1)), }"
        header += String(repeating: " ", count: 117 - header.utf8.count) + "\n"
        let start: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0]
        let elements = values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        try Data(start + Array(header.utf8) + elements).write(to: place(path))
    }

    /// An 8-bit image, RGB or grey as the number of values says.
    func image(_ path: String, _ height: Int, _ width: Int, _ pixels: [UInt8]) throws {
        try Image(width: width, height: height, channels: pixels.count / (height * width), pixels: pixels)
            .write(to: place(path))
    }

    /// A 16-bit grey image, which nothing here writes.
    func grey16(_ path: String, _ height: Int, _ width: Int, _ values: [UInt16]) throws {
        let rows = (0..<height).map { y in
            values[y * width..<(y + 1) * width].flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
        }
        try Data(HandmadePNG.file(width: width, height: height, depth: 16, colorType: 0, rows: rows))
            .write(to: place(path))
    }

    func remove(_ path: String) throws { try FileManager.default.removeItem(at: folder.file(path)) }
}
