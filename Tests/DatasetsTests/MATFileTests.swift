import AdaShareFiles
import AdaShareSupport
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

    /// A zlib stream of so many zeros and a few more, without its checksum: fixed codes for a zero, then for "258 bytes
    /// as the one before".
    private static func packedZeros(_ count: Int) -> [UInt8] {
        // Bits in the order of the stream: last block, fixed codes, literal 0.
        var bits: [UInt8] = [1, 1, 0] + [0, 0, 1, 1, 0, 0, 0, 0]
        // Length code 285, distance code 0.
        let again: [UInt8] = [1, 1, 0, 0, 0, 1, 0, 1] + [0, 0, 0, 0, 0]
        // Eight of them are whole bytes.
        for _ in 0..<(count / (8 * 258) + 1) * 8 { bits += again }
        var bytes: [UInt8] = [0x78, 0x9C]
        for start in stride(from: 0, to: bits.count - 7, by: 8) {
            bytes.append((0..<8).reduce(0) { $0 | bits[start + $1] << UInt8($1) })
        }
        return bytes
    }

    @Test(arguments: [true, false]) func readsEitherByteOrder(isLittle: Bool) throws {
        #expect(try read(handmade(isLittle: isLittle)) == ["ndxs": [7, 300]])
    }

    @Test func onlyWhatIsAskedForIsKept() throws {
        let file = try MATFile(Self.golden, arrays: ["testNdxs"])
        #expect(file.arrays == ["testNdxs": [2]])
        #expect(file.names.sorted() == ["mapClass", "signed", "single", "testNdxs", "trainNdxs"])
    }

    /// Neither a large file nor a small one with much in it is read into memory.
    @Test func largeOnesAreRefused() throws {
        let url = files.folder.file("a.mat")
        try Data(handmade(isLittle: true)).write(to: url)
        let handle = try FileHandle(forWritingTo: url)
        try handle.truncate(atOffset: 1 << 27)
        expectError("a.mat: found a file of 134217728 bytes", "at most 64 MiB") { _ = try MATFile(url) }
        try handle.seek(toOffset: 125)
        try handle.write(contentsOf: [2])
        try handle.close()
        expectError("a.mat", "MATLAB 7.3, which is HDF5") { _ = try MATFile(url) }
        let packed = Self.packedZeros(80 << 20)
        let word = withUnsafeBytes(of: UInt32(packed.count).littleEndian) { Array($0) }
        let header = Array(handmade(isLittle: true).prefix(128))
        expectError("a.mat: byte 128", "more than 64 MiB when unpacked", "at most 64 MiB") {
            _ = try read(header + [15, 0, 0, 0] + word + packed)
        }
    }

    @Test func damageIsNamed() throws {
        let whole = handmade(isLittle: true)
        expectError("a.mat: found no header of MATLAB 5") { _ = try read(Array(whole.prefix(100))) }
        expectError("a.mat", "byte 128: found an element that ends beyond", "a whole file of MATLAB 5") {
            _ = try read(whole.dropLast(4))
        }
        expectError("a.mat", "ndxs, byte 128: found a damaged array") {
            _ = try read(handmade(isLittle: true, rows: 3))
        }
        var newer = whole
        newer[125] = 2
        expectError("a.mat", "MATLAB 7.3, which is HDF5", "save -v7") { _ = try read(newer) }
        var packed = [UInt8](try Data(contentsOf: Self.golden))
        for at in 140..<150 { packed[at] = 0xFF }
        expectError("a.mat: byte 128: found a damaged array") { _ = try read(packed) }
        // Values are missing: the matrix ends behind its name.
        var short = Array(whole.prefix(whole.count - 16))
        short[132] -= 16
        expectError("a.mat: ndxs, byte 128: found a damaged array") { _ = try read(short) }
        let golden = [UInt8](try Data(contentsOf: Self.golden))
        let all = try read(golden)
        for length in stride(from: 128, to: golden.count, by: 7) {
            // Whatever is cut off, reading ends, with some of the arrays or an error that names the file.
            do {
                let some = try read(Array(golden.prefix(length)))
                #expect(some.count < all.count && some.allSatisfy { all[$0.key] == $0.value }, "\(length)")
            } catch {
                #expect(error is InputError && "\(error)".contains("a.mat: byte "), "\(length): \(error)")
            }
        }
        expectError("nowhere.mat", "no such file") { _ = try MATFile(files.folder.file("nowhere.mat")) }
    }
}
