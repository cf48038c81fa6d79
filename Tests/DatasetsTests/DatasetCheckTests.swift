import AdaShareFiles
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets
@testable import AdaShareSupport

/// A data set on disk, whole and with each fault.
@Suite struct DatasetCheckTests {
    private static let requests = LabelRequest.standard(["segmentation", "normals", "depth"], classes: 6)
    private let folder: TemporaryFolder
    private let root: URL

    /// Twenty scenes: 16 of train, of which 13 of train1, and two each of validation and test.
    init() throws {
        folder = try TemporaryFolder()
        root = folder.file("data")
        try writeNYUFormat(try ScenesDataset(count: 20, height: 24, width: 32, seed: 3), to: root)
    }

    private func open() throws -> NYUv2Dataset {
        try NYUv2Dataset(root: root, DatasetRequest(root: root.path, labels: Self.requests, cacheBytes: 0))
    }

    private func check(_ dataset: any Dataset, threads: Int = 2) -> DatasetReport {
        DatasetCheck(dataset, labels: Self.requests).run(threads: threads)
    }

    private static func errors(_ report: DatasetReport) -> [String] {
        report.problems.filter { $0.severity == .error }.map(\.message)
    }

    private static func warnings(_ report: DatasetReport) -> [String] {
        report.problems.filter { $0.severity == .warning }.map(\.message)
    }

    @Test func aHealthyDataSetHasNoProblem() throws {
        let dataset = try open()
        var told: [Int] = []
        let report = DatasetCheck(dataset, labels: Self.requests).run(threads: 3) { told.append($0) }
        #expect(report.problems == [])
        #expect(told == Array(1...20))
        let facts = report.facts
        #expect(facts.samples == 20 && facts.undecoded == 0)
        #expect(facts.sizes == [DatasetFacts.Size(height: 24, width: 32, images: 20)])
        #expect(facts.splits.map(\.name) == ["train", "train1", "train2", "validation", "test"])
        #expect(facts.splits.map(\.images) == [16, 12, 4, 2, 2])
        #expect(facts.labels.map(\.name) == ["depth", "normals", "segmentation"])
        #expect(facts.labels.allSatisfy { $0.carriers["train"] == 16 && $0.carriers["test"] == 2 })

        // The same by plain loops.
        var (classes, depths) = ([Int](repeating: 0, count: 6), [Double]())
        for index in 0..<20 {
            let sample = try dataset.sample(index)
            for value in try #require(sample.segmentation) where value != 255 { classes[Int(value)] += 1 }
            depths += try #require(sample.depth).filter { $0 != 0 }.map { Double($0) }
        }
        let (depth, segmentation) = (facts.labels[0], facts.labels[2])
        #expect(segmentation.classes == classes && segmentation.numbers == nil)
        #expect(segmentation.places == 20 * 24 * 32)
        #expect(segmentation.placesWithoutLabel == segmentation.places - classes.reduce(0, +))
        let range = try #require(depth.numbers?.first)
        #expect(depth.placesWithoutLabel == depth.places - depths.count && depth.numbers?.count == 1)
        #expect(range.minimum == depths.min() && range.maximum == depths.max())
        #expect(abs(range.mean - depths.reduce(0, +) / Double(depths.count)) < 1e-9)
        #expect(facts.labels[1].numbers?.count == 3)
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let file: String
        let parts: [String]
        let apply: @Sendable (URL) throws -> Void
    }

    static let damages = [
        Damage(testDescription: "missing file", file: "depth/000003.npy", parts: ["no such file"]) {
            try FileManager.default.removeItem(at: $0)
        },
        Damage(testDescription: "truncated PNG", file: "img/000003.png", parts: ["truncated"]) {
            try Data(contentsOf: $0).dropLast(60).write(to: $0)
        },
        Damage(testDescription: "label of another size", file: "seg/000003.png", parts: ["16×32", "24×32"]) {
            try Image(width: 32, height: 16, channels: 1, pixels: [UInt8](repeating: 0, count: 512)).write(to: $0)
        },
        Damage(
            testDescription: "class out of range", file: "seg/000003.png",
            parts: ["row 2, column 6", "label 40", "0...5", "255"]
        ) {
            var pixels = [UInt8](repeating: 0, count: 24 * 32)
            pixels[70] = 40
            try Image(width: 32, height: 24, channels: 1, pixels: pixels).write(to: $0)
        },
    ]

    @Test(arguments: damages) func eachFaultIsNamed(_ damage: Damage) throws {
        let dataset = try open()
        let url = root.appendingPathComponent(damage.file)
        try damage.apply(url)
        let report = check(dataset)
        let errors = Self.errors(report)
        #expect(errors.count == 1, "\(errors)")
        for part in damage.parts + [url.path] {
            #expect(errors.first?.contains(part) == true, "\(part) in \(errors)")
        }
        #expect(report.facts.undecoded == 1 && report.facts.labels[0].places == 19 * 24 * 32)
        #expect(Self.warnings(report) == [])
    }

