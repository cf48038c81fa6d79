import AdaShareDatasets
import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareTasks

extension CommandLineTests {
    /// What `predict` takes and writes.
    @Suite(.needsDevice) struct PredictCommandTests {
        private let folder: TemporaryFolder
        private let run: String
        private let rooms: String

        /// Twelve rooms and a network that has hardly seen them, made once.
        private static let trained = Result<LastingFolder, any Error> {
            let owner = try LastingFolder()
            let rooms = owner.folder.file("rooms").path
            _ = Command.run(["data", "synthesize", "--output", rooms, "--count", "12", "--size", "32x40"])
            let configuration = try owner.folder.write(Tiny.folder(rooms), "c.yml")
            let trained = Command.run(
                ["train", "--config", configuration.path, "--no-search", "--output", owner.folder.file("run").path])
            #expect(trained.status == 0, "\(trained.errors)")
            return owner
        }

        init() throws {
            folder = try TemporaryFolder()
            let made = try Self.trained.get().folder
            (run, rooms) = (made.file("run").path, made.file("rooms").path)
        }

        private func predict(_ output: String, _ more: [String]) -> Outcome {
            Command.run(["predict", "--run", run, "--output", folder.file(output).path] + more)
        }

        private func names(_ output: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: folder.file(output).path).sorted()
        }

