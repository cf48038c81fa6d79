import AdaShareSchema
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets
@testable import AdaShareFiles

/// NYU v2 as it is distributed, in small files that h5py has written in its layout (tools/golden/nyu_v2_mat.py).
@Suite struct NYUv2MatTests {
    private let files: Layout
    private static let labels = LabelRequest.standard(["segmentation", "depth"], classes: 6)
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Golden")

    init() throws { files = try Layout() }

    private func copy(_ name: String = "nyu_v2_mat", isListed: Bool = true) throws {
        let target = files.folder.file("nyu_depth_v2_labeled.mat")
        try? FileManager.default.removeItem(at: target)
        try FileManager.default.copyItem(at: Self.golden.appendingPathComponent("\(name).mat"), to: target)
        guard isListed else { return }
        try files.text("train.txt", "3\n1\n")
        try files.text("test.txt", "2")
    }

    private func open(_ labels: [LabelRequest] = labels, keys: String = "") throws -> any Dataset {
        let tree = try ConfigurationTree(yaml: "{\(keys)}", file: "c.yml", overrides: [])
        var reader = NYUv2Mat()
        try tree.decode(NYUv2Mat.fields, into: &reader, at: tree.root, prefix: "dataset.")
        return try reader.open(DatasetRequest(root: files.root, labels: labels, validation: 0))
    }

    /// Every value of every image, by the formulas that the file was written with.
    @Test func readsEveryValue() throws {
        try copy()
        let dataset = try open()
        #expect(dataset.count == 3 && dataset.labels == ["segmentation", "depth"])
        #expect(dataset.splits.train == [2, 0] && dataset.splits.test == [1])
        for n in 0..<3 {
            let sample = try dataset.sample(n)
            #expect((sample.name, sample.height, sample.width) == ("\(n + 1)", 2, 4))
            var (image, depth, classes): ([UInt8], [Float], [UInt8]) = ([], [], [])
            for y in 0..<2 {
                for x in 0..<4 {
                    for c in 0..<3 { image.append(UInt8((100 * n + 50 * c + 10 * x + y) % 256)) }
                    depth.append(1 + Float(n) + Float(x) / 4 + Float(y) / 8)
                    let label = (n + 2 * x + y) % 7
                    classes.append(label == 0 ? 255 : UInt8(label - 1))
                }
            }
            #expect(sample.image == image && sample.depth == depth && sample.segmentation == classes)
        }
        #expect(try open(LabelRequest.standard(["depth"])).sample(0).labels.keys.sorted() == ["depth"])
    }

    @Test func aMapMakesClassesOfLabels() throws {
        try copy()
        try files.text("map.txt", "2 1 0\n2 1 3")
        let request = LabelRequest.standard(["segmentation"], classes: 3)
        // Labels of the first image: 0 2 4 6 above 1 3 5 0.
        #expect(try open(request, keys: "class_map: map.txt").sample(0).segmentation == [255, 0, 1, 2, 1, 255, 0, 255])
        expectError("tasks.channels", "found 3", "6, the labels that the file holds", "dataset.class_map") {
            _ = try open(request)
        }
        try files.text("map.txt", "2 1 0\n2 1 4")
        expectError("map.txt: line 2", "'4'", "a class, or 0 for none, 0 to 3") {
            _ = try open(request, keys: "class_map: map.txt")
        }
        try files.text("map.txt", "2 1 0")
        expectError("map.txt", "3 numbers", "6, one for each label") {
            _ = try open(request, keys: "class_map: map.txt")
        }
        expectError("nowhere.txt", "no such file") { _ = try open(request, keys: "class_map: nowhere.txt") }
    }

