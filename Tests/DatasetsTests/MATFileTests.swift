import AdaShareFiles
import Foundation
import TestSupport
import Testing

/// Small files of MATLAB 5, one of them scipy's (tools/golden/nyu_v2_mat.py).
@Suite struct MATFileTests {
    private let files: Layout
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Golden/nyu_v2_splits.mat")

    init() throws { files = try Layout() }

    private func read(_ bytes: [UInt8]) throws -> [String: [Double]] {
        try Data(bytes).write(to: files.folder.file("a.mat"))
        return try MATFile(files.folder.file("a.mat")).arrays
    }

    @Test func readsEveryArrayOfNumbers() throws {
        // Text is left out; the first axis varies fastest.
        #expect(
            try MATFile(Self.golden).arrays == [
                "trainNdxs": [3, 1], "testNdxs": [2], "mapClass": [2, 1, 0, 2, 1, 3],
                "signed": [-1, 300, 2, -70_000], "single": [0.5],
            ])
    }

    /// An array of 16-bit integers that is not packed, in either byte order.
    private func handmade(isLittle: Bool, values: [UInt16] = [7, 300], rows: UInt32 = 2) -> [UInt8] {
        func bytes(_ value: UInt32, _ size: Int = 4) -> [UInt8] {
            let big = (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32(size - 1 - $0))) }
            return isLittle ? big.reversed() : big
        }
        func element(_ type: UInt32, _ data: [UInt8]) -> [UInt8] {
            bytes(type) + bytes(UInt32(data.count)) + data + [UInt8](repeating: 0, count: (8 - data.count % 8) % 8)
        }
        // A name of four letters lies in its tag.
        let name = bytes(4 << 16 | 1)
        let matrix =
            element(6, bytes(11) + bytes(0)) + element(5, bytes(rows) + bytes(1)) + name + Array("ndxs".utf8)
            + element(4, values.flatMap { bytes(UInt32($0), 2) })
        let header =
            Array("MATLAB 5.0 MAT-file".utf8) + [UInt8](repeating: 32, count: 105) + bytes(0x0100, 2)
            + Array((isLittle ? "IM" : "MI").utf8)
        return header + element(14, matrix)
    }

    @Test(arguments: [true, false]) func readsEitherByteOrder(isLittle: Bool) throws {
        #expect(try read(handmade(isLittle: isLittle)) == ["ndxs": [7, 300]])
    }

    @Test func damageIsNamed() throws {
        let whole = handmade(isLittle: true)
        expectError("a.mat: found no header of MATLAB 5") { _ = try read(Array(whole.prefix(100))) }
        expectError("a.mat", "beyond the file", "a whole file of MATLAB 5") { _ = try read(whole.dropLast(4)) }
        expectError("a.mat", "a damaged array") { _ = try read(handmade(isLittle: true, rows: 3)) }
        var newer = whole
        newer[125] = 2
        expectError("a.mat", "MATLAB 7.3, which is HDF5", "save -v7") { _ = try read(newer) }
        var packed = [UInt8](try Data(contentsOf: Self.golden))
        for at in 140..<150 { packed[at] = 0xFF }
        expectError("a.mat", "a damaged array") { _ = try read(packed) }
        for length in stride(from: 128, to: packed.count, by: 7) {
            // Whatever is cut off, reading ends, with what is left or an error.
            _ = try? read(Array(try Data(contentsOf: Self.golden).prefix(length)))
        }
        expectError("nowhere.mat", "no such file") { _ = try MATFile(files.folder.file("nowhere.mat")) }
    }
}
