import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

/// Files that are no whole PNG, or hold more than one: an error of one line or the same pixels, never anything else.
@Suite struct PNGDamageTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A file and what an error says of it, or no text where libpng reads the pixels regardless.
    struct Malformed: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let channels: Int
        let bytes: [UInt8]
        let error: String?
        /// What it says where the file is a label of three numbers.
        let label: String?

        init(_ description: String, channels: Int = 3, error: String?, label: String? = nil, _ parts: [UInt8]...) {
            testDescription = description
            self.channels = channels
            self.error = error
            self.label = label ?? error
            bytes = parts.reduce(HandmadePNG.signature, +)
        }
    }

    private static let rgb = HandmadePNG.header(2, 2, colorType: 2)
    private static let pixels: [[UInt8]] = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 250, 251, 252]]
    private static let data = HandmadePNG.data(pixels)
    private static let end = HandmadePNG.end
    private static let palette = HandmadePNG.header(2, 2, colorType: 3)
    private static let indices = HandmadePNG.data([[0, 1], [1, 0]])
    private static let colours = HandmadePNG.chunk("PLTE", [1, 2, 3, 4, 5, 6])
    private static let gamma = HandmadePNG.chunk("gAMA", HandmadePNG.word(45455))

    /// IHDR 99 x 99, IDAT, IHDR 1 x 1, IEND: 224 bytes that once wrote 29 403 bytes into a buffer of three.
    private static let secondHeader = """
        iVBORw0KGgoAAAANSUhEUgAAAGMAAABjCAIAAAAAWSnCAAAAjklEQVR42u3QMQEAAAwCIKvZv5QVth8ikHITBaZMmTJlyhSmTJky\
        ZcoUpkyZMmXKlClMmTJlypQpTJkyZcqUKVOYMmXKlClTmDJlypQpU6YwZcqUKVOmMGXKlClTpkxhypQpU6ZMYcqUKVOmTGHKlClT\
        pkyZwpQpU6ZMmcKUKVOmTJkyhSlTpkyZMoWptwFI8CtPoEqFogAAAA1JSERSAAAAAQAAAAEIAgAAAJB3U94AAAAASUVORK5CYII=
        """

    static let malformed: [Malformed] = {
        let found = Data(base64Encoded: secondHeader).map { [UInt8]($0.dropFirst(8)) } ?? []
        return [
            Malformed("second IHDR, smaller", error: "IHDR: out of place", found),
            Malformed(
                "second IHDR, larger", error: "IHDR: out of place", rgb, data,
                HandmadePNG.header(4000, 4000, colorType: 2), end),
            Malformed("second IHDR, the same", error: "IHDR: out of place", rgb, data, rgb, end),
            Malformed("second IHDR at once", error: "IHDR: out of place", rgb, rgb, data, end),
            Malformed(
                "16 bit, then 8", error: "IHDR: out of place", HandmadePNG.header(1, 2, depth: 16, colorType: 2), rgb,
                data, end),
            Malformed(
                "RGBA, then RGB", error: "IHDR: out of place", HandmadePNG.header(2, 2, colorType: 6), rgb, data, end),
            Malformed(
                "grey, then RGB", error: "IHDR: out of place", HandmadePNG.header(6, 2, colorType: 0), rgb, data, end),
            Malformed(
                "16 bit, RGB after the data", error: "IHDR: out of place",
                label: "found a 16-bit RGB PNG, expected 8-bit RGB",
                HandmadePNG.header(1, 2, depth: 16, colorType: 2), data, rgb, end),
            Malformed(
                "RGBA, RGB after the data", error: "Not enough image data",
                label: "found a 8-bit RGBA PNG, expected 8-bit RGB",
                HandmadePNG.header(2, 2, colorType: 6), data, rgb, end),
            Malformed(
                "grey, RGB after the data", error: "IHDR: out of place",
                label: "found a 8-bit grey PNG, expected 8-bit RGB",
                HandmadePNG.header(6, 2, colorType: 0), data, rgb, end),
            Malformed("no IHDR", error: "Missing IHDR before IDAT", data, end),
            Malformed("IHDR after the data", error: "Missing IHDR before IDAT", data, rgb, end),
            Malformed("nothing but IEND", error: "IEND: out of place", end),
            Malformed("no IDAT", error: "IEND: out of place", rgb, end),
            Malformed("no IEND", error: "truncated", rgb, data),
            Malformed("two pictures", error: nil, rgb, data, end, rgb, data, end),
            Malformed("data after IEND", error: nil, rgb, data, end, [UInt8](repeating: 0xFF, count: 99)),
            Malformed("gAMA before IHDR", error: nil, gamma, rgb, data, end),
            Malformed("gAMA after the data", error: nil, rgb, data, gamma, end),
            Malformed("gAMA of another checksum", error: "gAMA: CRC error", rgb, gamma.dropLast() + [0], data, end),
            Malformed("a critical chunk nobody knows", error: "ABCD", rgb, HandmadePNG.chunk("ABCD", []), data, end),
            Malformed("a chunk between the data", error: "Too many IDATs", rgb, data, gamma, data, end),
            Malformed("the data twice", error: nil, rgb, data, data, end),
            Malformed("a row too many", error: "Too much image data", rgb, HandmadePNG.data(pixels + [pixels[0]]), end),
            Malformed("PLTE twice", channels: 1, error: "PLTE: duplicate", palette, colours, colours, indices, end),
            Malformed(
                "PLTE before and after", channels: 1, error: "PLTE: duplicate", palette, colours, indices,
                colours, end),
            Malformed("PLTE before IHDR", channels: 1, error: "PLTE: missing IHDR", colours, palette, indices, end),
            Malformed("PLTE after the data", channels: 1, error: "Missing PLTE", palette, indices, colours, end),
            Malformed(
                "tRNS after the data", error: "tRNS", rgb, data, HandmadePNG.chunk("tRNS", [0, 0, 0, 0, 0, 0]), end),
            Malformed("no width", error: "Image width is zero", HandmadePNG.header(0, 2, colorType: 2), data, end),
            Malformed("no height", error: "Image height is zero", HandmadePNG.header(2, 0, colorType: 2), data, end),
            Malformed("colour type 1", error: "Invalid color type", HandmadePNG.header(2, 2, colorType: 1), data, end),
            Malformed(
                "3 bits", error: "Invalid bit depth", HandmadePNG.header(2, 2, depth: 3, colorType: 2), data, end),
            Malformed(
                "IHDR of 12 bytes", error: "IHDR", HandmadePNG.chunk("IHDR", [UInt8](repeating: 1, count: 12)), end),
            Malformed(
                "a size its bytes cannot hold", error: "16384×16384 pixels (height × width), expected no more than a",
                HandmadePNG.header(16384, 16384, colorType: 2), data, end),
            Malformed(
                "more pixels than can be", error: "16384×16385 pixels (height × width), expected 1...268435456",
                HandmadePNG.header(16385, 16384, colorType: 2), data, end),
            Malformed(
                "the largest size", error: "2147483647×2147483647 pixels",
                HandmadePNG.header(0x7FFF_FFFF, 0x7FFF_FFFF, colorType: 2), data, end),
            Malformed(
                "a size below zero", error: "out of range",
                HandmadePNG.header(0x8000_0000, 2, colorType: 2), data, end),
        ]
    }()

    @Test(arguments: malformed)
    func oneImageOrOneLine(file: Malformed) throws {
        let url = try folder.write(file.bytes, "x.png")
        guard let error = file.error else {
            #expect(try Image.read(url, channels: file.channels).pixels == Self.pixels.flatMap { $0 })
            #expect(try Image.readColours(url).pixels == Self.pixels.flatMap { $0 })
            return
        }
        expectError("x.png: ", error) { _ = try Image.read(url, channels: file.channels) }
    }

    /// What the parts are, whole and in order, is read: no error above comes from how the parts are made.
    @Test func thePartsAreSound() throws {
        #expect(Data(base64Encoded: Self.secondHeader)?.count == 224)
        let rgb = try folder.write(HandmadePNG.signature + Self.rgb + Self.gamma + Self.data + Self.end, "rgb.png")
        #expect(try Image.read(rgb, channels: 3).pixels == Self.pixels.flatMap { $0 })
        let labels = try folder.write(
            HandmadePNG.signature + Self.palette + Self.colours + Self.indices + Self.end, "labels.png")
        #expect(try Image.read(labels, channels: 1).pixels == [0, 1, 1, 0])
        let size = Self.malformed.first { $0.testDescription == "a size its bytes cannot hold" }?.bytes.count ?? 0
        // As many rows of zeros as deflate can make of a file of that size are believed, for want of a better bound.
        let side = size * 1032 / 3
        let row = try folder.write(
            HandmadePNG.signature + HandmadePNG.header(side, 1, colorType: 2) + Self.data + Self.end, "row.png")
        expectError("row.png", "Not enough image data") { _ = try Image.read(row, channels: 3) }
    }

    /// Images, segmentation and normals go through the same reader.
    @Test(arguments: malformed.filter { $0.error != nil })
    func throughADataset(file: Malformed) throws {
        for damaged in file.channels == 3 ? ["img", "normal_mask"] : ["seg"] {
            for name in ["img", "seg", "normal_mask"] {
                try FileManager.default.createDirectory(
                    at: folder.file(name), withIntermediateDirectories: true)
                let whole = [UInt8](repeating: 1, count: name == "seg" ? 4 : 12)
                try Image(width: 2, height: 2, channels: whole.count / 4, pixels: whole)
                    .write(to: folder.file("\(name)/0.png"))
            }
            func sample() throws -> Sample {
                try NYUv2Dataset(
                    root: folder.url, DatasetRequest(labels: LabelRequest.standard(["segmentation", "normals"]))
                ).sample(0)
            }
            #expect(try sample().image.count == 12)
            try folder.write(file.bytes, "\(damaged)/0.png")
            let error = damaged == "normal_mask" ? file.label : file.error
            expectError("\(damaged)/0.png: ", error ?? "") { _ = try sample() }
        }
    }

    /// Small files of every kind that is read, by channels.
    private var small: [(channels: Int, bytes: [UInt8], pixels: [UInt8])] {
        get throws {
            let written = Image(width: 3, height: 2, channels: 3, pixels: (0..<18).map { UInt8($0 * 13) })
            try written.write(to: folder.file("written.png"))
            let grey = (0..<35).map { UInt8($0 * 7) }
            return [
                (3, [UInt8](try Data(contentsOf: folder.file("written.png"))), written.pixels),
                (1, HandmadePNG.interlaced(width: 7, height: 5, channels: 1, pixels: grey), grey),
                (1, HandmadePNG.signature + Self.palette + Self.colours + Self.indices + Self.end, [0, 1, 1, 0]),
            ]
        }
    }

    @Test func everyTruncationIsAnError() throws {
        for file in try small {
            for length in 0..<file.bytes.count {
                let url = try folder.write(file.bytes.prefix(length), "cut.png")
                expectError("cut.png: ") { _ = try Image.read(url, channels: file.channels) }
            }
        }
    }

    /// One bit of every byte turned over, and all of them: as damage leaves it, and with the checksum made right again.
    @Test(arguments: [false, true])
    func everyByteMatters(repaired: Bool) throws {
        var (refused, tried) = (0, 0)
        for file in try small {
            for (position, mask) in file.bytes.indices.flatMap({ [($0, 1 << ($0 % 8)), ($0, 0xFF)] }) {
                tried += 1
                var bytes = file.bytes
                bytes[position] ^= UInt8(mask)
                if repaired { Self.repair(&bytes) }
                let url = try folder.write(bytes, "bad.png")
                do {
                    let image = try Image.read(url, channels: file.channels)
                    // With a sound checksum it may be a picture of other values; never one of another length.
                    #expect(image.pixels.count == image.width * image.height * image.channels)
                    #expect(repaired || image.pixels == file.pixels, "byte \(position), \(mask)")
                } catch let error as InputError {
                    refused += 1
                    #expect(error.description.contains("bad.png: ") && !error.description.contains("\n"), "\(error)")
                }
            }
        }
        // Nothing but the last chunks' own checksums could be of no consequence, and libpng checks those too.
        #expect(repaired ? refused > tried / 2 : refused == tried)
    }

    /// Sets the checksum of every whole chunk.
    private static func repair(_ bytes: inout [UInt8]) {
        var at = 8
        while at + 12 <= bytes.count {
            let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= bytes.count - at - 12 else { return }
            let sum = HandmadePNG.checksum(bytes[at + 4..<at + 8 + length])
            bytes.replaceSubrange(at + 8 + length..<at + 12 + length, with: HandmadePNG.word(Int(sum)))
            at += 12 + length
        }
    }
}
