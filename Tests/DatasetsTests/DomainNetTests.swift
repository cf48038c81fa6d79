import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

/// One domain of DomainNet, lists and all.
@Suite struct DomainNetTests {
    private let files: Layout
    private static let label = LabelRequest(
        name: "classification", format: LabelFormat(.classes, extent: .image, absent: -1), classes: 345,
        place: "tasks.0")

    init() throws { files = try Layout() }

    private func open(_ keys: String = "domain: sketch", _ labels: [LabelRequest] = [label]) throws -> any Dataset {
        let tree = try ConfigurationTree(yaml: "{\(keys)}", file: "c.yml", overrides: [])
        var reader = DomainNet()
        try tree.decode(DomainNet.fields, into: &reader, at: tree.root, prefix: "dataset.")
        return try reader.open(DatasetRequest(root: files.root, labels: labels, validation: 0))
    }

    private func writeImages() throws {
        try files.image("sketch/The_Eiffel_Tower/a.png", 1, 2, [1, 2, 3, 4, 5, 6])
        try files.image("sketch/apple/b.png", 2, 1, [9, 9, 9, 8, 8, 8])
        try files.image("sketch/apple/c d.png", 1, 1, [7, 7, 7])
        try files.image("real/apple/b.png", 1, 1, [0, 0, 0])
    }

