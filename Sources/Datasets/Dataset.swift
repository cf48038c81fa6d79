import Foundation

/// One decoded, unaugmented image with its labels, all of the same height and width, row-major.
public struct Sample: Sendable, Equatable {
    /// The file stem or generated name, unique within its data set.
    public var name: String
    /// Pixels from top to bottom.
    public var height: Int
    /// Pixels from left to right.
    public var width: Int
    /// Colours R,G,B, shape [height, width, 3].
    public var image: [UInt8]
    /// Labels by name, of those that were asked for; a sample may lack any of them.
    public var labels: [String: LabelMap]

    /// Creates a sample.
    public init(name: String, height: Int, width: Int, image: [UInt8], labels: [String: LabelMap] = [:]) {
        self.name = name
        self.height = height
        self.width = width
        self.image = image
        self.labels = labels
    }

    /// Host memory the pixels take, bytes.
    var byteCount: Int { labels.values.reduce(image.count) { $0 + $1.byteCount } }
}

/// Images with labels, addressed by index.
public protocol Dataset: Sendable {
    /// What it is called in logs and messages.
    var name: String { get }
    /// Number of samples.
    var count: Int { get }
    /// The labels, of those that were asked for, that at least one sample carries.
    var labels: Set<String> { get }
    /// Which samples belong to which split.
    var splits: DatasetSplits { get }
    /// How its colours enter the network.
    var normalisation: ImageNormalisation { get }
    /// The words that classes stand for, in the order of their numbers, by the label's name: of labels whose classes
    /// are words, which are numbered as they are found.
    var classNames: [String: [String]] { get }
    /// Whether a sample carries a label, known without decoding it.
    ///
    /// - Precondition: `index` lies in `0..<count`.
    func carries(_ label: String, at index: Int) -> Bool
    /// Where a sample's image lies; nil where no file holds it alone.
    ///
    /// - Precondition: `index` lies in `0..<count`.
    func imageFile(at index: Int) -> URL?
    /// Decodes or generates one sample; the same index always gives the same sample.
    ///
    /// - Throws: `InputError` naming the file at fault.
    /// - Precondition: `index` lies in `0..<count`.
    func sample(_ index: Int) throws -> Sample
}

extension Dataset {
    /// As the published networks of pixels have it.
    public var normalisation: ImageNormalisation { .published }
    /// Classes are numbers.
    public var classNames: [String: [String]] { [:] }
    /// No files.
    public func imageFile(at index: Int) -> URL? { nil }
    /// Every sample carries every label.
    public func carries(_ label: String, at index: Int) -> Bool { labels.contains(label) }

    /// How many of some samples carry a label.
    public func carriers(of label: String, among indices: [Int]) -> Int {
        indices.count { carries(label, at: $0) }
    }
}
