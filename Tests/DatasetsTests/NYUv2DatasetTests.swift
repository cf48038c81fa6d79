import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

@Suite struct NYUv2DatasetTests {
    static let all: Set<String> = ["segmentation", "normals", "depth"]
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Writes six tiny samples "0"..."5" without a split file.
    private func writeFiles(classOf: (Int) -> UInt8 = { UInt8($0) }) throws {
        for name in ["img", "seg", "normal_mask", "depth"] {
            try FileManager.default.createDirectory(at: folder.file(name), withIntermediateDirectories: true)
        }
        for i in 0..<6 {
            let rgb = [UInt8](repeating: UInt8(i), count: 4 * 3 * 3)
            try Image(width: 3, height: 4, channels: 3, pixels: rgb).write(to: folder.file("img/\(i).png"))
            try Image(width: 3, height: 4, channels: 3, pixels: rgb).write(to: folder.file("normal_mask/\(i).png"))
            try Image(width: 3, height: 4, channels: 1, pixels: [UInt8](repeating: classOf(i), count: 12))
                .write(to: folder.file("seg/\(i).png"))
            try NPYArray(shape: [4, 3], values: (0..<12).map { Float($0 + i) }).write(to: folder.file("depth/\(i).npy"))
        }
    }

    private func open(labels: Set<String> = all, classes: Int = 40) throws -> NYUv2Dataset {
        try NYUv2Dataset(
            root: folder.url, DatasetRequest(labels: LabelRequest.standard(labels, classes: classes)))
    }

    private func writeSplits(_ json: String) throws {
        try Data(json.utf8).write(to: folder.file("nyu_v2_3task.json"))
    }

    @Test(.enabled(if: realSamples != nil, "the shared NYU v2 samples are not beside the repository"))
    func readsRealSamples() throws {
        let root = try #require(realSamples)
        let dataset = try NYUv2Dataset(root: root, DatasetRequest(labels: LabelRequest.standard(Self.all)))
        #expect(dataset.count == 4)
        #expect(dataset.splits.train == [0, 1, 2, 3] && dataset.splits.test == [0, 1, 2, 3])
        #expect(dataset.splits.train1 == [0, 1, 2, 3] && dataset.splits.train2 == [0, 1, 2, 3])
        #expect(dataset.splits.validation.isEmpty && dataset.splits.notices.count >= 2)
        for (index, name) in ["0061", "0295", "0774", "1314"].enumerated() {
            let sample = try dataset.sample(index)
            #expect(sample.name == name && sample.height == 480 && sample.width == 640)
            let depth = try #require(sample.depth)
            #expect(depth.allSatisfy { $0 > 0.5 && $0 < 10 })
            #expect(try distinct(#require(sample.segmentation)) > 3)
            #expect(distinct(sample.image) > 100)
            let normals = try #require(sample.normals)
            var (valid, unit) = (0, 0)
            for at in stride(from: 0, to: normals.count, by: 3) {
                let colour = SIMD3(normals[at], normals[at + 1], normals[at + 2])
                guard colour.max() != 255 else { continue }
                valid += 1
                let normal = SIMD3<Float>(colour) / 127.5 - 1
                if abs((normal * normal).sum().squareRoot() - 1) < 0.05 { unit += 1 }
            }
            #expect(valid > 100_000 && Double(unit) > 0.95 * Double(valid))
        }
        // The file is column-major: converted, neighbours along a row are closer than along the stored order.
        let array = try NPYArray.read(root.appendingPathComponent("depth/0061.npy"))
        let jumps = array.values.count - 1
        let small = array.values.withUnsafeBufferPointer { values in
            (1...jumps).count { abs(values[$0] - values[$0 - 1]) < 0.01 }
        }
        #expect(small > jumps / 2)
    }

    private func distinct(_ bytes: [UInt8]) -> Int {
        var seen = [Bool](repeating: false, count: 256)
        for byte in bytes { seen[Int(byte)] = true }
        return seen.count { $0 }
    }

