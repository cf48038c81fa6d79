import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation

/// The reader of NYU v2 as it is distributed.
public struct NYUv2Mat: Reader {
    public static let kind = "nyu_v2_mat"
    public static let meaning = "NYU v2 as it is distributed, `nyu_depth_v2_labeled.mat`"

    /// File with a class for each of the file's own labels; nil where these are the classes.
    var classMap: String?

    public init() {}

    public static var fields: [ConfigurationField<NYUv2Mat>] {
        [
            .key(
                "class_map", \.classMap, defaultText: "null",
                "NYU v2 as distributed: a file below the root with a whole number for each of the file's own 894 "
                    + "labels, in their order: the class from 1, or 0 for none. Text, or `classMapping40.mat` with "
                    + "`mapClass` for the usual 40. null takes the file's own labels for classes.")
        ]
    }

    public func open(_ request: DatasetRequest) throws -> any Dataset {
        try NYUv2MatDataset(root: URL(fileURLWithPath: request.folder(for: Self.kind)), classMap: classMap, request)
    }
}

/// NYU v2 as it is distributed: one file of MATLAB 7.3, from which samples are read one at a time.
///
/// The file holds `images` [N, 3, W, H] of uint8, `depths` [N, W, H] of float32, metres, and `labels` [N, W, H] of
/// uint16, 0 for none: MATLAB's axes from the other end. Labels are `depth` and `segmentation`; the classes of the
/// usual benchmark are a map of the file's own 894 labels that is distributed elsewhere, and normals are not in the
/// file. Splits are those of `splits.mat` beside it, or lists, `train.txt`, `test.txt` and others, with the number of
/// an image, from 1, in each line.
public struct NYUv2MatDataset: Dataset {
    /// Its labels, by name: classes, metres.
    public static let offers: [String: LabelFormat] = [
        "segmentation": LabelFormat(.classes, absent: 255), "depth": LabelFormat(.numbers, absent: 0),
    ]
    private static let fileName = "nyu_depth_v2_labeled.mat"
    /// Bytes that one byte of a file may stand for: chunks are packed by deflate.
    private static let mostExpansion = 1032

    public let name = NYUv2Mat.kind
    public let count: Int
    public let labels: Set<String>
    public let splits: DatasetSplits
    private let file: HDF5File
    private let path: String
    private let requests: [LabelRequest]
    private let height, width: Int
    /// Where in a plane [W, H] of the file the pixels of a sample lie, row-major.
    private let places: [Int]
    /// The class of each label of the file, −1 for none; nil where label l is class l − 1.
    private let classMap: [Int32]?
    private let cache: SampleCache

