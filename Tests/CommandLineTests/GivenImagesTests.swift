import AdaShareDeviceLayer
import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import adashare

/// What becomes of the images that `predict` is given, whatever computes them.
@Suite struct GivenImagesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func image(_ name: String, side: Int) throws -> String {
        let url = folder.file(name)
        try Image(width: side, height: side, channels: 1, pixels: [UInt8](repeating: 9, count: side * side))
            .write(to: url)
        return url.path
    }

    private func batches(_ given: GivenImages, of count: Int, pixels: Int) throws -> [[String]] {
        var batches: [[String]] = []
        let failures = try given.forEachBatch(of: count, pixels: pixels) { paths, images in
            #expect(Set(images.map(\.width)).count == 1)
            batches.append(paths.map { GivenImages.stem($0) })
        }
        #expect(failures.isEmpty)
        return batches
    }

    /// As many of one size as were asked for and memory has room for; larger ones alone.
    @Test func largeImagesGoAlone() throws {
        let paths = try ["a", "b", "L", "c", "M", "d", "e"].map { name in
            try image(name + ".png", side: name < "a" ? 8 : 4)
        }
        let given = try GivenImages(paths)
        #expect(try batches(given, of: 3, pixels: 1000) == [["a", "b", "c"], ["L", "M"], ["d", "e"]])
        #expect(try batches(given, of: 3, pixels: 100) == [["L"], ["a", "b", "c"], ["M"], ["d", "e"]])
        #expect(try batches(given, of: 3, pixels: 40) == [["a", "b"], ["L"], ["M"], ["c", "d"], ["e"]])
        #expect(try batches(given, of: 3, pixels: 1) == paths.map { [GivenImages.stem($0)] })
        // Many sizes: not all of them wait.
        let sizes = try GivenImages((1...20).map { try image("s\($0).png", side: $0) })
        var most = 0
        var done = 0
        _ = try sizes.forEachBatch(of: 4, pixels: 50) { paths, images in
            done += images.count
            most = max(most, images.reduce(0) { $0 + $1.width * $1.height })
        }
        #expect(done == 20 && most == 400)
    }

    /// What the device has no memory for is one image's failure; what ends its context ends the command.
    @Test func whatIsTooLargeForTheDeviceIsNamed() throws {
        let given = try GivenImages(["a", "L", "b"].map { try image($0 + ".png", side: $0 == "L" ? 8 : 4) })
        var done: [String] = []
        let failures = try given.forEachBatch(of: 2) { paths, images in
            if images[0].width == 8 { throw DeviceError(call: "clCreateBuffer", code: -4, device: "toy") }
            done += paths
        }
        #expect(done.map { GivenImages.stem($0) } == ["a", "b"])
        #expect(failures.map(\.file) == [folder.file("L.png").path])
        let text = try #require(failures.first).description
        #expect(text.contains("found 8×8 pixels (height × width), more than the device has memory for (clCreateBuffer"))
        #expect(throws: DeviceError.self) {
            _ = try given.forEachBatch(of: 1) { _, _ in throw DeviceError(call: "clFinish", code: -5) }
        }
    }

    /// A file whose name is no text is one that fails, in a folder as by a pattern.
    @Test func namesThatAreNoTextAreSaid() throws {
        let good = try image("a.png", side: 4)
        let path = (Array((folder.url.path + "/caf").utf8) + [0xE9] + Array(".png\0".utf8)).map(CChar.init(bitPattern:))
        #expect(symlink("a.png", path) == 0)
        defer { unlink(path) }
        for argument in [folder.url.path, folder.url.path + "/*.png"] {
            let given = try GivenImages([argument])
            #expect(given.paths == [good])
            #expect(
                given.failures.map(\.description) == [
                    "\(folder.url.path)/caf\\xe9.png: found a name that is not UTF-8, expected another name"
                ])
        }
    }

    /// Pipes, sockets and devices are called what they are, and nobody waits for them.
    @Test func whatIsNoFileIsNamed() throws {
        let pipe = folder.file("pipe.png").path
        #expect(mkfifo(pipe, 0o600) == 0)
        let good = try image("a.png", side: 4)
        let given = try GivenImages([pipe, good, "/dev/null", folder.file("none*.png").path])
        let failures = try given.forEachBatch(of: 1) { _, _ in }
        #expect(
            failures.map(\.description) == [
                "\(folder.file("none*.png").path): found no file of that pattern, expected at least one image",
                "\(pipe): found a pipe, expected a file", "/dev/null: found a device, expected a file",
            ])
        // Each has a line, and one sums them up.
        var said = ""
        let console = Console(answer: { _ in }, remark: { said += $0 })
        let error = #expect(throws: GivenImages.FailedImages.self) { try given.end(with: failures, on: console) }
        #expect(said == failures.map { "\($0)\n" }.joined())
        #expect(error?.description == "3 of 4 images failed, as said above; the others are done")
        #expect(throws: InputError.self) { try GivenImages([pipe]).end(with: [failures[1]], on: console) }
    }
}
