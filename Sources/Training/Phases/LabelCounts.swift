import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareSupport

/// How many images of a step carry each label.
struct LabelCounts: Codable {
    private var images: Int
    /// By source and label.
    private var carriers: [[String: Int]]

    /// Counts the batches of a step, one for each source of images.
    init(_ batches: [Batch]) {
        images = batches[0].count
        carriers = batches.map { $0.labels.mapValues { label in label.isCarried.count { $0 } } }
    }

    /// Adds those of the images that another process has.
    mutating func add(_ other: LabelCounts) {
        images += other.images
        carriers = zip(carriers, other.carriers).map { $0.merging($1, uniquingKeysWith: +) }
    }

    /// As log lines say it, where some images lack a label; of several sources, a label's name stands behind its data
    /// set's place.
    func members(_ sources: [ImageSource]) -> [String: JSONValue] {
        var labelled: [String: JSONValue] = [:]
        for (labels, source) in zip(carriers, sources) where labels.values.contains(where: { $0 < images }) {
            for (label, count) in labels {
                labelled[carriers.count > 1 ? "\(source.place)/\(label)" : label] = .integer(count)
            }
        }
        return labelled.isEmpty ? [:] : ["images": .integer(images), "labelled": .object(labelled)]
    }
}

extension ImageSource {
    /// Which labels some images lack, a line for each and split.
    func labelNotices(_ dataset: any Dataset) -> [String] {
        let splits = dataset.splits.all.filter { !$0.indices.isEmpty }
        return labels.compactMap { label in
            let counts = splits.map { name, split in
                (name: name, carriers: dataset.carriers(of: label.name, among: split), images: split.count)
            }
            guard counts.contains(where: { $0.carriers < $0.images }) else { return nil }
            return "label \(label.name): carried by "
                + counts.map { "\($0.carriers) of \($0.images) images of \($0.name)" }.joined(separator: ", ")
        }
    }
}