        @Test func foldersAndPatternsAreTakenAndBadImagesNamedAtTheEnd() throws {
            let shots = folder.file("shots")
            try FileManager.default.createDirectory(at: shots, withIntermediateDirectories: true)
            for (name, golden) in [
                ("a.jpg", "jpeg 4:2:0"), ("b.png", "png grey, 16 bit"), ("c.png", "png palette"), ("d.PNG", "png rgba"),
                ("e.png", "png rgb"),
            ] { _ = try folder.write(GoldenImage.file(golden), "shots/\(name)") }
            _ = try folder.write("no image", "shots/notes.txt")
            _ = try folder.write(Array(GoldenImage.file("png rgb").dropLast(40)), "shots/f.png")
            let all = predict("out", ["--raw", shots.path])
            all.expectFailure(["2 of 6 images failed", "the others are done"])
            let said = all.lines.suffix(3)
            #expect(said.first?.contains("shots/d.PNG: found ") == true, "\(said)")
            #expect(said.first?.contains("of 391 pixels transparent, expected an opaque image") == true, "\(said)")
            #expect(said.dropFirst().first?.contains("shots/f.png: found ") == true, "\(said)")
            #expect(try names("out") == ["a", "b", "c", "e"].map { $0 + ".safetensors" })
            #expect(all.output.split(separator: "\n").count == 4)
            // A pattern that no shell has replaced, several at once: what each gives is what it gives alone.
            let several = predict("several", ["--raw", "--batch", "3", shots.path + "/[abce].*"])
            #expect(several.status == 0, "\(several.errors)")
            for name in try names("several") {
                let (one, other) = (
                    try TensorFile.read(folder.file("out/\(name)")), try TensorFile.read(folder.file("several/\(name)"))
                )
                for task in one.names {
                    let (a, b) = (try one.floats(task), try other.floats(task))
                    let most = a.map(abs).max() ?? 0
                    #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-4 * most }, "\(name) \(task)")
                }
            }
            // Colours are those that were stored, however they were.
            let golden = try #require(GoldenImage.all().first { $0.name == "png palette" })
            let plain = folder.file("plain.png")
            try Image(width: golden.width, height: golden.height, channels: 3, pixels: golden.rgb).write(to: plain)
            #expect(predict("plain", ["--raw", plain.path]).status == 0)
            #expect(
                try TensorFile.read(folder.file("plain/plain.safetensors"))
                    == TensorFile.read(folder.file("out/c.safetensors")))
            predict("none", [folder.file("none").path + "/*.png"]).expectFailure(["no file of that pattern"])
            #expect(!FileManager.default.fileExists(atPath: folder.file("none").path))
        }

        @Test func resultsNeverMeetImagesOrEachOther() throws {
            let shots = folder.file("shots")
            for name in ["p.png", "p_depth.png", "more/p.jpg"] {
                let url = shots.appendingPathComponent(name)
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(GoldenImage.file(name.hasSuffix("jpg") ? "jpeg 4:2:0" : "png rgb")).write(to: url)
            }
            let before = try Data(contentsOf: shots.appendingPathComponent("p_depth.png"))
            predict("shots", [shots.path]).expectFailure(["p_depth.png", "is read"])
            #expect(try Data(contentsOf: shots.appendingPathComponent("p_depth.png")) == before)
            let twice = predict("o", [shots.path, shots.path + "/more"])
            twice.expectFailure(code: 64, ["same name", "shots/p.png", "more/p.jpg"])
            // The same file in two ways is one.
            let once = predict("o", ["--raw", shots.path + "/p.png", shots.path + "/*/../p.png"])
            #expect(once.status == 0, "\(once.errors)")
            #expect(try names("o") == ["p.safetensors"])
        }

        @Test func formatsHoldTheSameNumbers() throws {
            let image = rooms + "/img/000003.png"
            let size = (height: 32, width: 40)
            for format in ["safetensors", "png", "npy"] {
                let outcome = predict(format, ["--output-format", format, "--upsample", "nearest", image])
                #expect(outcome.status == 0 && outcome.output.hasPrefix("000003"), "\(outcome.errors)")
            }
            let raw = try TensorFile.read(folder.file("safetensors/000003.safetensors"))
            func enlarged(_ task: String) throws -> Prediction {
                let shape = try #require(raw.tensors[task]?.shape)
                let (values, plane) = (try raw.floats(task), shape[1] * shape[2])
                let channelsLast = (0..<values.count).map { values[$0 % shape[0] * plane + $0 / shape[0]] }
                return Prediction(height: shape[1], width: shape[2], channels: shape[0], values: channelsLast)
                    .upsampled(height: size.height, width: size.width, by: .nearest)
            }
            let (depth, scores) = (try enlarged("depth").values, try enlarged("segmentation"))
            let classes = (0..<size.height * size.width).map { pixel in
                (0..<6).max { scores.values[pixel * 6 + $0] < scores.values[pixel * 6 + $1] } ?? 0
            }
            let metres = try NPYArray.read(folder.file("npy/000003_depth.npy"))
            #expect(metres.shape == [32, 40] && metres.values == depth)
            let millimetres = try Image.readNumbers(folder.file("png/000003_depth.png"))
            #expect(millimetres.values == depth.map { UInt16(max(0, ($0 * 1000).rounded())) })
            #expect((millimetres.width, millimetres.height) == (40, 32))
            let numbers = try NPYArray.read(folder.file("npy/000003_segmentation.npy"))
            #expect(numbers.values.map { Int($0) } == classes)
            // Indices of a palette, as files of labels are read, in the colours of pictures.
            let indices = try Image.read(folder.file("png/000003_segmentation.png"), channels: 1)
            #expect(indices.pixels.map(Int.init) == classes)
            let colours = try Image.read(folder.file("png/000003_segmentation.png"), channels: 3)
            let first = ColourMap.classColour(classes[0])
            #expect(Array(colours.pixels.prefix(3)) == [first.0, first.1, first.2])
            let directions = try NPYArray.read(folder.file("npy/000003_normals.npy"))
            #expect(directions.shape == [32, 40, 3])
            let (x, y, z) = (directions.values[0], directions.values[1], directions.values[2])
            #expect(abs(x * x + y * y + z * z - 1) < 1e-5)
            let normal = try Image.readColours(folder.file("png/000003_normals.png"))
            #expect(abs(Float(normal.pixels[0]) - (x + 1) * 127.5) <= 1)
            // Smoothly there is more than one number in a tile.
            #expect(predict("smooth", ["--output-format", "npy", image]).status == 0)
            let smooth = try NPYArray.read(folder.file("smooth/000003_depth.npy")).values
            #expect(Set(smooth).count > 2 * Set(depth).count)
            predict("o", ["--raw", "--output-format", "npy", image]).expectFailure(code: 64, ["--raw"])
        }

        /// Where the disk ends within an image's files, none of them is there.
        @Test(.enabled(if: Program.canMount, "needs a file system of its own"))
        func anImageHasAllItsFilesOrNone() throws {
            let image = rooms + "/img/000003.png"
            #expect(predict("whole", [image]).status == 0)
            let all = try names("whole")
            #expect(all.count == 4 && all.contains("000003_panel.png"))
            // A page less than they need: the panel, which is written last, is larger than one.
            let pages = try all.map { (try Data(contentsOf: folder.file("whole/\($0)")).count + 4095) / 4096 }
            let cut = folder.file("cut")
            try FileManager.default.createDirectory(at: cut, withIntermediateDirectories: true)
            let outcome = try Program.run(
                ["predict", "--run", run, "--output", cut.path, image], withoutRoomIn: cut,
                leaving: 4 * (pages.reduce(0, +) - 1))
            #expect(outcome.status == 1, "\(outcome.output)")
            let line = "Error: \(cut.path)/000003_panel.png: found write failed (No space left on device), expected"
            #expect(outcome.output.contains(line), "\(outcome.output)")
            #expect(!outcome.output.contains("\nleft "), "\(outcome.output)")
            // Nor where something is in the place of one.
            try FileManager.default.createDirectory(
                at: folder.file("busy/000003_panel.png"), withIntermediateDirectories: true)
            predict("busy", [image]).expectFailure(["busy/000003_panel.png: found a folder"])
            #expect(try names("busy") == ["000003_panel.png"])
        }

        @Test func labelsAndErrorsAreShownOfTheRunsOwnImages() throws {
            let own = rooms + "/img/000011.png"
            let copy = folder.file("copy.png")
            try FileManager.default.copyItem(atPath: own, toPath: copy.path)
            let outcome = predict("o", [own, copy.path])
            #expect(outcome.status == 0, "\(outcome.errors)")
            let lines = outcome.output.split(separator: "\n").map(String.init)
            #expect(lines.count == 2)
            #expect(lines[0].hasPrefix("000011_panel.png, left to right: image, segmentation, normals, depth ("))
            #expect(lines[0].hasSuffix(" m); below them labels and errors") && lines[1].hasSuffix(" m)"))
            let known = try Image.read(folder.file("o/000011_panel.png"), channels: 3)
            let unknown = try Image.read(folder.file("o/copy_panel.png"), channels: 3)
            #expect(known.height > 2 * unknown.height && unknown.height > 5 * 32)
            #expect(try names("o").count == 8)
        }
    }
}
