import AdaShareFiles
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

@Suite struct ImageTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test(arguments: [1, 3], [(1, 1), (5, 3), (33, 17)])
    func roundTrip(channels: Int, size: (Int, Int)) throws {
        var random = SeededGenerator(seed: UInt64(channels))
        let pixels = (0..<size.0 * size.1 * channels).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let image = Image(width: size.0, height: size.1, channels: channels, pixels: pixels)
        try image.write(to: folder.file("a.png"))
        #expect(try Image.read(folder.file("a.png"), channels: channels) == image)
        var other = pixels
        other[0] ^= 1
        #expect(try Image.read(folder.file("a.png"), channels: channels).pixels != other)
        #expect(folder.names == ["a.png"])
    }

    @Test func readsHandmadeFiles() throws {
        let rows: [[UInt8]] = [[1, 2, 3, 4, 5, 6], [250, 251, 252, 253, 254, 255]]
        // A gamma chunk must not change label values.
        let gamma = (type: "gAMA", data: HandmadePNG.word(100_000))
        let rgb = try folder.write(
            HandmadePNG.file(width: 2, height: 2, depth: 8, colorType: 2, rows: rows, extra: [gamma]), "rgb.png")
        #expect(try Image.read(rgb, channels: 3).pixels == rows.flatMap { $0 })
        let grey = try folder.write(
            HandmadePNG.file(width: 6, height: 2, depth: 8, colorType: 0, rows: rows, extra: [gamma]), "grey.png")
        #expect(try Image.read(grey, channels: 1).pixels == rows.flatMap { $0 })
        let colours = (0..<20).flatMap { [UInt8(7), UInt8($0), UInt8(200 - $0)] }
        let palette = try folder.write(
            HandmadePNG.file(
                width: 3, height: 2, depth: 8, colorType: 3, rows: [[0, 19, 3], [7, 7, 12]],
                extra: [(type: "PLTE", data: colours)]), "palette.png")
        #expect(try Image.read(palette, channels: 1).pixels == [0, 19, 3, 7, 7, 12])
        let nibbles = try folder.write(
            HandmadePNG.file(
                width: 3, height: 1, depth: 4, colorType: 3, rows: [[0x2F, 0x10]],
                extra: [(type: "PLTE", data: Array(colours.prefix(48)))]), "nibbles.png")
        #expect(try Image.read(nibbles, channels: 1).pixels == [2, 15, 1])
        // A label needs no colour of its own.
        let colourless = try folder.write(
            HandmadePNG.file(
                width: 3, height: 1, depth: 8, colorType: 3, rows: [[0, 254, 255]],
                extra: [(type: "PLTE", data: Array(colours.prefix(6)))]), "colourless.png")
        #expect(try Image.read(colourless, channels: 1).pixels == [0, 254, 255])
    }

    @Test(arguments: [(1, 1), (5, 3), (9, 10), (33, 17)])
    func readsInterlacedFiles(width: Int, height: Int) throws {
        var random = SeededGenerator(seed: UInt64(width))
        let grey = (0..<width * height).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let rgb = (0..<3 * width * height).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let files = try [(1, grey), (3, rgb)].map { channels, pixels in
            try folder.write(
                HandmadePNG.interlaced(width: width, height: height, channels: channels, pixels: pixels),
                "\(channels).png")
        }
        #expect(try Image.read(files[0], channels: 1).pixels == grey)
        #expect(try Image.read(files[1], channels: 3).pixels == rgb)
    }

    @Test func wrongKindsAreErrors() throws {
        func file(_ depth: UInt8, _ type: UInt8, _ bytes: Int, _ extra: [(type: String, data: [UInt8])] = []) throws
            -> URL
        {
            try folder.write(
                HandmadePNG.file(
                    width: 1, height: 1, depth: depth, colorType: type, rows: [[UInt8](repeating: 1, count: bytes)],
                    extra: extra), "x.png")
        }
        let grey16 = try file(16, 0, 2)
        expectError("x.png", "16-bit grey", "8-bit grey or palette") { _ = try Image.read(grey16, channels: 1) }
        let rgb16 = try file(16, 2, 6)
        expectError("x.png", "16-bit RGB", "8-bit RGB") { _ = try Image.readColours(rgb16) }
        let rgba = try file(8, 6, 4)
        expectError("RGBA", "8-bit RGB") { _ = try Image.readColours(rgba) }
        let greyAlpha = try file(8, 4, 2)
        expectError("grey + alpha") { _ = try Image.read(greyAlpha, channels: 1) }
        let grey4 = try file(4, 0, 1)
        expectError("4-bit grey") { _ = try Image.read(grey4, channels: 1) }
        let rgb = try file(8, 2, 3)
        expectError("8-bit RGB PNG", "expected 8-bit grey") { _ = try Image.read(rgb, channels: 1) }
        let grey = try file(8, 0, 1)
        expectError("8-bit grey PNG", "expected 8-bit RGB") { _ = try Image.readColours(grey) }
        let keyed = try file(8, 2, 3, [(type: "tRNS", data: [0, 1, 0, 1, 0, 1])])
        expectError("transparent") { _ = try Image.readColours(keyed) }
        // As a picture each of them is read.
        let (dark, bright) = try (file(16, 2, 6), [UInt8](repeating: 1, count: 3))
        #expect(try Image.read(dark, channels: 3).pixels == bright)
    }

    /// Where every pixel has a colour, alpha changes nothing; where one has not, nothing is made up.
    @Test func opaqueImagesAreThoseWithoutTransparentPixels() throws {
        func file(
            _ depth: UInt8, _ type: UInt8, _ row: [UInt8], _ extra: [(type: String, data: [UInt8])] = []
        ) throws -> URL {
            try folder.write(
                HandmadePNG.file(width: 2, height: 1, depth: depth, colorType: type, rows: [row], extra: extra), "x.png"
            )
        }
        let palette = (type: "PLTE", data: [UInt8]([9, 8, 7, 1, 2, 3]))
        for (depth, type, row, extra, expected) in [
            (8, 6, [1, 2, 3, 255, 4, 5, 6, 255], [], [1, 2, 3, 4, 5, 6]),
            (8, 4, [7, 255, 9, 255], [], [7, 7, 7, 9, 9, 9]),
            (16, 4, [7, 7, 255, 255, 9, 9, 255, 255], [], [7, 7, 7, 9, 9, 9]),
            (8, 3, [1, 0], [palette, ("tRNS", [255])], [1, 2, 3, 9, 8, 7]),
            (8, 2, [1, 2, 3, 4, 5, 6], [("tRNS", [0, 9, 0, 9, 0, 9])], [1, 2, 3, 4, 5, 6]),
            (8, 0, [7, 9], [], [7, 7, 7, 9, 9, 9]),
        ] as [(UInt8, UInt8, [UInt8], [(type: String, data: [UInt8])], [UInt8])] {
            #expect(try Image.readOpaque(file(depth, type, row, extra)).pixels == expected, "\(depth) \(type)")
        }
        for (depth, type, row, extra) in [
            (8, 6, [1, 2, 3, 254, 4, 5, 6, 255], []), (8, 4, [7, 255, 9, 0], []),
            (16, 6, [0, 1, 0, 2, 0, 3, 255, 255, 0, 4, 0, 5, 0, 6, 0, 0], []),
            (8, 3, [1, 0], [palette, ("tRNS", [0])]), (8, 2, [1, 2, 3, 4, 5, 6], [("tRNS", [0, 4, 0, 5, 0, 6])]),
        ] as [(UInt8, UInt8, [UInt8], [(type: String, data: [UInt8])])] {
            let image = try file(depth, type, row, extra)
            expectError("x.png", "1 of 2 pixels transparent", "an opaque image") { _ = try Image.readOpaque(image) }
            // Data sets leave alpha out.
            #expect(try Image.read(image, channels: 3).pixels.count == 6)
        }
    }

    /// Numbers come back as they were, whatever the file looks like.
    @Test func numbersAndIndicesRoundTrip() throws {
        let words: [UInt16] = [0, 1, 255, 256, 4660, 65535]
        try Image.write(words: words, width: 3, height: 2, to: folder.file("w.png"))
        #expect(try Image.readNumbers(folder.file("w.png")).values == words)
        let palette: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
        try Image.write(indices: [2, 0, 1, 1], palette: palette, width: 2, height: 2, to: folder.file("i.png"))
        #expect(try Image.read(folder.file("i.png"), channels: 1).pixels == [2, 0, 1, 1])
        #expect(try Image.read(folder.file("i.png"), channels: 3).pixels == [7, 8, 9, 1, 2, 3, 4, 5, 6, 4, 5, 6])
        for (limit, type) in [(256, "|u1"), (257, "<u2")] {
            try NPYArray.write([0, 255, 7], below: limit, shape: [3], to: folder.file("n.npy"))
            #expect(try NPYArray.read(folder.file("n.npy")) == NPYArray(shape: [3], values: [0, 255, 7]))
            let text = String(decoding: try Data(contentsOf: folder.file("n.npy")).dropFirst(10), as: UTF8.self)
            #expect(text.contains("'descr': '\(type)'"))
        }
    }

    @Test func damageIsAnError() throws {
        expectError("none.png", "no such file") { _ = try Image.read(folder.file("none.png"), channels: 3) }
        expectError("folder") { _ = try Image.read(folder.url, channels: 3) }
        var random = SeededGenerator(seed: 3)
        let pixels = (0..<3 * 40 * 30).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        try Image(width: 40, height: 30, channels: 3, pixels: pixels).write(to: folder.file("good.png"))
        let good = [UInt8](try Data(contentsOf: folder.file("good.png")))
        for length in [0, 4, 8, 20, 40, 100, good.count / 2, good.count - 12, good.count - 1] {
            let cut = try folder.write(Array(good.prefix(length)), "cut.png")
            expectError("cut.png") { _ = try Image.read(cut, channels: 3) }
        }
        for position in [0, 17, 25, 60, good.count / 2, good.count - 20] {
            var bad = good
            bad[position] ^= 0x55
            let file = try folder.write(bad, "bad.png")
            expectError("bad.png") { _ = try Image.read(file, channels: 3) }
        }
        // Whole chunks, but one row of pixels too few.
        let short = try folder.write(
            HandmadePNG.file(width: 2, height: 3, depth: 8, colorType: 0, rows: [[1, 2], [3, 4]]), "short.png")
        expectError("short.png") { _ = try Image.read(short, channels: 1) }
        let huge = try folder.write(
            HandmadePNG.file(width: 1 << 20, height: 1 << 20, depth: 8, colorType: 0, rows: [[1]]), "huge.png")
        expectError("huge.png", "1048576") { _ = try Image.read(huge, channels: 1) }
    }

    @Test func unwritableOutputIsAnError() throws {
        let image = Image(width: 1, height: 1, channels: 1, pixels: [1])
        expectError("no/such/a.png: ", "found no folder \(folder.file("no/such").path)") {
            try image.write(to: folder.file("no/such/a.png"))
        }
    }
}