    @Test func pairsByStem() throws {
        try writeFiles()
        let dataset = try open()
        #expect(dataset.count == 6)
        let sample = try dataset.sample(2)
        #expect(sample.segmentation == [UInt8](repeating: 2, count: 12))
        #expect(sample.depth == (2..<14).map { Float($0) })
        #expect(try open(labels: ["depth"]).sample(2).segmentation == nil)
        try FileManager.default.removeItem(at: folder.file("depth/3.npy"))
        let partial = try open()
        #expect((0..<6).map { partial.carries("depth", at: $0) } == [true, true, true, false, true, true])
        #expect(partial.carriers(of: "depth", among: [2, 3]) == 1 && partial.carries("segmentation", at: 3))
        #expect(try partial.sample(3).depth == nil && partial.sample(3).segmentation != nil)
        for i in [0, 1, 2, 4, 5] { try FileManager.default.removeItem(at: folder.file("depth/\(i).npy")) }
        expectError("depth: ", "no *.npy with the name of an image", "0.npy") { _ = try open() }
        #expect(try open(labels: ["segmentation"]).count == 6)
    }

    @Test func photographsArePairedAsWell() throws {
        for name in ["img", "seg"] {
            try FileManager.default.createDirectory(at: folder.file(name), withIntermediateDirectories: true)
        }
        let goldens = try GoldenImage.all()
        for (name, golden) in [
            "img/0.jpg": "jpeg 4:2:0", "img/1.JPG": "jpeg grey", "img/2.png": "png grey", "seg/0.png": "png palette",
            "seg/1.png": "png palette", "seg/2.png": "png palette",
        ] {
            try folder.write(GoldenImage.file(golden), name)
        }
        let dataset = try open(labels: ["segmentation"])
        #expect(dataset.count == 3 && dataset.carriers(of: "segmentation", among: [0, 1, 2]) == 3)
        for (index, golden) in ["jpeg 4:2:0", "jpeg grey", "png grey"].enumerated() {
            #expect(try dataset.sample(index).image == goldens.first { $0.name == golden }?.rgb)
        }
        try folder.write(GoldenImage.file("png rgb"), "img/1.png")
        expectError("img/1.JPG and img/1.png", "one file of the name 1") { _ = try open(labels: ["segmentation"]) }
    }

    @Test func readsSplitFile() throws {
        try writeFiles()
        func row(_ i: Int) -> String {
            "[\"img/\(i).png\",\"seg/\(i).png\",\"normal_mask/\(i).png\",\"depth/\(i).npy\"]"
        }
        try writeSplits("{\"train\": [\(row(4)), \(row(1)), \(row(2))], \"test\": [\(row(0))]}")
        let dataset = try open()
        #expect(dataset.count == 4)
        #expect(try dataset.splits.train.map { try dataset.sample($0).name } == ["4", "1", "2"])
        #expect(try dataset.splits.test.map { try dataset.sample($0).name } == ["0"])
        try writeSplits("{\"train\": [\(row(4)), \(row(7))]}")
        expectError("nyu_v2_3task.json", "'train', entry 1", "7", "a file below") { _ = try open() }
        // All that is missing is named, each once.
        try writeSplits("{\"train\": [\(row(7)), \(row(1)), \(row(8))], \"test\": [\(row(7))]}")
        do {
            _ = try open()
            Issue.record("opened without its files")
        } catch let error as InputError {
            #expect(error.each.count == 8 && error.each.allSatisfy { $0.others.isEmpty })
            #expect(error.description.contains("likewise split 'test', entry 0: 'depth/7.npy'"), "\(error)")
            #expect(error.description.contains("'seg/8.png'") && !error.description.contains("\n"))
        }
        try writeSplits("{\"train\": [[\"img/1.png\"]]}")
        expectError("nyu_v2_3task.json", "entry 0", "1 paths") { _ = try open() }
        try writeSplits("{\"train\": []}")
        expectError("split 'train'", "no sample") { _ = try open() }
        try writeSplits(
            "{\"train\": [[\"img/1.png\", null, \"normal_mask/1.png\", null], \(row(0))]}")
        let lacking = try open()
        #expect(try lacking.sample(1).labels.keys.sorted() == ["normals"] && lacking.carries("depth", at: 0))
        try writeSplits("{\"train\": [[\"img/1.png\", null, \"normal_mask/1.png\", null]]}")
        expectError("no depth label in any of 1 entries") { _ = try open() }
        try writeSplits("{\"train\": [\"a\"]}")
        expectError("nyu_v2_3task.json", "train") { _ = try open() }
        try writeSplits("{\"train\": ")
        expectError("nyu_v2_3task.json", "JSON") { _ = try open() }
    }

