import AdaShareFiles
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

/// Files that other programs wrote, and what those programs say is in them.
@Suite struct GoldenFileTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Every colour type of PNG and JPEG, each pixel as Pillow decodes it: the arithmetic is the same, so are the bits.
    @Test func picturesAreAsPillowReadsThem() throws {
        let cases = try GoldenImage.all().filter { $0.name != "jpeg cmyk" }
        #expect(cases.count == 18)
        for (index, golden) in cases.enumerated() {
            // The name says nothing about the format.
            let url = try folder.write(golden.file, "x.png")
            let image = try Image.read(url, channels: 3)
            #expect(image.width == golden.width && image.height == golden.height, "\(golden)")
            #expect(differences(image.pixels, golden.rgb).largest == 0, "\(golden)")
            // Control: the next case is another picture, or the same with other losses.
            let other = cases[(index + 1) % cases.count]
            if golden.name.hasPrefix("jpeg"), other.name.hasPrefix("jpeg") {
                #expect(differences(image.pixels, other.rgb).count > 0 || golden.rgb == other.rgb, "\(golden)")
            }
        }
        // Control: half as many samples of colour are another picture by more than rounding.
        let full = try #require(cases.first { $0.name == "jpeg 4:4:4" })
        let halved = try #require(cases.first { $0.name == "jpeg 4:2:0" })
        #expect(differences(full.rgb, halved.rgb).largest > 8)
    }

    private func differences(_ a: [UInt8], _ b: [UInt8]) -> (largest: Int, count: Int) {
        guard a.count == b.count else { return (.max, .max) }
        let all = zip(a, b).map { abs(Int($0) - Int($1)) }
        return (all.max() ?? 0, all.count { $0 > 0 })
    }

    @Test func labelsAreExactOrRefused() throws {
        for golden in try GoldenImage.all() where golden.name.hasPrefix("jpeg") {
            let url = try folder.write(golden.file, "x.png")
            let refusal = "x.png: found a JPEG, whose values are not exact, expected the label as it was before"
            expectError(refusal) { _ = try Image.read(url, channels: 1) }
            expectError(refusal) { _ = try Image.readNumbers(url) }
            expectError(refusal) { _ = try Image.readColours(url) }
        }
        func label(_ name: String) throws -> Image {
            try Image.read(folder.write(GoldenImage.file(name), "x.png"), channels: 1)
        }
        // Sixteen indices, and no colour of theirs.
        let indices = try label("png palette").pixels
        #expect(Set(indices).max().map { $0 < 16 } == true && Set(indices).count > 8)
        #expect(try label("png palette, 4 bit").pixels == indices)
        for (name, remedy) in [
            ("png rgb", "indices of a palette"), ("png rgba", "without alpha"), ("png grey + alpha", "without alpha"),
            ("png grey, 1 bit", "saved with 8 bits"), ("png palette + alpha", "one without alpha"),
        ] {
            expectError("x.png: ", remedy) { _ = try label(name) }
        }
        let deep = try folder.write(GoldenImage.file("png grey, 16 bit"), "x.png")
        let numbers = try Image.readNumbers(deep).values
        let rounded = numbers.map { UInt8((Double($0) * 255 / 65535).rounded()) }
        #expect(try Image.read(deep, channels: 3).pixels == rounded.flatMap { [$0, $0, $0] })
        // Control: cutting the low byte off is another rounding.
        #expect(numbers.map { UInt8($0 >> 8) } != rounded)
    }

    @Test func arraysAreAsNumPyWritesThem() throws {
        let cases = try GoldenArray.all()
        let types = Set(cases.compactMap { $0.name.split(separator: " ").first })
        #expect(types.count == 21 && Set(cases.map(\.name)).count == cases.count)
        for golden in cases {
            let array = try NPYArray.read(folder.write(golden.file, "x.npy"))
            #expect(array == NPYArray(shape: golden.shape, values: golden.values), "\(golden)")
            // Control: of the other order of bytes or axes they are other numbers.
            var (data, header) = (golden.file, String(golden.name.prefix(1)))
            if header != "|" {
                header = header == "<" ? ">" : "<"
                let at = try #require(data.range(of: Data("'descr': '".utf8))).upperBound
                data[at] = try #require(header.utf8.first)
                #expect((try? NPYArray.read(folder.write(data, "y.npy"))) != array, "\(golden)")
            }
        }
    }

    @Test func integersThatFloatsDoNotHoldAreNamed() throws {
        let limit: Int64 = 1 << 24
        func read(_ values: [Int64], columnMajor: Bool = false) throws -> [Float] {
            try NPYArray.read(
                folder.write(HandmadeNPY.file("<i8", [2, 3], values, columnMajor: columnMajor), "x.npy")
            ).values
        }
        #expect(
            try read([limit, -limit, limit + 2, 1 << 40, 0, .min]) == [0x1p24, -0x1p24, 0x1p24 + 2, 0x1p40, 0, -0x1p63])
        expectError("x.npy: element [1, 2]: found 16777217, expected an integer that float32 holds") {
            _ = try read([0, 0, 0, 0, 0, limit + 1])
        }
        expectError("element [0, 1]: found -16777217") { _ = try read([0, -limit - 1, 0, 0, 0, 0]) }
        expectError("element [1, 0]: found -16777217") { _ = try read([0, -limit - 1, 0, 0, 0, 0], columnMajor: true) }
        let unsigned = try folder.write(HandmadeNPY.file("<u4", [1], [UInt32.max]), "u.npy")
        expectError("u.npy: element [0]: found 4294967295") { _ = try NPYArray.read(unsigned) }
    }
}