    /// Opens a data set: checks what the file holds and reads the lists, but no image.
    ///
    /// - Parameters:
    ///   - root: the folder that holds the file and the lists.
    ///   - classMap: file with a class for each of the file's own labels, relative to the root; nil for those.
    ///   - request: the labels to read.
    /// - Throws: `InputError` naming the file, array, line or label at fault.
    public init(root: URL, classMap: String? = nil, _ request: DatasetRequest) throws {
        try request.check(against: Self.offers, source: name)
        let hint =
            "\(Self.fileName) from cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html, and beside it its splits.mat, or "
            + "train.txt and test.txt with numbers of images from 1, one in each line"
        try SplitFile.checkFolder(root, expected: "a folder with " + hint)
        let url = root.appendingPathComponent(Self.fileName)
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw InputError(file: root.path, found: "no \(Self.fileName)", expected: hint)
        }
        path = url.path
        let file = try HDF5File(url)
        self.file = file
        let images = try file.describe("images")
        guard images.element == .uint8, images.shape.count == 4, images.shape[1] == 3, !images.shape.contains(0) else {
            throw InputError(
                file: path, place: "images", found: "\(images.element) of shape \(images.shape)",
                expected: "uint8 of shape [images, 3, width, height]")
        }
        let (width, height) = (images.shape[2], images.shape[3])
        // Arrays may claim what they do not hold.
        guard images.shape[0] <= Int(Int32.max), height <= Image.maximumPixels / width else {
            throw InputError(
                file: path, place: "images", found: "shape \(images.shape)",
                expected: "images of at most \(Image.maximumPixels) pixels")
        }
        let bytes = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int ?? 0
        guard images.shape.reduce(1, *) / Self.mostExpansion <= bytes else {
            throw InputError(
                file: path, place: "images", found: "shape \(images.shape)",
                expected: "no more than a file of \(bytes) bytes can hold")
        }
        (count, self.width, self.height) = (images.shape[0], width, height)
        places = (0..<height).flatMap { y in (0..<width).map { x in x * height + y } }
        for label in request.labels {
            let (array, element): (String, HDF5File.Element) =
                label.name == "depth" ? ("depths", .float32) : ("labels", .uint16)
            let found = try file.describe(array)
            guard found.element == element, found.shape == [count, width, height] else {
                throw InputError(
                    file: path, place: array, found: "\(found.element) of shape \(found.shape)",
                    expected: "\(element) of shape \([count, width, height]) as the images are")
            }
        }
        self.classMap = try request.labels.first { $0.format.element == .classes }.flatMap {
            try Self.map(classMap.map(root.appendingPathComponent), for: $0, in: file)
        }
        var named: [String: [Int]] = [:]
        for split in DatasetSplits.names {
            let list = root.appendingPathComponent("\(split).txt")
            guard FileManager.default.fileExists(atPath: list.path) else { continue }
            named[split] = try Self.numbers(in: list, range: 1...count, "the number of an image").map { $0 - 1 }
        }
        let distributed = root.appendingPathComponent("splits.mat")
        if named.isEmpty, FileManager.default.fileExists(atPath: distributed.path) {
            let splits = try MATFile(distributed, arrays: ["trainNdxs", "testNdxs"])
            for (split, array) in [("train", "trainNdxs"), ("test", "testNdxs")] {
                named[split] = try Self.numbers(
                    array, of: splits, distributed, range: 1...count, "the number of an image"
                ).map { $0 - 1 }
            }
        }
        guard !named.isEmpty else {
            throw InputError(file: root.path, found: "neither splits.mat nor train.txt", expected: hint)
        }
        splits = try DatasetSplits(
            named: named, source: root.path, seed: request.seed, validation: request.validation)
        requests = request.labels
        labels = Set(request.labels.map(\.name))
        cache = SampleCache(limit: request.cacheBytes)
    }

    /// Whole numbers of a text file.
    private static func numbers(in url: URL, range: ClosedRange<Int>, _ what: String) throws -> [Int] {
        guard let text = String(data: try WholeFile.read(url), encoding: .utf8) else {
            throw InputError(file: url.path, found: "bytes that are not UTF-8", expected: "whole numbers")
        }
        return try text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated().flatMap {
            number, line in
            try line.split(whereSeparator: \.isWhitespace).map { word in
                guard let value = Int(word), range.contains(value) else {
                    throw InputError(
                        file: url.path, place: "line \(number + 1)", found: "'\(word)'",
                        expected: "\(what), \(range.lowerBound) to \(range.upperBound)")
                }
                return value
            }
        }
    }

    /// Whole numbers of an array in a file of MATLAB.
    private static func numbers(
        _ name: String, of file: MATFile, _ url: URL, range: ClosedRange<Int>, _ what: String
    ) throws -> [Int] {
        guard let values = file.arrays[name] else {
            let known = file.names.sorted().joined(separator: ", ")
            throw InputError(file: url.path, found: "the arrays \(known)", expected: name)
        }
        return try values.enumerated().map { index, value in
            guard let number = Int(exactly: value), range.contains(number) else {
                throw InputError(
                    file: url.path, place: "\(name), \(index + 1)", found: "\(value)",
                    expected: "\(what), \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
    }

    /// The classes of the file's own labels.
    private static func map(_ url: URL?, for label: LabelRequest, in file: HDF5File) throws -> [Int32]? {
        // The names of the labels: as many as there are.
        let lengths = (try? file.describe("names").shape) ?? [894]
        let own = lengths.reduce(1) { $0.multipliedReportingOverflow(by: $1).overflow ? .max : $0 * $1 }
        guard own <= Int(UInt16.max) else {
            throw InputError(
                file: file.path, place: "names", found: "shape \(lengths)",
                expected: "at most \(UInt16.max) names, as labels of 16 bits tell apart")
        }
        let classes = label.classes ?? own
        guard let url else {
            guard classes >= own else {
                throw InputError(
                    file: "configuration", place: "\(label.place).channels", found: "\(classes)",
                    expected:
                        "\(own), the labels that the file holds; or dataset.class_map, a file with a class from 1 "
                        + "(or 0 for none) for each of them, such as classMapping40.mat")
            }
            return nil
        }
        let isMatlab = url.pathExtension.lowercased() == "mat"
        let (range, what) = (0...classes, "a class, or 0 for none")
        let map =
            isMatlab
            ? try numbers("mapClass", of: MATFile(url, arrays: ["mapClass"]), url, range: range, what)
            : try numbers(in: url, range: range, what)
        guard map.count == own else {
            throw InputError(file: url.path, found: "\(map.count) numbers", expected: "\(own), one for each label")
        }
        return map.map { Int32($0) - 1 }
    }

    public func sample(_ index: Int) throws -> Sample {
        precondition((0..<count).contains(index), "sample \(index) of \(count)")
        return try cache.sample(index) { try read(index) }
    }

    private func read(_ index: Int) throws -> Sample {
        let pixels = height * width
        let planes = try file.bytes("images", at: index, count: 3 * pixels)
        var image: [UInt8] = []
        image.reserveCapacity(3 * pixels)
        for place in places {
            for channel in 0..<3 { image.append(planes[channel * pixels + place]) }
        }
        var sample = Sample(name: "\(index + 1)", height: height, width: width, image: image)
        for request in requests {
            sample.labels[request.name] =
                request.name == "depth" ? try depth(index) : try classes(index, count: request.classes ?? 0)
        }
        return sample
    }

    private func depth(_ index: Int) throws -> LabelMap {
        let stored = try file.floats("depths", at: index, count: height * width)
        let metres = places.map { stored[$0] }
        if let at = metres.firstIndex(where: { !$0.isFinite }) {
            throw InputError(
                file: path, place: "depths, image \(index + 1), row \(at / width), column \(at % width)",
                found: "\(metres[at])", expected: "metres")
        }
        return LabelMap(.numbers(metres))
    }

    private func classes(_ index: Int, count: Int) throws -> LabelMap {
        let stored = try file.words("labels", at: index, count: height * width)
        let values = try places.map { place -> Int32 in
            let label = Int(stored[place])
            guard label > 0 else { return ClassLabels.none }
            guard let classMap else { return Int32(label - 1) }
            guard classMap.indices.contains(label - 1) else {
                throw InputError(
                    file: path, place: "labels, image \(index + 1), row \(place % height), column \(place / height)",
                    found: "label \(label)", expected: "0 to \(classMap.count), for which dataset.class_map has classes"
                )
            }
            return classMap[label - 1] < 0 ? ClassLabels.none : classMap[label - 1]
        }
        return try ClassLabels.map(
            values, count: count, width: width, file: "\(path), labels, image \(index + 1)", absent: nil)
    }
}