    @Test func badLabelsAreErrors() throws {
        try writeFiles { $0 == 5 ? 40 : 255 }
        #expect(try open().sample(4).segmentation?[0] == 255)
        expectError("seg/5.png", "label 40", "0...39") { _ = try open().sample(5) }
        #expect(try open(classes: 41).sample(5).segmentation?[0] == 40)
        try NPYArray(shape: [3, 4], values: [Float](repeating: 1, count: 12)).write(to: folder.file("depth/0.npy"))
        expectError("depth/0.npy", "[3, 4]", "[4, 3]") { _ = try open().sample(0) }
        try NPYArray(shape: [4, 3], values: [Float](repeating: .nan, count: 12)).write(to: folder.file("depth/1.npy"))
        #expect(try open().sample(1).depth?.allSatisfy { $0 == 0 } == true)
        try Image(width: 4, height: 3, channels: 1, pixels: [UInt8](repeating: 1, count: 12))
            .write(to: folder.file("seg/2.png"))
        expectError("seg/2.png", "3×4", "4×3") { _ = try open().sample(2) }
        _ = try folder.write([1, 2, 3], "img/3.png")
        expectError("img/3.png", "signature") { _ = try open().sample(3) }
    }

    @Test func missingThingsAreErrors() throws {
        expectError("nowhere", "no such folder") {
            _ = try NYUv2Dataset(
                root: folder.file("nowhere"), DatasetRequest(labels: LabelRequest.standard(Self.all)))
        }
        expectError("img", "no readable folder") { _ = try open() }
        try FileManager.default.createDirectory(at: folder.file("img"), withIntermediateDirectories: true)
        expectError("img", "no *.png") { _ = try open() }
        expectError("'keypoints'", "a label of data set nyu_v2") { _ = try open(labels: ["keypoints"]) }
    }

    @Test(arguments: SceneClasses.allCases)
    func synthesizedScenesReadBackIdentical(classes: SceneClasses) throws {
        let scenes = try ScenesDataset(count: 12, height: 24, width: 32, seed: 5, classes: classes)
        let root = folder.file("out/scenes")
        try writeNYUFormat(scenes, to: root)
        let read = try NYUv2Dataset(
            root: root,
            DatasetRequest(
                labels: LabelRequest.standard(ScenesDataset.offers.keys, classes: classes.names.count), seed: 99))
        #expect(read.count == scenes.count && read.splits == scenes.splits)
        for index in 0..<scenes.count { #expect(try read.sample(index) == scenes.sample(index)) }
        expectError("not empty") { try writeNYUFormat(scenes, to: root) }
        let partial = try ScenesDataset(count: 2, height: 8, width: 8, seed: 5, labels: ["depth"])
        expectError("no segmentation") { try writeNYUFormat(partial, to: folder.file("partial")) }
        // Without the split file the pairing finds the same samples.
        try FileManager.default.removeItem(at: root.appendingPathComponent("nyu_v2_3task.json"))
        let paired = try NYUv2Dataset(
            root: root, DatasetRequest(labels: LabelRequest.standard(Self.all), seed: 99))
        #expect(paired.count == 12 && paired.splits.test.count == 12 && paired.splits.validation.count == 1)
    }
}
