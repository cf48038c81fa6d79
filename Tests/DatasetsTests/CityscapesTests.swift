import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

/// Both layouts of Cityscapes, each in files of exactly its format.
@Suite struct CityscapesTests {
    private let files: Layout

    init() throws { files = try Layout() }

    private static func classes(_ count: Int) -> LabelRequest {
        LabelRequest(
            name: "segmentation", format: LabelFormat(.classes, absent: -1), classes: count, place: "tasks.0")
    }
    private static let disparity = LabelRequest(
        name: "depth", format: LabelFormat(.numbers, absent: 0), place: "tasks.1")

    private func open(_ labels: [LabelRequest] = [classes(19), disparity]) throws -> any Dataset {
        try CityscapesReader().open(DatasetRequest(root: files.root, labels: labels, validation: 0))
    }

    // MARK: - The authors' layout

    /// Three images of 2 × 3 pixels, of which the first is tested.
    private func writeAuthors(label19: [Float] = [-1, 0, 18, 3, 4, 5]) throws {
        for i in 0..<3 {
            try files.array("image/\(i).npy", [2, 3, 3], (0..<18).map { Float(($0 * 9 + i) % 256) / 255 })
            try files.array("depth/\(i).npy", [2, 3, 1], [0, 0.25, 0.5, 0.125, 1, Float(i)])
            try files.array("label2/\(i).npy", [2, 3], [-1, 0, 1, 1, 0, 0])
            try files.array("label7/\(i).npy", [2, 3], [-1, 0, 1, 2, 3, 6])
            try files.array("label19/\(i).npy", [2, 3], label19)
        }
        try files.text("cityscape.json", "{\"train\": [\(Self.row(0)), \(Self.row(1))], \"test\": [\(Self.row(2))]}")
    }

    private static func row(_ i: Int) -> String {
        let paths = ["image", "depth", "label2", "label7", "label19"].map { "\"\($0)/\(i).npy\"" }
        return "[\(paths.joined(separator: ", "))]"
    }

    @Test func readsTheAuthorsArrays() throws {
        try writeAuthors()
        let dataset = try open()
        #expect(dataset.count == 3 && dataset.labels == ["segmentation", "depth"])
        #expect(dataset.splits.train == [0, 1] && dataset.splits.test == [2])
        let sample = try dataset.sample(0)
        #expect(sample.name == "image/0" && (sample.height, sample.width) == (2, 3))
        #expect(sample.image == (0..<18).map { UInt8($0 * 9) })
        #expect(sample.labels["depth"]?.values == .numbers([0, 0.25, 0.5, 0.125, 1, 0]))
        #expect(sample.labels["segmentation"]?.values == .bytes([255, 0, 18, 3, 4, 5]))
        let batch = try Batch(whole: 0, of: dataset, labels: [Self.classes(19)])
        #expect(batch.labels["segmentation"]?.classes == [-1, 0, 18, 3, 4, 5])
        try files.integers("label19/1.npy", (2, 3), [18, -1, 0, 5, 4, 3])
        #expect(try dataset.sample(1).labels["segmentation"]?.values == .bytes([18, 255, 0, 5, 4, 3]))
        let coarse = try open([Self.classes(7)]).sample(0)
        #expect(coarse.labels["segmentation"]?.values == .bytes([255, 0, 1, 2, 3, 6]) && coarse.labels.count == 1)
        #expect(try open([Self.classes(2)]).sample(0).labels["segmentation"]?.values == .bytes([255, 0, 1, 1, 0, 0]))
    }

    @Test func namesWhatIsWrongWithArrays() throws {
        expectError(files.root, "neither cityscape.json nor a folder leftImg8bit", "gtFine_trainvaltest.zip") {
            _ = try open()
        }
        expectError("nowhere", "no such folder", "cityscape.json") {
            _ = try CityscapesReader().open(DatasetRequest(root: files.root + "/nowhere", labels: []))
        }
        try writeAuthors(label19: [-1, 0, 19, 3, 4, 5])
        expectError("label19/0.npy", "row 0, column 2", "label 19", "0...18 or -1 for none") {
            _ = try open().sample(0)
        }
        try files.array("label19/0.npy", [2, 3], [0, 0, 0, 0, -2, 0])
        expectError("label19/0.npy", "row 1, column 1", "label -2") { _ = try open().sample(0) }
        try files.array("label19/0.npy", [2, 3], [0, 0.5, 0, 0, 0, 0])
        expectError("label19/0.npy", "row 0, column 1", "0.5", "a class") { _ = try open().sample(0) }
        try files.array("label19/0.npy", [3, 2], [0, 0, 0, 0, 0, 0])
        expectError("label19/0.npy", "shape [3, 2]", "[2, 3] as in the image") { _ = try open().sample(0) }
        try files.array("depth/1.npy", [3, 2], [0, 0, 0, 0, 0, 0])
        expectError("depth/1.npy", "shape [3, 2]", "[2, 3] as in the image") {
            _ = try open([Self.disparity]).sample(1)
        }
        try files.array("image/1.npy", [3, 2, 3], (0..<18).map { $0 == 7 ? 7 : 0 })
        expectError("image/1.npy", "row 1, column 0", "7.0", "colours from 0 to 1") { _ = try open().sample(1) }
        try files.array("image/1.npy", [3, 2], [0, 0, 0, 0, 0, 0])
        expectError("image/1.npy", "shape [3, 2]", "[height, width, 3]") { _ = try open().sample(1) }
        expectError("tasks.0.channels", "found 20", "2 or 7 or 19") { _ = try open([Self.classes(20)]) }
        expectError("tasks.0.label", "'normals'", "depth, segmentation") {
            _ = try open([LabelRequest(name: "normals", format: LabelFormat(.numbers, absent: 255), place: "tasks.0")])
        }
        try files.remove("depth/2.npy")
        expectError("cityscape.json: split 'test', entry 0", "'depth/2.npy'", "a file below") { _ = try open() }
        #expect(try open([Self.classes(19)]).count == 3)
        try files.text("cityscape.json", "{\"train\": [[\"image/0.npy\", \"depth/0.npy\"]]}")
        expectError("cityscape.json: split 'train', entry 0", "2 paths", "label19]") { _ = try open() }
        try files.text("cityscape.json", "{\"train\": [[")
        expectError("cityscape.json", "invalid JSON", "split name") { _ = try open() }
    }

