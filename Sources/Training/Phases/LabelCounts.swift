import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareSupport

extension Batch {
    /// How many images carry each label, where some lack one, as log lines say it.
    var labelCounts: [String: JSONValue] {
        let carriers = labels.mapValues { label in label.isCarried.count { $0 } }
        guard carriers.values.contains(where: { $0 < count }) else { return [:] }
        return ["images": .integer(count), "labelled": .object(carriers.mapValues { .integer($0) })]
    }
}

extension [Batch] {
    /// The same of the batches of a step; where there are several, a label's name stands behind its data set's place.
    func labelCounts(_ sources: [ImageSource]) -> [String: JSONValue] {
        guard count > 1 else { return first?.labelCounts ?? [:] }
        var carriers: [String: JSONValue] = [:]
        for (batch, source) in zip(self, sources) {
            guard case .object(let labelled)? = batch.labelCounts["labelled"] else { continue }
            for (label, images) in labelled { carriers["\(source.place)/\(label)"] = images }
        }
        return carriers.isEmpty ? [:] : ["images": .integer(self[0].count), "labelled": .object(carriers)]
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