    /// The files that come with it, as MATLAB 5 has them.
    @Test func splitsAndClassesComeFromMatlab() throws {
        try copy(isListed: false)
        func distribute(_ name: String) throws {
            try FileManager.default.copyItem(
                at: Self.golden.appendingPathComponent("nyu_v2_splits.mat"), to: files.folder.file(name))
        }
        try distribute("splits.mat")
        let dataset = try open()
        #expect(dataset.splits.train == [2, 0] && dataset.splits.test == [1])
        try distribute("classMapping.mat")
        let request = LabelRequest.standard(["segmentation"], classes: 3)
        let mapped = try open(request, keys: "class_map: classMapping.mat").sample(0)
        #expect(mapped.segmentation == [255, 0, 1, 2, 1, 255, 0, 255])
        expectError("classMapping.mat: mapClass, 6", "found 3.0", "a class, or 0 for none, 0 to 2") {
            _ = try open(
                LabelRequest.standard(["segmentation"], classes: 2), keys: "class_map: classMapping.mat")
        }
        // Lists of one's own count before them.
        try files.text("train.txt", "1\n2")
        #expect(try open().splits.train == [0, 1] && open().splits.test.isEmpty)
        try files.remove("train.txt")
        try copy("nyu_v2_mat", isListed: false)
        try FileManager.default.removeItem(at: files.folder.file("splits.mat"))
        try FileManager.default.copyItem(
            at: files.folder.file("nyu_depth_v2_labeled.mat"), to: files.folder.file("splits.mat"))
        expectError("splits.mat", "MATLAB 7.3, which is HDF5") { _ = try open() }
    }

    @Test func namesWhatIsWrong() throws {
        expectError(files.root, "no nyu_depth_v2_labeled.mat", "splits.mat", "train.txt") { _ = try open() }
        try copy(isListed: false)
        expectError(files.root, "neither splits.mat nor train.txt", "numbers of images from 1") { _ = try open() }
        try copy()
        for line in ["0", "4", "one", "1.5"] {
            try files.text("train.txt", "1\n\(line)")
            expectError("train.txt: line 2", "'\(line)'", "the number of an image, 1 to 3") { _ = try open() }
        }
        try files.text("train.txt", "1")
        try copy("nyu_v2_mat_wrong")
        expectError("labels: found float64 of shape [3, 4, 2]", "uint16 of shape [3, 4, 2]") {
            _ = try open(LabelRequest.standard(["segmentation"], classes: 6))
        }
        expectError("depths: found float32 of shape [3, 2, 4]", "float32 of shape [3, 4, 2]") {
            _ = try open(LabelRequest.standard(["depth"]))
        }
        // Without the labels the images are as good as any.
        #expect(try open([]).sample(0).image.count == 24)
    }

    @Test func damageIsOneLineOfText() throws {
        try copy()
        let url = files.folder.file("nyu_depth_v2_labeled.mat")
        let whole = try Data(contentsOf: url)
        try whole.prefix(whole.count / 2).write(to: url)
        expectError("nyu_depth_v2_labeled.mat", "libhdf5 cannot read", "truncated") { _ = try open() }
        try Data("MATLAB 5.0 MAT-file".utf8).write(to: url)
        expectError("nyu_depth_v2_labeled.mat", "libhdf5 cannot read", "MATLAB 7.3") { _ = try open() }
        try Data().write(to: url)
        expectError("nyu_depth_v2_labeled.mat", "libhdf5 cannot read") { _ = try open() }
        // The streams of all chunks begin alike; broken ones are found where they are read.
        var broken = whole
        for at in 512..<whole.count - 1 where whole[at] == 0x78 && [0x01, 0x5E, 0x9C, 0xDA].contains(whole[at + 1]) {
            for offset in 2..<8 { broken[at + offset] = 0xFF }
        }
        #expect(broken != whole)
        try broken.write(to: url)
        let dataset = try open()
        expectError("nyu_depth_v2_labeled.mat: images, index 0", "libhdf5 cannot read", "that array, whole") {
            _ = try dataset.sample(0)
        }
    }

