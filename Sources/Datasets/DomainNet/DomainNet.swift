import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation

/// The reader of one domain of DomainNet.
public struct DomainNet: Reader {
    public static let kind = "domainnet"
    public static let meaning = "one domain of DomainNet, which `dataset.domain` names"

    /// Which domain: a folder of the data set.
    var domain: String?

    public init() {}

    public static var fields: [ConfigurationField<DomainNet>] {
        [
            .key(
                "domain", \.domain, defaultText: "required",
                "DomainNet: which domain the images are of: clipart, infograph, painting, quickdraw, real, sketch or "
                    + "another folder with lists. Images enter the network as R,G,B / 255, minus (.485, .456, .406), "
                    + "over (.229, .224, .225).")
        ]
    }

    public var normalisation: ImageNormalisation { .standardisedRGB }

    public func open(_ request: DatasetRequest) throws -> any Dataset {
        let root = URL(fileURLWithPath: try request.folder(for: Self.kind))
        guard let domain, !domain.isEmpty else {
            throw InputError(
                file: "configuration", place: "dataset.domain", found: "nothing",
                expected: "the domain, such as real, painting, quickdraw, clipart, infograph or sketch")
        }
        return try DomainNetDataset(root: root, domain: domain, request)
    }
}

/// One domain of DomainNet: images with a class for each, label `classification`.
///
/// Two lists, `<domain>_train.txt` and `<domain>_test.txt` beside the domains' folders, or `train.txt` and `test.txt`
/// in the domain's own, hold a line "path class" for each image, classes counted from 0. Paths are relative to the data
/// set's folder, or to the domain's.
public struct DomainNetDataset: Dataset {
    /// Its label: a class of the image.
    public static let offers = ["classification": LabelFormat(.classes, extent: .image, absent: -1)]

    public let name: String
    public let labels: Set<String>
    public let splits: DatasetSplits
    private let root: URL
    private let images: [(path: String, label: Int32)]
    private let cache: SampleCache

    public var normalisation: ImageNormalisation { .standardisedRGB }
    public var count: Int { images.count }

    /// Opens a domain: reads its lists and checks that every image is there, but decodes none.
    ///
    /// - Parameters:
    ///   - root: the folder that holds the domains'.
    ///   - domain: the name of one of them.
    ///   - request: the label to read.
    /// - Throws: `InputError` naming the file, line or label at fault.
    public init(root: URL, domain: String, _ request: DatasetRequest) throws {
        name = "\(DomainNet.kind) \(domain)"
        try request.check(against: Self.offers, source: name)
        let hint =
            "the folder of DomainNet: for each domain its images and its lists of training and test images from "
            + "ai.bu.edu/M3SDA, unpacked as \(domain)/<class>/<image>, \(domain)_train.txt and \(domain)_test.txt"
        try SplitFile.checkFolder(root, expected: hint)
        var listed: [(path: String, label: Int32)] = []
        var places: [String: Int] = [:]
        var named: [String: [Int]] = [:]
        let classes = request.labels.compactMap(\.classes).min()
        for split in ["train", "test"] {
            let candidates = ["\(domain)_\(split).txt", "\(domain)/\(split).txt"]
            let list = candidates.first {
                FileManager.default.fileExists(atPath: root.appendingPathComponent($0).path)
            }
            guard let list else {
                throw InputError(
                    file: root.path, found: "neither \(candidates.joined(separator: " nor "))", expected: hint)
            }
            let lines = try Self.lines(of: root.appendingPathComponent(list), root: root, domain: domain)
            for line in lines {
                if let classes, line.label >= classes {
                    throw InputError(
                        file: root.appendingPathComponent(list).path, place: "line \(line.number)",
                        found: "class \(line.label)",
                        expected: "0...\(classes - 1), as \(request.labels[0].place).channels says")
                }
                let place = places[line.path] ?? listed.count
                if place == listed.count {
                    places[line.path] = place
                    listed.append((line.path, line.label))
                } else if listed[place].label != line.label {
                    throw InputError(
                        file: root.appendingPathComponent(list).path, place: "line \(line.number)",
                        found: "class \(line.label) for \(line.path)", expected: "\(listed[place].label) as before")
                }
                named[split, default: []].append(place)
            }
            // An empty list is a mistake that splits tell.
            named[split] = named[split] ?? []
        }
        images = listed
        labels = Set(request.labels.map(\.name))
        splits = try DatasetSplits(named: named, source: root.path, seed: request.seed, validation: request.validation)
        self.root = root
        cache = SampleCache(limit: request.cacheBytes)
    }

    private static func lines(
        of url: URL, root: URL, domain: String
    ) throws -> [(path: String, label: Int32, number: Int)] {
        guard let text = String(data: try WholeFile.read(url), encoding: .utf8) else {
            throw InputError(file: url.path, found: "bytes that are not UTF-8", expected: "lines of a path and a class")
        }
        var found: [(path: String, label: Int32, number: Int)] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.isEmpty { continue }
            let place = "line \(index + 1)"
            guard let space = line.lastIndex(of: " "), let label = Int32(line[line.index(after: space)...]), label >= 0
            else {
                throw InputError(
                    file: url.path, place: place, found: "'\(line)'", expected: "a path and a class from 0")
            }
            let path = line[..<space].trimmingCharacters(in: .whitespaces)
            let exists = { FileManager.default.fileExists(atPath: root.appendingPathComponent($0).path) }
            guard let image = [path, "\(domain)/\(path)"].first(where: exists) else {
                throw InputError(
                    file: url.path, place: place, found: "'\(path)'",
                    expected: "a file below \(root.path) or its folder \(domain)")
            }
            found.append((image, label, index + 1))
        }
        return found
    }

    public func sample(_ index: Int) throws -> Sample {
        precondition(images.indices.contains(index), "sample \(index) of \(images.count)")
        return try cache.sample(index) {
            let image = try Image.read(root.appendingPathComponent(images[index].path), channels: 3)
            return Sample(
                name: images[index].path, height: image.height, width: image.width, image: image.pixels,
                labels: labels.isEmpty ? [:] : ["classification": LabelMap(.integers([images[index].label]))])
        }
    }
}
