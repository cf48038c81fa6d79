import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

/// Tiny-Taskonomy in files of exactly its format.
@Suite struct TaskonomyTests {
    private let files: Layout
    private static let all = LabelRequest.standard(
        ["segmentation", "normals", "depth", "keypoints", "edges"], classes: 17)
    /// Stored depths of the four pixels of an image.
    private static let depths: [UInt16] = [0, 1, 64_499, 64_500]

    init() throws { files = try Layout() }

    private func write(_ name: String) throws {
        try files.image("rgb/\(name).png", 2, 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
        try files.image("seg/\(name).png", 2, 2, [0, 1, 2, 17])
        try files.image("normal/\(name).png", 2, 2, [128, 127, 255, 0, 128, 254, 255, 0, 9, 10, 20, 30])
        try files.grey16("depth/\(name).png", 2, 2, Self.depths)
        try files.grey16("keypoint/\(name).png", 2, 2, [0, 164, 327, 328])
        try files.grey16("edge/\(name).png", 2, 2, [0, 2621, 5242, 65_535])
    }

    private static func row(_ name: String) -> String {
        let folders = ["rgb", "seg", "normal", "depth", "keypoint", "edge"]
        return "[" + folders.map { "\"\($0)/\(name).png\"" }.joined(separator: ", ") + "]"
    }

    private func writeBoth() throws {
        try write("a")
        try write("b")
        try files.text("taskonomy.json", "{\"train\": [\(Self.row("a"))], \"test\": [\(Self.row("b"))]}")
    }

    private func open(_ labels: [LabelRequest] = all) throws -> any Dataset {
        try Taskonomy().open(DatasetRequest(root: files.root, labels: labels, validation: 0))
    }

    /// Values of the four quarters of a sample, each of which must be of one value.
    private func quarters<Value: Equatable>(_ values: [Value]?, channels: Int = 1) throws -> [[Value]] {
        let values = try #require(values)
        #expect(values.count == 256 * 256 * channels)
        func pixel(_ y: Int, _ x: Int) -> [Value] {
            let start = (y * 256 + x) * channels
            return Array(values[start..<start + channels])
        }
        let found = [pixel(0, 0), pixel(0, 128), pixel(128, 0), pixel(128, 128)]
        for (y, x) in [(0, 127), (127, 0), (127, 127), (5, 9)] { #expect(pixel(y, x) == found[0]) }
        for (y, x) in [(127, 128), (0, 255), (127, 255)] { #expect(pixel(y, x) == found[1]) }
        for (y, x) in [(255, 127), (128, 127), (255, 0)] { #expect(pixel(y, x) == found[2]) }
        for (y, x) in [(255, 255), (128, 255), (255, 128)] { #expect(pixel(y, x) == found[3]) }
        return found
    }

    private func numbers(_ sample: Sample, _ label: String) -> [Float]? {
        if case .numbers(let values)? = sample.labels[label]?.values { values } else { nil }
    }

    @Test func readsEveryLabelByItsFormula() throws {
        try writeBoth()
        let dataset = try open()
        #expect(dataset.count == 2 && dataset.splits.train == [0] && dataset.splits.test == [1])
        let sample = try dataset.sample(0)
        #expect(sample.name == "rgb/a" && (sample.height, sample.width) == (256, 256))
        #expect(try quarters(sample.image, channels: 3) == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]])
        #expect(try quarters(sample.segmentation) == [[255], [0], [1], [16]])
        #expect(sample.labels["segmentation"]?.absent == 255)
        // The last pixel has no depth.
        #expect(
            try quarters(sample.normals, channels: 3) == [
                [128, 127, 254], [0, 128, 254], [254, 0, 9], [255, 255, 255],
            ])
        let depth = try quarters(numbers(sample, "depth")).joined()
        let far = Float(log(64_500.0) / log(65_536))
        #expect(Array(depth) == [0, 0.0625, far, 0] && far > 0.998)
        func check(_ label: String, _ expected: [Float]) throws {
            for (found, wanted) in zip(try quarters(numbers(sample, label)).joined(), expected) {
                #expect(abs(found - wanted) < 1e-6, "\(label): \(found), not \(wanted)")
            }
        }
        try check("keypoints", [-1, 164 / 65_536 / 0.0025 - 1, 327 / 65_536 / 0.0025 - 1, 1])
        try check("edges", [-1, 2621 / 65_536 / 0.04 - 1, 5242 / 65_536 / 0.04 - 1, 1])
    }

    @Test func readsOnlyWhatIsAskedFor() throws {
        try writeBoth()
        for name in ["seg", "keypoint", "edge"] { try files.remove(name) }
        let normals = try open(LabelRequest.standard(["normals"])).sample(0)
        #expect(normals.labels.keys.sorted() == ["normals"])
        #expect(try quarters(normals.normals, channels: 3)[3] == [255, 255, 255])
        // Without a depth every normal counts.
        try files.text("taskonomy.json", "{\"train\": [[\"rgb/a.png\", null, \"normal/a.png\", null]]}")
        #expect(
            try quarters(open(LabelRequest.standard(["normals"])).sample(0).normals, channels: 3)[3] == [10, 20, 30])
    }

    @Test func namesWhatIsWrong() throws {
        expectError(files.root, "no taskonomy.json", "rgb, seg, normal, depth, keypoint, edge") { _ = try open() }
        expectError("nowhere", "no such folder", "taskonomy.json") {
            _ = try Taskonomy().open(DatasetRequest(root: files.root + "/nowhere", labels: []))
        }
        try writeBoth()
        expectError("seg/a.png", "row 128, column 128", "found 17", "1...16", "0 for none") {
            _ = try open(LabelRequest.standard(["segmentation"], classes: 16)).sample(0)
        }
        try files.image("depth/a.png", 2, 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
        expectError("depth/a.png", "8-bit RGB PNG") { _ = try open().sample(0) }
        try files.grey16("depth/a.png", 2, 3, [1, 2, 3, 4, 5, 6])
        expectError("depth/a.png", "2×3 pixels (height × width)", "2×2 as in the image, or its proportions") {
            _ = try open().sample(0)
        }
        // Another resolution of the same view is none of a mistake.
        try files.grey16("depth/a.png", 4, 4, Array(repeating: 1, count: 16))
        #expect(try numbers(open().sample(0), "depth")?.allSatisfy { $0 == 0.0625 } == true)
        try files.remove("edge/b.png")
        expectError("taskonomy.json: split 'test', entry 0", "'edge/b.png'", "a file below") { _ = try open() }
        try files.text("taskonomy.json", "{\"train\": [[\"rgb/a.png\"]]}")
        expectError("split 'train', entry 0", "1 paths", "[rgb, seg") { _ = try open() }
        try files.text("taskonomy.json", "[1]")
        expectError("taskonomy.json", "split name") { _ = try open() }
    }
}
