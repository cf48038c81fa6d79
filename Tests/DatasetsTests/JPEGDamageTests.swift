import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

/// Files that are no whole JPEG, or none that is read: an error of one line or a picture, never anything else.
@Suite struct JPEGDamageTests {
    let folder: TemporaryFolder
    let images: [GoldenImage]

    init() throws {
        folder = try TemporaryFolder()
        images = try GoldenImage.all().filter { $0.name.hasPrefix("jpeg") && $0.name != "jpeg cmyk" }
    }

    private func read(_ bytes: some Sequence<UInt8>) throws -> Image {
        try Image.read(folder.write(bytes, "x.jpg"), channels: 3)
    }

    private func golden(_ name: String) throws -> [UInt8] { try GoldenImage.file(name) }

    /// Where the header of the frame begins: its marker, length, precision, height and width.
    private func frame(of file: [UInt8]) throws -> Int {
        try #require(file.indices.dropLast().first { file[$0] == 0xFF && [0xC0, 0xC1, 0xC2].contains(file[$0 + 1]) })
    }

    private func resized(_ file: [UInt8], height: Int, width: Int) throws -> [UInt8] {
        var file = file
        let at = try frame(of: file) + 5
        file.replaceSubrange(at..<at + 4, with: [height >> 8, height & 255, width >> 8, width & 255].map { UInt8($0) })
        return file
    }

    @Test func everyTruncationIsAnError() throws {
        #expect(images.count == 8)
        for image in images {
            for sixteenth in 0..<16 {
                expectError("x.jpg: found ") { _ = try read(image.file.prefix(image.file.count * sixteenth / 16)) }
            }
            for length in 0..<image.file.count {
                #expect(throws: InputError.self) { try read(image.file.prefix(length)) }
            }
            #expect(try read(image.file).pixels == image.rgb)
            // What cameras append is none of the picture.
            #expect(try read(image.file + [1, 2, 3]).pixels == image.rgb)
        }
    }

    /// One bit of every byte turned over, and all of them.
    @Test func everyByteIsAnErrorOrAPicture() throws {
        var (refused, others, tried) = (0, 0, 0)
        for image in images {
            for (position, mask) in image.file.indices.flatMap({ [($0, 1 << ($0 % 8)), ($0, 0xFF)] }) {
                tried += 1
                var bytes = image.file
                bytes[position] ^= UInt8(mask)
                do {
                    let found = try read(bytes)
                    #expect(found.pixels.count == found.width * found.height * 3)
                    if found.pixels != image.rgb { others += 1 }
                } catch let error as InputError {
                    refused += 1
                    #expect(error.description.contains("x.jpg: ") && !error.description.contains("\n"), "\(error)")
                }
            }
        }
        // JPEG has no checksums: the rest was in bytes that say nothing about pixels.
        #expect(refused > tried / 4 && others > tried / 8, "\(refused), \(others) of \(tried)")
    }

    @Test func sizesAreCheckedBeforeMemoryIsAskedFor() throws {
        for name in ["jpeg 4:2:0", "jpeg progressive"] {
            let file = try golden(name)
            expectError("claims 65500×65500 pixels", "1...268435456 in all") {
                _ = try read(try resized(file, height: 65500, width: 65500))
            }
            expectError("Maximum supported image dimension is 65500") {
                _ = try read(try resized(file, height: 65501, width: 1))
            }
            expectError("a truncated JPEG, which claims 16384×16384 pixels", "a file of \(file.count) bytes") {
                _ = try read(try resized(file, height: 16384, width: 16384))
            }
            expectError("Empty JPEG image") { _ = try read(try resized(file, height: 0, width: 23)) }
            // Control: what the bytes could hold is tried, and found to be missing.
            expectError("premature end of data") { _ = try read(try resized(file, height: 600, width: 600)) }
            #expect(try read(try resized(file, height: 17, width: 23)) == read(file))
        }
    }

    @Test func kindsThatAreNotReadAreNamed() throws {
        expectError("x.jpg: found a CMYK JPEG, in inks for printing, expected one in RGB, YCbCr or grey") {
            _ = try read(try golden("jpeg cmyk"))
        }
        // The last byte of Adobe's marker says that its inks are transformed.
        var transformed = try golden("jpeg cmyk")
        let adobe = try #require(Data(transformed).range(of: Data("Adobe".utf8))).lowerBound
        transformed[adobe + 11] = 2
        expectError("a CMYK JPEG") { _ = try read(transformed) }
        let file = try golden("jpeg 4:2:0")
        let start = try frame(of: file)
        func changed(_ offset: Int, _ value: UInt8) -> [UInt8] {
            var bytes = file
            bytes[start + offset] = value
            return bytes
        }
        expectError("a JPEG of 12 bits a sample", "one of 8") { _ = try read(changed(4, 12)) }
        expectError("a JPEG with arithmetic coding", "Huffman") { _ = try read(changed(1, 0xC9)) }
        let pair: [UInt8] =
            [0xFF, 0xD8, 0xFF, 0xC0, 0, 14, 8, 0, 8, 0, 8, 2, 1, 0x11, 0, 2, 0x11, 0]
            + [0xFF, 0xDA, 0, 10, 2, 1, 0, 2, 0, 0, 63, 0]
        expectError("an unknown colour space") { _ = try read(pair) }
        for other in ["GIF89a, not read", "", "\u{0}"] {
            expectError("without the signature of an image", "a PNG or JPEG image") { _ = try read(other.utf8) }
        }
        #expect(try read(changed(4, 8)) == read(file))
    }

    /// The first scan again and again, with the bits that all of them were to leave: each is allowed.
    @Test func scansWithoutEndAreAnError() throws {
        let file = try golden("jpeg progressive")
        let starts = file.indices.dropLast().filter { file[$0] == 0xFF && file[$0 + 1] == 0xDA }
        #expect(starts.count == 10)
        let after = try #require(
            file.indices.dropLast().first { $0 > starts[0] && file[$0] == 0xFF && file[$0 + 1] == 0xC4 })
        var scan = Array(file[starts[0]..<after])
        // Its header's length counts from behind the marker; its last byte is the bits before and after.
        #expect(scan[3] == 12 && scan[13] == 0x01)
        scan[13] = 0
        func repeating(_ count: Int) -> [UInt8] {
            Array(file.dropLast(2)) + Array(repeatElement(scan, count: count).joined()) + [0xFF, 0xD9]
        }
        #expect(try read(repeating(100)).pixels.count == 17 * 23 * 3)
        expectError("more than 500 scans") { _ = try read(repeating(600)) }
    }
}