    @Test func allFaultsAreNamedInOrderWhateverTheThreads() throws {
        let dataset = try open()
        let bad = ["img/000001.png", "seg/000004.png", "depth/000009.npy", "normal_mask/000010.png", "img/000019.png"]
        for name in bad { try Data("no image".utf8).write(to: root.appendingPathComponent(name)) }
        let reports = [1, 2, 7].map { check(dataset, threads: $0) }
        #expect(reports[1] == reports[0] && reports[2] == reports[0])
        let errors = Self.errors(reports[0])
        #expect(errors.count == bad.count)
        for (error, name) in zip(errors, bad) { #expect(error.contains(name)) }
        #expect(reports[0].facts.undecoded == 5)
    }

    @Test func equalImagesAreNamed() throws {
        let dataset = try open()
        func copy(_ from: String, _ to: String) throws {
            func file(_ stem: String) -> URL { root.appendingPathComponent("img/\(stem).png") }
            try Data(contentsOf: file(from)).write(to: file(to))
        }
        // Once more in train, and in train and test.
        try copy("000003", "000005")
        try copy("000002", "000018")
        try copy("000002", "000013")
        let report = check(dataset)
        #expect(Self.errors(report) == [])
        #expect(
            Self.warnings(report) == [
                "the same image in train (000002, 000013) and test (000018)",
                "the same image in train: 000003, 000005",
            ])
    }

    /// Equal hashes of different images, made by choosing a second word for which what differs in the first cancels.
    @Test func equalHashesAreNotEnough() throws {
        let first: (UInt64, UInt64) = (0x0102_0304_0506_0708, 0x1112_1314_1516_1718)
        func state(_ word: UInt64) -> UInt64 {
            var hash = FNV1a()
            for value in [4, 4, word] { hash.add(value) }
            return hash.hash
        }
        let other: UInt64 = 0x2122_2324_2526_2728
        let second = (other, state(other) ^ state(first.0) ^ first.1)
        func image(_ words: (UInt64, UInt64)) -> [UInt8] {
            withUnsafeBytes(of: (words.0.littleEndian, words.1.littleEndian)) { Array($0) }
                + [UInt8](repeating: 7, count: 32)
        }
        let images = [image(first), image(second), image(first)]
        let dataset = try FakeDataset(count: 3, labels: []) { index in
            Sample(name: "s\(index)", height: 4, width: 4, image: images[index])
        }
        let facts = try (0..<3).map { SampleFacts(try dataset.sample($0), [], dataset: "fake") }
        #expect(images[0] != images[1] && facts[0].hash == facts[1].hash)
        let warnings = Self.warnings(DatasetCheck(dataset, labels: []).run(threads: 2))
        #expect(warnings.contains("the same image in train: s0, s2"), "\(warnings)")
        #expect(!warnings.contains { $0.contains("s1") })
    }

    /// Readers of one's own may check nothing.
    @Test func valuesAreCheckedWhateverTheReader() throws {
        let requests = LabelRequest.standard(["segmentation", "depth"], classes: 3)
        let dataset = try FakeDataset(count: 4, labels: ["segmentation", "depth"]) { index in
            var classes: [UInt8] = [0, 1, 255, 0, 1, 0]
            var depth: [Float] = [1, 2, 0, 3, 4, 5]
            if index == 1 { classes[4] = 9 }
            if index == 2 { depth[5] = .infinity }
            if index == 3 { (classes, depth) = ([2], [Float](repeating: 0, count: 6)) }
            return Sample(
                name: "s\(index)", height: 2, width: 3,
                image: (0..<18).map { UInt8($0 + index) }, segmentation: classes, depth: depth)
        }
        let report = DatasetCheck(dataset, labels: requests).run(threads: 2)
        let errors = Self.errors(report)
        #expect(
            errors == [
                "fake: s1, label segmentation, row 1, column 1: found class 9, expected 0...2, or 255 for none",
                "fake: s2, label depth, row 1, column 2: found inf, expected finite numbers, or an invalid value for "
                    + "pixels without a label",
                "fake: s3, label segmentation: found 1 values of 1 channels, expected 6 of 1, as in the image",
            ], "\(errors)")
        let warnings = Self.warnings(report)
        #expect(warnings.contains("label segmentation: never found class 2"), "\(warnings)")
        #expect(warnings.contains("label depth: without a value in 1 images that carry it, such as s3"))
        #expect(report.facts.labels[0].numbers == [DatasetFacts.Numbers(minimum: 1, maximum: 5, mean: 40.0 / 14)])
    }

    @Test func whatTrainLacksIsNamed() throws {
        var dataset = try FakeDataset(count: 3, labels: ["segmentation"]) { index in
            Sample(
                name: "s\(index)", height: 1, width: 2, image: (0..<6).map { UInt8($0 + index) },
                segmentation: index == 2 ? [0, 1] : [0, 0])
        }
        dataset.splits = DatasetSplits(train: [0], train1: [0], train2: [], validation: [], test: [2], notices: [])
        let requests = LabelRequest.standard(["segmentation", "depth"], classes: 2)
        let report = DatasetCheck(dataset, labels: requests).run(threads: 2)
        #expect(
            Self.errors(report) == [
                "fake: split train: found no image with label depth, expected at least one: tasks learns it"
            ])
        #expect(
            Self.warnings(report) == [
                "1 of 3 samples are in no split", "label segmentation: in no image of train class 1",
            ])
    }
}
