import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareDatasets
@testable import AdaShareExperiments
@testable import AdaShareTasks

extension CommandLineTests {
    /// `data check` and `data preview`: what they print, draw, and return.
    @Suite struct DataCommandTests {
        private let folder: TemporaryFolder
        private let data: URL
        private let configuration: URL

        /// Twenty scenes in the format of NYU v2.
        init() throws {
            folder = try TemporaryFolder()
            data = folder.file("data")
            configuration = try folder.write(Tiny.folder(data.path), "c.yml")
            try TinyRooms.write(to: data, count: 20)
        }

        private func check(_ more: String...) -> Outcome {
            Command.run(["data", "check", "--config", configuration.path] + more)
        }

        private func file(_ name: String) -> URL { data.appendingPathComponent(name) }

        @Test func healthyDataIsSummedUp() throws {
            let outcome = check()
            #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
            for part in [
                "nyu_v2, 20 images of 32×32\n", "split       images  segmentation  normals  depth\n",
                "train           16            16       16     16\n", "without label", "normals 2",
            ] { #expect(outcome.output.contains(part), "\(part) in \(outcome.output)") }
            #expect(outcome.output.hasSuffix("\n0 errors, 0 warnings\n"), "\(outcome.output)")
            #expect(!outcome.output.contains("error: "))
            let json = try check("--json", "--tasks", "depth").json()
            #expect(json["problems"]?.items == [])
            let facts = try #require(json["data_sets"]?.items.first)
            #expect(facts["samples"] == 20 && facts["place"] == "dataset" && facts["undecoded"] == 0)
            let labels = try #require(facts["labels"]?.items)
            #expect(labels.count == 1 && labels[0]["name"] == "depth" && labels[0]["carriers"]?["test"] == 2)
            #expect(labels[0]["numbers"]?.items.first?["maximum"]?.double ?? 0 > 1)
        }

        @Test func everyBadFileIsListedAndTheExitCodeSaysSo() throws {
            try Data("no image".utf8).write(to: file("img/000004.png"))
            try Data(contentsOf: file("depth/000009.npy")).dropLast(4).write(to: file("depth/000009.npy"))
            try Data(contentsOf: file("img/000002.png")).write(to: file("img/000018.png"))
            let outcome = check()
            #expect(outcome.status == 1)
            let lines = outcome.output.split(separator: "\n")
            #expect(lines[0].hasPrefix("error: \(file("img/000004.png").path): found "), "\(lines)")
            #expect(lines[1].hasPrefix("error: \(file("depth/000009.npy").path): found "), "\(lines)")
            #expect(lines[2] == "warning: the same image in train (000002) and test (000018)")
            #expect(outcome.output.contains("; 2 with an error, left out of ranges and shares"))
            #expect(lines.last == "2 errors, 1 warning")
            // The answer is the list; nothing else went wrong.
            #expect(outcome.errors == "", "\(outcome.errors)")
            let json = check("--json")
            #expect(json.status == 1)
            #expect(try json.json()["problems"]?.items.map { $0["severity"] } == ["error", "error", "warning"])
            // Another data set has nothing that is bad.
            let scenes = check("--set", "dataset.kind=scenes", "--set", "dataset.count=20")
            #expect(scenes.status == 0)
            #expect(
                scenes.errors == "note: without effect with dataset.kind scenes: dataset.root\n", "\(scenes.errors)")
        }

        /// What `train` would not begin with is an error as well, though nothing is wrong with a file.
        @Test func whatTrainRefusesIsAnError() throws {
            let outcome = check("--set", "training.batch=17")
            #expect(outcome.status == 1 && outcome.errors == "", "\(outcome.errors)")
            let lines = outcome.output.split(separator: "\n")
            #expect(
                lines.first?.hasPrefix(
                    "error: train refuses this configuration: --set training.batch=17: training.batch: found 17, "
                        + "expected at most 16") == true, "\(outcome.output)")
            #expect(lines.last == "1 error, 0 warnings" && outcome.output.contains("20 images of 32×32"))
        }

