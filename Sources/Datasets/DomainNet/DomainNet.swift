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

    public static var published: PublishedDataset? {
        PublishedDataset(
            name: "DomainNet", parts: (key: "domain", label: "classification"), isResized: true,
            remarks: [
                "a training image is a part of 60 to 100 % of its area, stretched; here it is scaled and cropped as "
                    + "dataset.augmentation says",
                "weights are updated by Adam in policy learning too, with decaying rates; here by SGD with "
                    + "training.momentum, and rates stay",
            ])
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
/// Lists hold a line "path class" for each image, classes counted from 0, paths relative to the data set's folder or to
/// the domain's. They are those of the domain, `<domain>_train.txt` and `<domain>_test.txt` beside the domains'
/// folders, or `train.txt` and `test.txt` in its own; or, as the authors have them, `train.txt` and `test.txt` of all
/// domains together. Beside these `DomainNet.json` says which lines, from 0, are whose: split name → domain → numbers,
/// of `train.txt` for `train`, `train1` and `train2`, of `test.txt` for `test`; without it a path's first folder does.
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
        let lists = try DomainNetLists(root: root, domain: domain)
        var listed: [(path: String, label: Int32)] = []
        var places: [String: Int] = [:]
        var named: [String: [Int]] = [:]
        var missing: [InputError] = []
        // An image is of several splits, and looked for once.
        var known: [String: String?] = [:]
        let classes = request.labels.compactMap(\.classes).min()
        for split in DatasetSplits.names {
            guard let list = lists.splits[split] else { continue }
            // An empty list is a mistake that splits tell.
            named[split] = []
            for line in list.lines {
                func fail(_ found: String, _ expected: String) -> InputError {
                    InputError(file: list.file, place: "line \(line.number)", found: found, expected: expected)
                }
                if let classes, line.label >= classes {
                    throw fail(
                        "class \(line.label)", "0...\(classes - 1), as \(request.labels[0].place).channels says")
                }
                let isNew = known[line.path] == nil
                let found = known[line.path] ?? lists.path(of: line)
                known.updateValue(found, forKey: line.path)
                guard let path = found else {
                    if isNew, request.splits?.contains(split) ?? true {
                        missing.append(fail("'\(line.path)'", "a file below \(root.path) or its folder \(domain)"))
                    }
                    continue
                }
                let place = places[path] ?? listed.count
                if place == listed.count {
                    places[path] = place
                    listed.append((path, line.label))
                } else if listed[place].label != line.label {
                    throw fail("class \(line.label) for \(path)", "\(listed[place].label) as before")
                }
                named[split, default: []].append(place)
            }
        }
        if let error = InputError.all(missing) { throw error }
        images = listed
        labels = Set(request.labels.map(\.name))
        splits = try DatasetSplits(named: named, source: root.path, seed: request.seed, validation: request.validation)
        self.root = root
        cache = SampleCache(limit: request.cacheBytes)
    }

    public func imageFile(at index: Int) -> URL? { root.file(images[index].path) }

    public func sample(_ index: Int) throws -> Sample {
        precondition(images.indices.contains(index), "sample \(index) of \(images.count)")
        return try cache.sample(index) {
            let image = try Image.read(root.file(images[index].path), channels: 3)
            return Sample(
                name: images[index].path, height: image.height, width: image.width, image: image.pixels,
                labels: labels.isEmpty ? [:] : ["classification": LabelMap(.integers([images[index].label]))])
        }
    }
}