    /// Arrays in chunks may claim whatever they like.
    @Test func claimsAreCheckedBeforeMemoryIsAskedFor() throws {
        try copy()
        let url = files.folder.file("nyu_depth_v2_labeled.mat")
        let whole = try Data(contentsOf: url)
        func bytes(_ lengths: [UInt64]) -> Data {
            lengths.reduce(into: Data()) { data, length in
                withUnsafeBytes(of: length.littleEndian) { data.append(contentsOf: $0) }
            }
        }
        for sizes in [[1 << 40, 1 << 40], [1 << 20, 1 << 20], [UInt64(Int64.max), 2]] as [[UInt64]] {
            var claim = whole
            while let place = claim.range(of: bytes([3, 3, 4, 2])) {
                claim.replaceSubrange(place, with: bytes([3, 3] + sizes))
            }
            #expect(claim != whole && claim.count == whole.count)
            try claim.write(to: url)
            expectError("images: found shape [3, 3, \(sizes[0]), \(sizes[1])]", "pixels") { _ = try open([]) }
        }
    }

    /// What a damaged file does to libhdf5 ends the process that reads it, and nothing else.
    @Test func damageEndsNoProgram() throws {
        try copy()
        let url = files.folder.file("nyu_depth_v2_labeled.mat")
        let (first, second) = (try HDF5File(url), try HDF5File(url))
        #expect(kill(first.process, SIGSEGV) == 0)
        expectError("nyu_depth_v2_labeled.mat: images: found what libhdf5 cannot read: it failed there (signal 11)") {
            _ = try first.describe("images")
        }
        // The next one has a process of its own: what is whole can still be read.
        #expect(try first.describe("images").shape == [3, 3, 4, 2])
        #expect(try second.describe("images").shape == [3, 3, 4, 2])
        // Nothing of the program's is open there: a socket, and no terminal.
        let descriptors = "/proc/\(first.process)/fd"
        if let names = try? FileManager.default.contentsOfDirectory(atPath: descriptors) {
            let targets = try names.map {
                try FileManager.default.destinationOfSymbolicLink(atPath: "\(descriptors)/\($0)")
            }
            #expect(targets.count { $0.hasPrefix("socket:") } == 1)
            #expect(targets.allSatisfy { $0.hasPrefix("socket:") || $0 == "/dev/null" || $0 == url.path }, "\(targets)")
        }

        let whole = try Data(contentsOf: url)
        var errors = 0
        for place in stride(from: 0, to: whole.count, by: 67) {
            var damaged = whole
            damaged[place] ^= 0xFF
            try damaged.write(to: url)
            do {
                let dataset = try open()
                for index in 0..<dataset.count { _ = try dataset.sample(index) }
            } catch is InputError {
                errors += 1
            }
        }
        #expect(errors > 5)
    }

    /// The process of a file outlives neither its reader nor what a cluster sends to all processes of a job.
    @Test func filesAreReadAfterPoliteSignals() throws {
        try copy()
        let process: Int32
        do {
            let file = try HDF5File(files.folder.file("nyu_depth_v2_labeled.mat"))
            process = file.process
            for signal in [SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP] { #expect(kill(process, signal) == 0) }
            #expect(try file.describe("images").shape == [3, 3, 4, 2])
        }
        #expect(kill(process, 0) != 0)
    }

    /// libhdf5 itself is not made for that.
    @Test func threadsReadAtOnce() async throws {
        try copy()
        let dataset = try open()
        let expected = try (0..<3).map { try dataset.sample($0) }
        let path = files.root
        let equal = try await withThrowingTaskGroup(of: Bool.self) { group in
            for task in 0..<8 {
                group.addTask {
                    let request = DatasetRequest(root: path, labels: Self.labels, validation: 0, cacheBytes: 0)
                    let own = try NYUv2Mat().open(request)
                    return try (0..<30).allSatisfy { try own.sample(($0 + task) % 3) == expected[($0 + task) % 3] }
                }
            }
            return try await group.allSatisfy { $0 }
        }
        #expect(equal)
    }
}