        @Test func aDataSetThatDoesNotOpenIsAnError() throws {
            try FileManager.default.removeItem(at: file("seg/000003.png"))
            let outcome = check()
            #expect(outcome.status == 1)
            #expect(
                outcome.output.contains("error: ") && outcome.output.contains("seg/000003.png"), "\(outcome.output)")
            #expect(outcome.output.hasSuffix("1 error, 0 warnings\n"))
            // The other data set is checked all the same.
            let depth = "tasks.2.dataset={kind: scenes, count: 30, size: 16}"
            let two = check("--set", depth)
            #expect(two.status == 1)
            #expect(two.output.contains("error: dataset: "), "\(two.output)")
            #expect(two.output.contains("tasks.2.dataset: scenes, 30 images of 16×16"), "\(two.output)")
        }

        @Test func thePipelineIsTimed() throws {
            let rows = folder.file("rows.json")
            // A batch is more than the split has.
            let outcome = Command.run([
                "benchmark", "data", "--config", configuration.path, "--set", "training.batch=18", "--threads", "1,3",
                "--images", "18", "--json", rows.path,
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.output.hasPrefix("nyu_v2, crops of 32×32, batches of 18\n\nthreads "))
            #expect(outcome.output.contains("\none image on one thread: decoding "))
            let times = try #require(try JSONValue.parse(Data(contentsOf: rows)).items.first?["times"])
            #expect(times["rows"]?.items.compactMap { $0["threads"]?.integer } == [1, 3])
            #expect(times["rows"]?.items.allSatisfy { $0["images_per_second"]?.double ?? 0 > 1 } == true)
            #expect(times["parts"]?.keys == ["decode_ms", "image_ms", "labels_ms"])
        }

        private func preview(_ more: String...) -> Outcome {
            Command.run(
                ["data", "preview", "--config", configuration.path, "--output", folder.file("sheet.png").path] + more)
        }

        @Test func theSheetShowsWhatTrainingGets() throws {
            let outcome = preview("--count", "3", "--set", "dataset.augmentation=dense")
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.output.contains("left to right: image, segmentation, normals, depth (dark"))
            let sheet = try Image.read(folder.file("sheet.png"), channels: 3)
            // Crops of 32 five times enlarged, three rows of four, gaps of 6 around.
            #expect(sheet.width == 6 + 4 * 166 && sheet.height == 6 + 3 * 166)

            let experiment = try Experiment(
                try ExperimentConfiguration.load(configuration, overrides: ["dataset.augmentation=dense"]))
            let dataset = try experiment.makeDataset()
            let batch = try experiment.loaders([dataset], split: .train, phase: "warmup", startStep: 0).next()[0]
            #expect(outcome.output.contains("rows: " + batch.names.prefix(3).joined(separator: ", ")))
            func pixel(_ row: Int, _ column: Int, _ y: Int, _ x: Int) -> [Int] {
                let at = ((6 + row * 166 + 5 * y + 2) * sheet.width + 6 + column * 166 + 5 * x + 2) * 3
                return sheet.pixels[at..<at + 3].map { Int($0) }
            }
            let labels = try #require(batch.labels["segmentation"]?.classes)
            let normals = try #require(batch.labels["normals"]?.numbers)
            let mean = ImageNormalisation.published.mean
            var unlabelled = 0
            for row in 0..<3 {
                for y in 0..<32 {
                    for x in 0..<32 {
                        let at = (row * 32 + y) * 32 + x
                        let colour = [2, 1, 0].map { batch.image[3 * at + $0] }
                        let expected = zip(colour, [mean.z, mean.y, mean.x]).map { Int(($0 + $1).rounded()) }
                        #expect(pixel(row, 0, y, x) == expected)
                        let isGrey = labels[at] == 255
                        unlabelled += isGrey ? 1 : 0
                        let (r, g, b) = isGrey ? (128, 128, 128) : ColourMap.classColour(Int(labels[at]))
                        #expect(pixel(row, 1, y, x) == [Int(r), Int(g), Int(b)])
                        let normal = normals[3 * at..<3 * at + 3].map { Int($0) }
                        #expect(pixel(row, 2, y, x) == (normal.contains(255) ? [128, 128, 128] : normal))
                    }
                }
            }
            // Some crops reach over an edge, none lies outside.
            #expect(unlabelled > 0 && unlabelled < 3 * 32 * 32)

            let other = preview("--count", "3", "--seed", "8", "--split", "test")
            #expect(other.output.contains("rows: 00001"), "\(other.output)\(other.errors)")
            let whole = try Image.read(folder.file("sheet.png"), channels: 3)
            #expect(whole.height == 6 + 2 * 166, "the test split has two images")
        }

        /// A class of the whole image fills its cell; each data set has rows of its own.
        @Test func classesOfImagesOfTwoDataSetsAreDrawn() throws {
            for (domain, side) in [("real", 20), ("sketch", 30)] {
                for (index, name) in ["a", "b"].enumerated() {
                    let url = folder.file("\(domain)/images/\(name)")
                    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
                    for number in 0..<3 {
                        let pixels = [UInt8](repeating: UInt8(60 * number + 20 * index), count: side * side * 3)
                        try Image(width: side, height: side, channels: 3, pixels: pixels)
                            .write(to: url.appendingPathComponent("\(number).png"))
                    }
                }
            }
            let tasks = ["real", "sketch"].map { name in
                """
                  - name: \(name)
                    kind: classification
                    channels: 2
                    dataset: { kind: folders, root: \(folder.file(name).path), labels: [{ name: classification }] }
                """
            }
            let config = try folder.write(
                "tasks:\n" + tasks.joined(separator: "\n")
                    + "\ndataset: { crop: 160, augmentation: none, validation: 0 }\ntraining: { batch: 2 }\n",
                "two.yml")
            let url = folder.file("two.png")
            let outcome = Command.run([
                "data", "preview", "--config", config.path, "--count", "4", "--output", url.path,
            ])
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.output.components(separatedBy: "left to right: image, ").count == 3, "\(outcome.output)")
            let sheet = try Image.read(url, channels: 3)
            #expect(sheet.width == 6 + 2 * 166 && sheet.height == 6 + 4 * 166)
            let rows = outcome.output.split(separator: "\n").filter { $0.hasPrefix("rows: ") }
                .flatMap { $0.dropFirst(6).components(separatedBy: ", ") }
            #expect(rows.count == 4)
            for (row, name) in rows.enumerated() {
                let isB = name.hasPrefix("b/")
                #expect(name.hasSuffix(isB ? "(1)" : "(0)"), "\(name)")
                let (r, g, b) = ColourMap.classColour(isB ? 1 : 0)
                let at = ((6 + row * 166 + 80) * sheet.width + 6 + 166 + 80) * 3
                #expect(Array(sheet.pixels[at..<at + 3]) == [r, g, b])
            }

            let checked = Command.run(["data", "check", "--config", config.path])
            #expect(checked.status == 0, "\(checked.output)")
            #expect(checked.output.contains("a class for each image: of the images that carry it 0 % without label"))
            #expect(checked.output.contains("tasks.1.dataset: folders, 6 images of 30×30"), "\(checked.output)")
        }

        @Test func badUsageIsRefused() throws {
            let arguments = ["data", "preview", "--config", configuration.path, "--output"]
            expectFailure(arguments + ["a.png", "--count", "13"], code: 64, "--count", "from 1 to 12")
            expectFailure(arguments + ["a.jpg"], code: 64, "--output", ".png")
            expectFailure(arguments + ["\(folder.file("no").path)/a.png"], "a.png")
            expectFailure(arguments + [folder.file("a.png").path, "--split", "tset"], "'tset'", "validation")
            expectFailure(["data", "check", "--config", folder.file("no.yml").path], "no.yml")
            #expect(!FileManager.default.fileExists(atPath: folder.file("a.png").path))
        }
    }
}
