import AdaShareSchema
import AdaShareSupport

/// What a reader is asked to open.
public struct DatasetRequest: Sendable {
    /// Folder of the data set, `dataset.root`; nil where none is given.
    public var root: String?
    /// The labels that tasks need, each name once.
    public var labels: [LabelRequest]
    /// Drives the drawing of splits that the data set does not name.
    public var seed: UInt64
    /// Share of `train` that is kept for validation if the data set has no split of that name.
    public var validation: Double
    /// Limit of host memory for decoded samples, bytes.
    public var cacheBytes: Int
    /// The splits that will be read, whose files have to be there; nil for all.
    public var splits: Set<String>?

    /// Creates a request.
    public init(
        root: String? = nil, labels: [LabelRequest], seed: UInt64 = 1, validation: Double = 0.1,
        cacheBytes: Int = 1 << 29, splits: Set<String>? = nil
    ) {
        self.splits = splits
        self.root = root
        self.labels = labels
        self.seed = seed
        self.validation = validation
        self.cacheBytes = cacheBytes
    }

    /// The folder.
    ///
    /// - Throws: `InputError` where none is given.
    public func folder(for kind: String) throws -> String {
        guard let root, !root.isEmpty else {
            throw InputError(
                file: "configuration", place: "dataset.root", found: "nothing",
                expected: "the folder of the data set, which kind \(kind) needs")
        }
        return root
    }

    /// Checks that a data set has the labels that are asked for, as they are asked for.
    ///
    /// - Parameters:
    ///   - offers: the labels it has, by name; of their formats, what values mark absence is not compared.
    ///   - source: the data set in messages.
    /// - Throws: `InputError` naming the task at fault.
    public func check(against offers: [String: LabelFormat], source: String) throws {
        for label in labels {
            guard let offer = offers[label.name] else {
                throw InputError(
                    file: "configuration", place: "\(label.place).label", found: "'\(label.name)'",
                    expected: "a label of data set \(source): " + offers.keys.sorted().joined(separator: ", "))
            }
            let wanted = label.format
            guard
                (offer.element, offer.extent, offer.channels) == (wanted.element, wanted.extent, wanted.channels)
            else {
                throw InputError(
                    file: "configuration", place: "\(label.place).label",
                    found: "'\(label.name)', which in data set \(source) is \(offer.summary)",
                    expected: wanted.summary)
            }
        }
    }
}

/// A way to get at images and labels: a word for `dataset.kind`, keys of its own under `dataset`, and what opens the
/// data set they describe. One file or folder each.
public protocol Reader: ConfigurationKind {
    /// Whether it needs `dataset.root`.
    static var needsRoot: Bool { get }
    /// What the published code's configurations call the data set; nil for one that it does not read.
    static var published: PublishedDataset? { get }
    /// How colours of its images enter the network, as the data set it opens says too: those who predict open none.
    var normalisation: ImageNormalisation { get }
    /// Whether numbers of its labels are in the units of their task kinds, such as metres; otherwise they have none.
    var keepsUnits: Bool { get }
    /// What classes of a label are called, in their order, where all data sets of the kind call them so.
    ///
    /// - Parameters:
    ///   - label: its name.
    ///   - count: how many classes there are.
    func classNames(of label: String, count: Int) -> [String]?
    /// Checks its keys, where another reader may be the chosen one.
    ///
    /// - Throws: `InputError` naming the key.
    func validate(chosen: String?, file: String) throws
    /// Opens the data set; decodes nothing yet.
    ///
    /// - Throws: `InputError` naming the file, key or label at fault.
    func open(_ request: DatasetRequest) throws -> any Dataset
}

extension Reader {
    public static var needsRoot: Bool { true }
    public static var published: PublishedDataset? { nil }
    public var normalisation: ImageNormalisation { .published }
    public var keepsUnits: Bool { true }
    public func classNames(of label: String, count: Int) -> [String]? { nil }
    public func validate(chosen: String?, file: String) throws {}
}

/// The readers that `dataset.kind` may name.
public struct Readers: Sendable {
    /// In the order of the reference.
    public let all: [any Reader.Type]

    /// A registry of one's own.
    ///
    /// - Precondition: kinds differ.
    public init(_ all: [any Reader.Type]) {
        precondition(Set(all.map { $0.kind }).count == all.count, "two readers of one kind")
        self.all = all
    }

    /// What this package reads.
    public static let standard = Readers([
        NYUv2.self, Scenes.self, Folders.self, CityscapesReader.self, Taskonomy.self, DomainNet.self, NYUv2Mat.self,
    ])

    /// The same with one more.
    public func adding(_ reader: any Reader.Type) -> Readers { Readers(all + [reader]) }
}
