import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

/// Data sets that are described by keys alone.
@Suite struct FoldersTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func image(_ path: String, _ value: UInt8 = 9, channels: Int = 3) throws {
        try place(path)
        let pixels = [UInt8](repeating: value, count: 2 * 3 * channels)
        try Image(width: 3, height: 2, channels: channels, pixels: pixels).write(to: folder.file(path))
    }

    private func place(_ path: String) throws {
        try FileManager.default.createDirectory(
            at: folder.file(path).deletingLastPathComponent(), withIntermediateDirectories: true)
    }

    private func text(_ path: String, _ text: String) throws {
        try place(path)
        try Data(text.utf8).write(to: folder.file(path))
    }

    /// The reader with the keys of a YAML text.
    private func reader(_ yaml: String) throws -> Folders {
        let tree = try ConfigurationTree(yaml: yaml, file: "c.yml", overrides: [])
        var folders = Folders()
        try tree.decode(Folders.fields, into: &folders, at: tree.root, prefix: "dataset.")
        try folders.validate(chosen: Folders.kind, file: "c.yml")
        return folders
    }

    private static let classes = LabelRequest(
        name: "parts", format: LabelFormat(.classes, absent: 255), classes: 4, place: "tasks.0")
    private static let metres = LabelRequest(name: "depth", format: LabelFormat(.numbers, absent: 0), place: "tasks.1")
    private static let scene = LabelRequest(
        name: "scene", format: LabelFormat(.classes, extent: .image, absent: -1), classes: 3, place: "tasks.2")

    private func open(_ yaml: String, _ labels: [LabelRequest], validation: Double = 0) throws -> any Dataset {
        try reader(yaml).open(DatasetRequest(root: folder.url.path, labels: labels, validation: validation))
    }

    /// A 16-bit grey PNG, which nothing here writes.
    private func grey16(_ path: String, _ values: [UInt16]) throws {
        try place(path)
        var rows: [[UInt8]] = [[], []]
        for (index, value) in values.enumerated() { rows[index / 3] += [UInt8(value >> 8), UInt8(value & 255)] }
        let bytes =
            HandmadePNG.signature + HandmadePNG.header(3, 2, depth: 16, colorType: 0) + HandmadePNG.data(rows)
            + HandmadePNG.chunk("IEND", [])
        try Data(bytes).write(to: folder.file(path))
    }

    @Test func matchesByPath() throws {
        for name in ["a/1", "a/2", "b/1"] { try image("images/\(name).png") }
        try image("parts/a/1.png", 3, channels: 1)
        try image("parts/b/1.png", 255, channels: 1)
        try image("parts/c/9.png", 0, channels: 1)
        try grey16("depth/a/2.png", [0, 1, 500, 1000, 65_535, 0])
        let dataset = try open(
            "{labels: [{name: parts}, {name: depth, scale: 0.001, invalid: 0}]}", [Self.classes, Self.metres])
        #expect(dataset.count == 3 && dataset.labels == ["parts", "depth"])
        #expect((0..<3).map { dataset.carries("parts", at: $0) } == [true, false, true])
        #expect((0..<3).map { dataset.carries("depth", at: $0) } == [false, true, false])
        #expect(dataset.splits.notices.contains { $0.contains("1 files of 'parts' belong to no image") })
        let first = try dataset.sample(0)
        #expect(first.name == "a/1" && first.labels.keys.sorted() == ["parts"])
        var batch = Batch(count: 1, height: 2, width: 3, indices: [1])
        batch.reserve([Self.classes, Self.metres])
        batch.append(try dataset.sample(1), CropTransform(identity: 2, 3))
        #expect(batch.labels["depth"]?.numbers == [0, 0.001, 0.5, 1, 65.535, 0])
        #expect(batch.labels["parts"]?.isAbsent == true)
        batch = try Batch(whole: 2, of: dataset, labels: [Self.classes])
        #expect(batch.labels["parts"]?.classes == [255, 255, 255, 255, 255, 255])
        // A map without a labelled pixel is as none: its task takes no part.
        #expect(batch.labels["parts"]?.isCarried == [false])
    }

    @Test func patternsShareWhatTheirWildcardsStandFor() throws {
        try image("left/val/x_left.png")
        try image("left/train/y_left.png")
        try image("left/train/notes.png")
        try image("gt/val/x_ids.png", 7, channels: 1)
        try image("gt/train/y_ids.png", 5, channels: 1)
        let dataset = try open(
            "{images: left/*/*_left.png, labels: [{name: parts, path: gt/*/*_ids.png, values: [5, 9, 7]}], splits: "
                + "{test: left/val}}",
            [Self.classes])
        #expect(dataset.count == 2 && dataset.splits.train == [0] && dataset.splits.test == [1])
        #expect(try dataset.sample(0).labels["parts"]?.values == .bytes([0, 0, 0, 0, 0, 0]))
        #expect(try dataset.sample(1).labels["parts"]?.values == .bytes([2, 2, 2, 2, 2, 2]))
        let pattern = try FilePattern("a/**/b_*.png", suffixes: [], place: "x")
        #expect(pattern.key(of: "a/b_1.png") == "1" && pattern.key(of: "a/c/d/b_1.png") == "c/d/1")
        #expect(pattern.key(of: "a/c/b_1.pngx") == nil && pattern.key(of: "xa/b_1.png") == nil)
        for bad in ["/etc", "../x", ""] {
            expectError("dataset.images", "below dataset.root") {
                _ = try FilePattern(bad, suffixes: [], place: "dataset.images")
            }
        }
    }

    @Test func numbersComeFromArraysAndColours() throws {
        try image("images/1.png")
        try place("depth/1.npy")
        try NPYArray(shape: [2, 3], values: [1, 2, .nan, 4, -1, 6]).write(to: folder.file("depth/1.npy"))
        let yaml = "{labels: [{name: depth, scale: 2, offset: 1, invalid: NUMBER}]}"
        let dataset = try open(yaml.replacing("NUMBER", with: "-1"), [Self.metres])
        // What is not finite has no label either.
        #expect(try dataset.sample(0).labels["depth"]?.values == .numbers([3, 5, 0, 9, 0, 13]))
        let bare = try open("{labels: [{name: depth}]}", [Self.metres])
        #expect(try bare.sample(0).labels["depth"]?.values == .numbers([1, 2, 0, 4, -1, 6]))
        try NPYArray(shape: [2, 3], values: [1, 2, 3, 4, -1, 6]).write(to: folder.file("depth/1.npy"))
        let whole = try open(yaml.replacing("NUMBER", with: "-1"), [Self.metres])
        #expect(try whole.sample(0).labels["depth"]?.values == .numbers([3, 5, 7, 9, 0, 13]))
        try image("normals/1.png", 0)
        let normals = LabelRequest(name: "normals", format: LabelFormat(.numbers, channels: 3, absent: 255))
        let plain = try open("{labels: [{name: normals}]}", [normals])
        #expect(try plain.sample(0).labels["normals"]?.values == .bytes([UInt8](repeating: 0, count: 18)))
        let holes = try open("{labels: [{name: normals, invalid: 0}]}", [normals])
        #expect(try holes.sample(0).labels["normals"]?.values == .numbers([Float](repeating: 255, count: 18)))
        try FileManager.default.removeItem(at: folder.file("normals/1.png"))
        let vectors = (0..<18).map { Float($0) / 17 }
        try NPYArray(shape: [2, 3, 3], values: vectors).write(to: folder.file("normals/1.npy"))
        #expect(
            try open("{labels: [{name: normals, scale: 100}]}", [normals]).sample(0).labels["normals"]?.values
                == .numbers(vectors.map { $0 * 100 }))
        try NPYArray(shape: [2, 9], values: vectors).write(to: folder.file("normals/1.npy"))
        expectError("shape [2, 9]", "[2, 3, 3] as in the image") {
            _ = try open("{labels: [{name: normals}]}", [normals]).sample(0)
        }
    }

    /// Integers of any type are classes, and so are whole numbers; negative ones only for pixels without a label.
    @Test func classesComeFromArrays() throws {
        try image("images/1.png")
        try place("parts/1.npy")
        func classes(_ bytes: [UInt8], _ keys: String = "") throws -> LabelMap? {
            try Data(bytes).write(to: folder.file("parts/1.npy"))
            return try open("{labels: [{name: parts\(keys)}]}", [Self.classes]).sample(0).labels["parts"]
        }
        let signed = HandmadeNPY.file("<i8", [2, 3], [0, 1, -1, 3, 2, 0] as [Int64])
        #expect(try classes(signed, ", invalid: -1")?.values == .bytes([0, 1, 255, 3, 2, 0]))
        #expect(
            try classes(HandmadeNPY.file("|u1", [2, 3], [0, 1, 255, 3, 2, 0] as [UInt8]))?.values
                == .bytes([0, 1, 255, 3, 2, 0]))
        let columns = HandmadeNPY.file("<i2", [2, 3], [0, 3, 1, 2, 3, 0] as [Int16], columnMajor: true)
        #expect(try classes(columns)?.values == .bytes([0, 1, 3, 3, 2, 0]))
        let others = HandmadeNPY.file("<i4", [2, 3], [-7, 70_000, 40, 50, 1, 40] as [Int32])
        #expect(try classes(others, ", values: [40, 50]")?.values == .bytes([255, 255, 0, 1, 255, 0]))
        expectError("parts/1.npy: row 0, column 2: found label -1, expected 0...3 or 255") { _ = try classes(signed) }
        expectError("row 0, column 0: found label -7") { _ = try classes(others) }
        expectError("found label 65536, expected 0...3") {
            _ = try classes(HandmadeNPY.file("<u4", [2, 3], [0, 65_536, 0, 0, 0, 0] as [UInt32]))
        }
        expectError("shape [3, 2]", "[2, 3] as in the image") {
            _ = try classes(HandmadeNPY.file("|u1", [3, 2], [0, 1, 255, 3, 2, 0] as [UInt8]))
        }
        let broken = try open("{labels: [{name: parts}]}", [Self.classes])
        try NPYArray(shape: [2, 3], values: [0, 1, 2, 1.5, 0, 0]).write(to: folder.file("parts/1.npy"))
        expectError("row 1, column 0: found 1.5, expected a class: a whole number") { _ = try broken.sample(0) }
        try NPYArray(shape: [2, 3], values: [0, 1, 2, 3, 0, 0]).write(to: folder.file("parts/1.npy"))
        #expect(try broken.sample(0).labels["parts"]?.values == .bytes([0, 1, 2, 3, 0, 0]))
    }

    /// A camera for depth has pixels of its own: the nearest one counts, where both see the same.
    @Test func labelsOfOtherSizesAreBroughtToTheImages() throws {
        try image("images/1.png")
        try place("depth/1.npy")
        try NPYArray(shape: [4, 6], values: (0..<24).map { Float($0 + 1) }).write(to: folder.file("depth/1.npy"))
        func depth() throws -> LabelMap? {
            try open("{labels: [{name: depth, scale: 2}]}", [Self.metres]).sample(0).labels["depth"]
        }
        #expect(try depth()?.values == .numbers([2, 6, 10, 26, 30, 34]))
        for shape in [[4, 5], [6, 4], [2, 1], [1, 2], [1, 1]] {
            try NPYArray(shape: shape, values: [Float](repeating: 1, count: shape[0] * shape[1]))
                .write(to: folder.file("depth/1.npy"))
            expectError("shape \(shape)", "[2, 3] as in the image") { _ = try depth() }
        }
        try place("parts/1.npy")
        let parts = HandmadeNPY.file("|u1", [4, 6], (0..<24).map { UInt8($0 % 4) })
        try Data(parts).write(to: folder.file("parts/1.npy"))
        let classes = try open("{labels: [{name: parts}]}", [Self.classes])
        #expect(try classes.sample(0).labels["parts"]?.values == .bytes([0, 2, 0, 0, 2, 0]))
    }

    /// A label of a few pixels is none of another resolution, whatever its proportions.
    @Test func coarseLabelsAreRefused() throws {
        let (array, picture) = (folder.file("depth.npy"), folder.file("depth.png"))
        let file = LabelFile(isOfAnySize: true)
        for shape in [[4, 6], [7, 10], [1000, 1500]] {
            try NPYArray(shape: shape, values: [Float](repeating: 1, count: shape[0] * shape[1])).write(to: array)
            let map = try file.read(array, as: Self.metres, size: (64, 96))
            #expect(map.values == .numbers([Float](repeating: 1, count: 64 * 96)), "\(shape)")
        }
        for shape in [[1, 1], [2, 3], [4, 5], [16, 20]] {
            try NPYArray(shape: shape, values: [Float](repeating: 1, count: shape[0] * shape[1])).write(to: array)
            expectError("found shape \(shape), expected [64, 96] as in the image, or its proportions", "least 4×6") {
                _ = try file.read(array, as: Self.metres, size: (64, 96))
            }
        }
        try Image(width: 1, height: 1, channels: 1, pixels: [7]).write(to: picture)
        expectError(
            "depth.png: found 1×1 pixels (height × width), expected 480×640 as in the image, or its proportions and at "
                + "least 30×40"
        ) { _ = try file.read(picture, as: Self.metres, size: (480, 640)) }
    }

    /// Pictures of every suffix and colour type; labels of none that loses anything.
    @Test func picturesAreAnyPNGOrJPEG() throws {
        let names = ["a.jpg": "jpeg 4:2:0", "b.JPEG": "jpeg grey", "c.png": "png rgba", "d.png": "png palette"]
        for (name, golden) in names {
            try place("images/\(name)")
            try Data(GoldenImage.file(golden)).write(to: folder.file("images/\(name)"))
        }
        try place("parts/a.png")
        try Data(GoldenImage.file("png palette")).write(to: folder.file("parts/a.png"))
        try Data(GoldenImage.file("jpeg grey")).write(to: folder.file("parts/b.png"))
        let request = LabelRequest(name: "parts", format: LabelFormat(.classes, absent: 255), classes: 16)
        let dataset = try open("{labels: [{name: parts}]}", [request])
        #expect(dataset.count == 4)
        let goldens = try GoldenImage.all()
        for (index, name) in names.keys.sorted().enumerated() where index != 1 {
            #expect(try dataset.sample(index).image == goldens.first { $0.name == names[name] }?.rgb, "\(name)")
        }
        expectError("parts/b.png: found a JPEG, whose values are not exact") { _ = try dataset.sample(1) }
        try Data(GoldenImage.file("jpeg grey")).write(to: folder.file("images/a.jpeg"))
        expectError("images/a.jpeg and images/a.jpg") { _ = try open("{labels: [{name: parts}]}", [request]) }
    }

    @Test func imagesHaveClassesByFolderOrTable() throws {
        for name in ["cat/1", "dog/1", "ant/7"] { try image("images/\(name).png") }
        let byFolder = try open("{labels: [{name: scene}]}", [Self.scene])
        #expect(
            try (0..<3).map { try byFolder.sample($0).labels["scene"]?.values } == [
                .integers([0]), .integers([1]), .integers([2]),
            ])
        try text("table.csv", "image,other,scene\ncat/1,9,\"in, doors\"\nimages/dog/1.png,9,out\n\n")
        let byTable = try open("{labels: [{name: scene, path: table.csv}]}", [Self.scene])
        #expect((0..<3).map { byTable.carries("scene", at: $0) } == [false, true, true])
        #expect(try byTable.sample(1).labels["scene"]?.values == .integers([0]))
        #expect(try byTable.sample(2).labels["scene"]?.values == .integers([1]))
        try text("table.csv", "image,other,scene\ncat/1,2,0\ndog/1,1,9\n")
        let numbers = try open("{labels: [{name: scene, path: table.csv, column: other}]}", [Self.scene])
        #expect(try numbers.sample(1).labels["scene"]?.values == .integers([2]))
        expectError("dog/1", "class 9", "0...2") {
            _ = try open("{labels: [{name: scene, path: table.csv}]}", [Self.scene])
        }
        for (broken, found) in [
            ("image,scene\ncat/1,0\n\"cat/1,0\n", "a quote that is not closed"), ("image,scene\ncat/1\n", "1 cells"),
        ] {
            try text("table.csv", broken)
            expectError("table.csv", found) { _ = try open("{labels: [{name: scene, path: table.csv}]}", [Self.scene]) }
        }
        try text("table.csv", "image,scene\ncow/1,0\n")
        expectError("table.csv: line 2", "'cow/1'") {
            _ = try open("{labels: [{name: scene, path: table.csv}]}", [Self.scene])
        }
        expectError("table.csv: line 1", "one called kind") {
            _ = try open("{labels: [{name: scene, path: table.csv, column: kind}]}", [Self.scene])
        }
    }

    /// Paths below the folder of the images are as good as those below the root.
    @Test func namesMayBeBelowTheImages() throws {
        for name in ["a/1", "b/1", "b/2"] { try image("images/\(name).png") }
        try text("test.txt", "b/1.png\nimages/b/2.png")
        try text("table.csv", "image,scene\na/1.png,2\nb/2,1\n")
        let dataset = try open("{labels: [{name: scene, path: table.csv}], splits: {test: test.txt}}", [Self.scene])
        #expect(dataset.splits.test == [1, 2] && dataset.splits.train == [0])
        #expect(try dataset.sample(0).labels["scene"]?.values == .integers([2]))
        try text("test.txt", "1.png")
        expectError("test.txt: line 1", "'1.png', which 2 images are called", "images/a/1.png") {
            _ = try open("{labels: [{name: scene, path: table.csv}], splits: {test: test.txt}}", [Self.scene])
        }
    }

    @Test func splitsByListShareAndFolder() throws {
        for index in 0..<20 { try image("images/\(index < 10 ? "0" : "")\(index).png") }
        for index in 0..<20 { try image("parts/\(index < 10 ? "0" : "")\(index).png", 1, channels: 1) }
        func splits(_ text: String, validation: Double = 0) throws -> DatasetSplits {
            try open("{labels: [{name: parts}], splits: {\(text)}}", [Self.classes], validation: validation).splits
        }
        try text("test.txt", "03.png\nimages/05.png extra words\n07\n")
        let listed = try splits("test: test.txt")
        #expect(listed.test == [3, 5, 7] && listed.train.count == 17 && !listed.train.contains(5))
        let shares = try splits("test: 0.2, validation: 0.1, train1: 0.5")
        #expect(shares.test.count == 4 && shares.validation.count == 2 && shares.train.count == 14)
        #expect(Set(shares.test + shares.validation + shares.train).count == 20)
        #expect(shares.train1.count == 7 && shares.train2.count == 7)
        #expect(try splits("test: 0.2, validation: 0.1, train1: 0.5") == shares)
        let all = try splits("", validation: 0.1)
        #expect(all.train.count == 18 && all.validation.count == 2 && all.test.isEmpty)
        // Lines may end as on Windows; halves of train have nothing in common.
        try text("windows.txt", "03.png\r\n05.png\r\n")
        #expect(try splits("test: windows.txt").test == [3, 5])
        // What is named for a half of train is nobody else's, and train has it.
        let named = try splits("train1: test.txt, test: 0.3, validation: 0.2")
        #expect(Set(named.train1).isDisjoint(with: named.test + named.validation) && !named.test.isEmpty)
        #expect(Set(named.train1).isSubset(of: named.train) && named.train1 == listed.test)
        let both = try splits("train1: test.txt, test: test.txt")
        #expect(both.notices.contains { $0.contains("'test' samples are also trained on") })
        let halves = try splits("train1: 0.5, train2: 0.5")
        #expect(halves.train1.count == 10 && Set(halves.train1).isDisjoint(with: halves.train2))
        expectError("dataset.splits", "that the other splits leave") { _ = try splits("train1: 0.8, train2: 0.5") }
        expectError("dataset.splits", "that the other splits leave") { _ = try splits("test: 0.8, validation: 0.5") }
        expectError("nowhere.txt", "no such file") { _ = try splits("test: nowhere.txt") }
        expectError("dataset.splits.test", "'val'") { _ = try splits("test: val") }
        expectError("dataset.splits.test", "found 1.5", "a share above 0") { _ = try splits("test: 1.5") }
    }

    @Test func namesThatSeveralImagesHaveAreRefused() throws {
        for name in ["a/1", "b/1", "b/2"] { try image("images/\(name).png") }
        try text("t.csv", "image,scene\n2.png,1\nimages/a/1.png,0\n")
        let dataset = try open("{labels: [{name: scene, path: t.csv}]}", [Self.scene])
        #expect((0..<3).map { dataset.carries("scene", at: $0) } == [true, false, true])
        try text("t.csv", "image,scene\n1.png,1\n")
        expectError("t.csv: line 2", "'1.png', which 2 images are called", "images/a/1.png") {
            _ = try open("{labels: [{name: scene, path: t.csv}]}", [Self.scene])
        }
        try text("t.csv", "image,scene\na/1,1\nimages/a/1.png,0\n")
        expectError("t.csv: line 3", "for the image of line 2") {
            _ = try open("{labels: [{name: scene, path: t.csv}]}", [Self.scene])
        }
        try text("list.txt", "1.png\n")
        expectError("list.txt: line 1", "2 images") {
            _ = try open("{labels: [{name: scene}], splits: {test: list.txt}}", [Self.scene])
        }
    }

    @Test func wildcardsStayApart() throws {
        for (scene, frame) in [("1", "12"), ("11", "2")] {
            try image("scene\(scene)/frame\(frame).png")
            try image("label\(scene)/\(frame).png", scene == "1" ? 1 : 2, channels: 1)
        }
        let dataset = try open(
            "{images: scene*/frame*.png, labels: [{name: parts, path: label*/*.png}]}", [Self.classes])
        #expect(try (0..<2).map { try dataset.sample($0).name } == ["1/12", "11/2"])
        #expect(try dataset.sample(0).labels["parts"]?.values == .bytes([1, 1, 1, 1, 1, 1]))
        #expect(try dataset.sample(1).labels["parts"]?.values == .bytes([2, 2, 2, 2, 2, 2]))
    }

    @Test func oddNumbersAreErrors() throws {
        try image("images/1.png")
        try image("images/2.png")
        for bad in ["inf", "1e30", "-1", "0.5", "nan"] {
            try text("t.csv", "image,scene\n1,0\n2,\(bad)\n")
            expectError("t.csv: line 3", "'\(bad)'") {
                _ = try open("{labels: [{name: scene, path: t.csv}]}", [Self.scene])
            }
        }
        try text("t.csv", "image,scene\n1,0\n2,1O\n")
        expectError("t.csv: line 3", "'1O'", "words in all of them") {
            _ = try open("{labels: [{name: scene, path: t.csv}]}", [Self.scene])
        }
        try text("t.csv", "image,scene\n1,0\n2,255\n")
        let lacking = try open("{labels: [{name: scene, path: t.csv, invalid: 255}]}", [Self.scene])
        #expect(lacking.carries("scene", at: 0) && !lacking.carries("scene", at: 1))
        for text in ["scale: 2", "invalid: 3", "values: [1]", "column: a"] {
            expectError("dataset.labels", "for label scene") {
                _ = try open("{labels: [{name: scene, \(text)}]}", [Self.scene])
            }
        }
        expectError("dataset.labels.0.invalid", "1e300", "1e+12") {
            _ = try reader("{labels: [{name: a, invalid: 1e300}]}")
        }
    }

    /// As many classes as bytes have values: the usual code is then one of them.
    @Test func manyClassesHaveNoUsualCode() throws {
        try image("images/1.png")
        try grey16("parts/1.png", [255, 256, 299, 0, 1, 65_535])
        let many = LabelRequest(name: "parts", format: LabelFormat(.classes, absent: -1), classes: 300)
        let dataset = try open("{labels: [{name: parts, invalid: 65535}]}", [many])
        let batch = try Batch(whole: 0, of: dataset, labels: [many])
        #expect(batch.labels["parts"]?.classes == [255, 256, 299, 0, 1, -1])
        let forty = LabelRequest(name: "parts", format: LabelFormat(.classes, absent: 40), classes: 40)
        try image("parts/1.png", 40, channels: 1)
        let ignored = try open("{labels: [{name: parts}]}", [forty])
        #expect(try Batch(whole: 0, of: ignored, labels: [forty]).labels["parts"]?.classes == [40, 40, 40, 40, 40, 40])
    }

    @Test func whatMatchesNothingIsAnError() throws {
        expectError("images", "no such folder") { _ = try open("{labels: [{name: parts}]}", [Self.classes]) }
        try image("images/1.png")
        try image("parts/2.png", 0, channels: 1)
        expectError("no file of 'parts' for any of 1 images", "'1'") {
            _ = try open("{labels: [{name: parts}]}", [Self.classes])
        }
        expectError("tasks.1.label", "'depth'", "dataset.labels: parts") {
            _ = try open("{labels: [{name: parts}]}", [Self.metres])
        }
        expectError("dataset.labels.1.name", "'a' again") { _ = try reader("{labels: [{name: a}, {name: a}]}") }
        try image("parts/1.png", 4, channels: 1)
        let beyond = try open("{labels: [{name: parts}]}", [Self.classes])
        expectError("parts/1.png", "label 4", "0...3 or 255 for none") { _ = try beyond.sample(0) }
        try image("extra/1.png")
        expectError("both '1'") {
            try image("images/1.PNG")
            _ = try open("{labels: [{name: parts}]}", [Self.classes])
        }
    }
}