    // MARK: - The official layout

    private func writeOfficial(_ split: String, _ city: String, _ frame: String, ids: [UInt8]) throws {
        let name = "\(split)/\(city)/\(city)_\(frame)"
        try files.image("leftImg8bit/\(name)_leftImg8bit.png", 2, 4, (0..<24).map { UInt8($0) })
        try files.image("gtFine/\(name)_gtFine_labelIds.png", 2, 4, ids)
        // Beside the labels lie files that are none.
        try files.image("gtFine/\(name)_gtFine_instanceIds.png", 2, 4, ids)
        try files.grey16("disparity/\(name)_disparity.png", 2, 4, [0, 1, 2, 257, 258, 32_257, 65_535, 129])
    }

    @Test func readsTheOfficialFiles() throws {
        try writeOfficial("train", "ulm", "000001_000019", ids: [0, 7, 33, 31, 9, 18, 24, 255])
        try writeOfficial("train", "aachen", "000000_000019", ids: [8, 11, 12, 13, 17, 19, 20, 21])
        try writeOfficial("val", "munster", "000000_000019", ids: [22, 23, 25, 26, 27, 28, 32, 29])
        let dataset = try open()
        #expect(dataset.count == 3 && dataset.splits.train == [0, 1] && dataset.splits.test == [2])
        let aachen = try dataset.sample(0)
        #expect(aachen.name == "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit")
        #expect(aachen.image == (0..<24).map { UInt8($0) })
        #expect(aachen.labels["segmentation"]?.values == .bytes([1, 2, 3, 4, 5, 6, 7, 8]))
        let pixels: [Float] = [0, 0, 0.00390625, 1, 1.00390625, 126, 255.9921875, 0.5]
        #expect(aachen.labels["depth"]?.values == .numbers(pixels))
        #expect(try dataset.sample(1).labels["segmentation"]?.values == .bytes([255, 0, 18, 16, 255, 255, 11, 255]))
        #expect(try dataset.sample(2).labels["segmentation"]?.values == .bytes([9, 10, 12, 13, 14, 15, 17, 255]))
        let categories = try open([Self.classes(7)])
        #expect(try categories.sample(0).labels["segmentation"]?.values == .bytes([0, 1, 1, 1, 2, 2, 2, 3]))
        #expect(try categories.sample(1).labels["segmentation"]?.values == .bytes([255, 0, 6, 6, 255, 255, 5, 255]))
        #expect(try categories.sample(2).labels["segmentation"]?.values == .bytes([3, 4, 5, 6, 6, 6, 6, 255]))
    }

    @Test func namesWhatIsMissingOfTheOfficialFiles() throws {
        try writeOfficial("train", "ulm", "000001_000019", ids: [0, 7, 33, 31, 9, 18, 24, 255])
        try writeOfficial("train", "ulm", "000002_000019", ids: [0, 7, 33, 31, 9, 18, 24, 255])
        expectError("tasks.0.channels", "found 2", "7 or 19", "official") { _ = try open([Self.classes(2)]) }
        #expect(try open().splits.test.isEmpty)
        try files.remove("disparity/train/ulm/ulm_000002_000019_disparity.png")
        let lacking = try open()
        #expect(lacking.carries("depth", at: 0) && !lacking.carries("depth", at: 1))
        #expect(lacking.splits.notices.contains { $0.contains("1 of 2 images have no file in disparity") })
        try files.remove("disparity/train/ulm/ulm_000001_000019_disparity.png")
        expectError("no depth label in any of 2 entries") { _ = try open() }
        try files.remove("disparity")
        expectError("disparity/train", "no such folder") { _ = try open() }
        try files.image("gtFine/train/ulm/ulm_000001_000019_gtFine_labelIds.png", 4, 2, [0, 0, 0, 0, 0, 0, 0, 0])
        expectError("labelIds.png", "4×2", "2×4 as in the image") { _ = try open([Self.classes(19)]).sample(0) }
    }
}