    @Test(arguments: [true, false]) func readsLists(besideTheDomains: Bool) throws {
        try writeImages()
        if besideTheDomains {
            try files.text("sketch_train.txt", "sketch/The_Eiffel_Tower/a.png 344\nsketch/apple/b.png 2\n")
            try files.text("sketch_test.txt", "sketch/apple/c d.png 2\r\n")
            try files.text("real_train.txt", "real/apple/b.png 2\n")
        } else {
            try files.text("sketch/train.txt", "The_Eiffel_Tower/a.png 344\n\napple/b.png 2")
            try files.text("sketch/test.txt", "sketch/apple/c d.png 2")
        }
        let dataset = try open()
        #expect(dataset.name == "domainnet sketch" && dataset.count == 3 && dataset.labels == ["classification"])
        #expect(dataset.splits.train == [0, 1] && dataset.splits.test == [2])
        #expect(
            try (0..<3).map { try dataset.sample($0).labels["classification"]?.values } == [
                .integers([344]), .integers([2]), .integers([2]),
            ])
        let first = try dataset.sample(0)
        #expect(first.name == "sketch/The_Eiffel_Tower/a.png" && first.image == [1, 2, 3, 4, 5, 6])
        #expect((first.height, first.width) == (1, 2))
        #expect(try (dataset.sample(1).height, dataset.sample(1).width) == (2, 1))
        let batch = try Batch(whole: 0, of: dataset, labels: [Self.label])
        #expect(batch.labels["classification"]?.classes == [344])
    }

    /// Lists of all domains together, as the authors have them.
    @Test func readsListsOfAllDomains() throws {
        try writeImages()
        try files.text("train.txt", "real/apple/b.png 2\nsketch/apple/b.png 2\nsketch/The_Eiffel_Tower/a.png 344")
        try files.text("test.txt", "sketch/apple/c d.png 2\nreal/apple/b.png 2")
        // Without the file of splits a domain's images are those of its folder.
        let plain = try open()
        #expect(plain.splits.train == [0, 1] && plain.splits.test == [2])
        #expect(
            try (0..<3).map { try plain.sample($0).name.split(separator: "/").last } == ["b.png", "a.png", "c d.png"])
        func splits(_ text: String) throws { try files.text("DomainNet.json", text) }
        try splits(
            """
            {"train": {"sketch": [1, 2]}, "train1": {"sketch": [2]}, "train2": {"sketch": [1]},
             "val": {"sketch": [0]}, "test": {"sketch": [0], "real": [1]}}
            """)
        let named = try open()
        #expect(named.splits.train == [0, 1] && named.splits.train1 == [1] && named.splits.train2 == [0])
        // Images to test by choose nothing.
        #expect(named.splits.test == [2] && named.splits.validation.isEmpty)
        try splits(#"{"train": {"real": [0]}, "test": {"real": [1]}}"#)
        expectError("DomainNet.json: train", "no domain 'sketch'", "one of real") { _ = try open() }
        try splits(#"{"train": {"sketch": [7]}}"#)
        expectError("DomainNet.json: train, sketch", "found 7", "the number of a line of") { _ = try open() }
        for number in ["-1", "9223372036854775807", "-9223372036854775808"] {
            try splits(#"{"train": {"sketch": [\#(number)]}}"#)
            expectError("DomainNet.json: train, sketch", "found \(number)") { _ = try open() }
        }
        try splits(#"{"train": [1, 2]}"#)
        expectError("DomainNet.json", "split name → domain → numbers of lines") { _ = try open() }
    }

    @Test func everyMissingImageIsNamed() throws {
        try writeImages()
        try files.text("sketch_train.txt", "sketch/apple/b.png 2\nsketch/apple/x.png 2\nsketch/apple/y.png 3")
        try files.text("sketch_test.txt", "sketch/apple/z.png 2")
        expectError(
            "sketch_train.txt: line 2", "'sketch/apple/x.png'", "line 3: 'sketch/apple/y.png'",
            "line 1: 'sketch/apple/z.png'"
        ) { _ = try open() }
    }

    /// Once, though splits share images; and no line of another domain is looked at.
    @Test func missingImagesOfSeveralSplitsAreNamedOnce() throws {
        try writeImages()
        try files.text("train.txt", "sketch/apple/x.png 2\nsketch/apple/b.png 2\nreal/apple/none.png two")
        try files.text("test.txt", "sketch/apple/c d.png 2")
        try files.text(
            "DomainNet.json",
            """
            {"train": {"sketch": [0, 1]}, "train1": {"sketch": [0]}, "train2": {"sketch": [1]}, "test": {"sketch": [0]}}
            """)
        do {
            _ = try open()
            Issue.record("opened")
        } catch let error as InputError {
            #expect(error.each.map(\.found) == ["'sketch/apple/x.png'"], "\(error)")
        }
        try FileManager.default.removeItem(at: files.folder.file("DomainNet.json"))
        try files.text("train.txt", "sketch/apple/b.png 2\nreal/apple/none.png two")
        #expect(try open().count == 2)
    }

    /// R,G,B in this order, standardised; what the reader says is what the data set says.
    @Test func coloursEnterStandardised() throws {
        try writeImages()
        try files.text("sketch_train.txt", "sketch/The_Eiffel_Tower/a.png 1")
        try files.text("sketch_test.txt", "sketch/apple/b.png 2")
        let dataset = try open()
        #expect(dataset.normalisation == DomainNet().normalisation && dataset.normalisation == .standardisedRGB)
        let batch = try Batch(whole: 0, of: dataset, labels: [Self.label])
        let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        for (index, value) in [1.0, 2, 3, 4, 5, 6].enumerated() {
            let expected = (value / 255 - mean[index % 3]) / deviation[index % 3]
            #expect(abs(Double(batch.image[index]) - expected) < 1e-6)
        }
        let image = Image(width: 2, height: 1, channels: 3, pixels: [1, 2, 3, 4, 5, 6])
        #expect(batch.image == networkInput(image, .standardisedRGB) && batch.image != networkInput(image))
        // The same through crops and another size, which keep it; padding is 0.
        let loader = try BatchLoader(
            dataset: ResizedDataset(dataset, to: ImageSize(height: 1, width: 2), cacheBytes: 0), indices: [0], batch: 1,
            crop: (1, 4), augmentation: .none, shuffle: false, labels: [Self.label], seed: 1, phase: "p", startStep: 0)
        #expect(try loader.next().image == [0, 0, 0] + batch.image + [0, 0, 0])
        // Others enter as they did.
        #expect(NYUv2().normalisation == .published && Folders().normalisation == .published)
        let colours: [Float] = [3, 2, 1, 6, 5, 4]
        let means: [Float] = [104.00698793, 116.66876762, 122.67891434]
        #expect(networkInput(image) == colours.indices.map { colours[$0] - means[$0 % 3] })
    }

    @Test func namesWhatIsWrong() throws {
        expectError("dataset.domain", "found nothing", "quickdraw") { _ = try open("") }
        expectError(files.root, "neither sketch_train.txt nor sketch/train.txt nor train.txt", "sketch_test.txt") {
            _ = try open()
        }
        try writeImages()
        try files.text("sketch_train.txt", "sketch/apple/b.png 2\nsketch/apple/x.png 2")
        try files.text("sketch_test.txt", "sketch/apple/c d.png 2")
        expectError("sketch_train.txt: line 2", "'sketch/apple/x.png'", "its folder sketch") { _ = try open() }
        try files.text("sketch_train.txt", "sketch/apple/b.png 345")
        expectError("sketch_train.txt: line 1", "class 345", "0...344, as tasks.0.channels says") { _ = try open() }
        for line in ["sketch/apple/b.png", "sketch/apple/b.png -1", "sketch/apple/b.png two", "sketch/apple/b.png 1.5"]
        {
            try files.text("sketch_train.txt", "\n" + line)
            expectError("sketch_train.txt: line 2", "'\(line)'", "a path and a class from 0") { _ = try open() }
        }
        try files.text("sketch_train.txt", "sketch/apple/b.png 1\nsketch/apple/b.png 3")
        expectError("sketch_train.txt: line 2", "class 3 for sketch/apple/b.png", "1 as before") { _ = try open() }
        try files.text("sketch_train.txt", "\n")
        expectError("split 'train'", "no sample") { _ = try open() }
        try files.text("sketch_train.txt", "sketch/apple/b.png 1")
        try files.folder.write([1, 2, 3], "sketch/apple/b.png")
        expectError("sketch/apple/b.png", "signature") { _ = try open().sample(0) }
        expectError("tasks.0.label", "'depth'", "classification") {
            let label = LabelRequest(name: "depth", format: LabelFormat(.numbers, absent: 0), place: "tasks.0")
            _ = try open("domain: sketch", [label])
        }
        expectError("tasks.0.label", "a class for each image", "a class for each pixel") {
            let label = LabelRequest(
                name: "classification", format: LabelFormat(.classes, absent: 255), classes: 9, place: "tasks.0")
            _ = try open("domain: sketch", [label])
        }
    }
}
