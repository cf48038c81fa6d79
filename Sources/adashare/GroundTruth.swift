import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareMethods
import AdaShareSupport
import AdaShareTasks
import Foundation

/// The labels of images that belong to the data sets of an experiment.
struct GroundTruth {
    /// What is known of an image.
    struct Labels {
        /// The splits it belongs to.
        let splits: [String]
        /// By task.
        let labels: [String: ImageLabel]
    }

    private typealias Place = (source: ImageSource, dataset: any Dataset, index: Int)
    private let experiment: Experiment
    /// Where in the data sets an image is.
    private let places: [String: [Place]]
    private let report: (ProgressEvent) -> Void

    /// Looks for images in the data sets below whose folders they lie; nil where none is found. Data sets that cannot
    /// be opened are passed over with a notice: nothing that is predicted needs them.
    init?(_ experiment: Experiment, images: [String], report: @escaping (ProgressEvent) -> Void) {
        let wanted = Set(images.map(Self.resolved))
        var places: [String: [Place]] = [:]
        for source in experiment.sources {
            guard let root = source.reader.root, !root.isEmpty else { continue }
            let (folder, given) = (Self.resolved(root), URL(fileURLWithPath: root).standardizedFileURL.path)
            guard wanted.contains(where: { $0.hasPrefix(folder + "/") }) else { continue }
            do {
                let dataset = try experiment.open(source, splits: [])
                for index in 0..<dataset.count {
                    guard let path = dataset.imageFile(at: index)?.standardizedFileURL.path else { continue }
                    let place = path.hasPrefix(given + "/") ? folder + path.dropFirst(given.count) : path
                    if wanted.contains(place) { places[place, default: []].append((source, dataset, index)) }
                }
            } catch {
                report(.notice("no labels are drawn: \(error)"))
            }
        }
        guard !places.isEmpty else { return nil }
        (self.experiment, self.places, self.report) = (experiment, places, report)
    }

    /// The labels of an image; nil where none are known.
    func of(_ path: String) -> Labels? {
        guard let found = places[Self.resolved(path)] else { return nil }
        var labels: [String: ImageLabel] = [:]
        var splits: [String] = []
        do {
            for (source, dataset, index) in found {
                let batch = try Batch(whole: index, of: dataset, labels: source.labels)
                for task in source.tasks.map({ experiment.tasks[$0] }) {
                    labels[task.name] = batch.imageLabel(task.label, image: 0)
                }
                splits += dataset.splits.all.filter { $0.indices.contains(index) }.map(\.name)
            }
        } catch {
            report(.notice("no labels are drawn: \(error)"))
            return nil
        }
        let parts = splits.contains("train") ? ["train1", "train2"] : []
        return Labels(
            splits: DatasetSplits.names.filter { splits.contains($0) && !parts.contains($0) }, labels: labels)
    }

    private static func resolved(_ path: String) -> String {
        URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
    }
}
