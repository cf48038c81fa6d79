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
        expectError("no/such/a.png: ", "a folder that can be written") {
            try image.write(to: folder.file("no/such/a.png"))
        }
    }
}
