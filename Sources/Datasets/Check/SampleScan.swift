import AdaShareSupport
import Foundation

/// Reads the samples of a data set that a run will read, once and on all cores, so that a bad one costs no training.
///
/// As ``DatasetCheck``, but for a limited time and without what only people want to know.
public struct SampleScan: Sendable {
    /// What was found.
    public struct Result: Sendable {
        /// What training would stop at, each once.
        public let errors: [InputError]
        /// Samples that were read, of those that there are.
        public let read, total: Int
        /// What a person should know of the labels; a sentence each.
        public let notices: [String]
    }

    private let dataset: any Dataset
    private let labels: [LabelRequest]
    /// What learns a label, by its name.
    private let learners: [String: String]
    /// Those that are scored come first, since training finds what is wrong with others by itself.
    private let splits: [(name: String, indices: [Int])]

    /// - Parameters:
    ///   - dataset: what is read.
    ///   - labels: the labels it was opened for.
    ///   - learners: what learns a label, by its name, for notices.
    public init(_ dataset: any Dataset, labels: [LabelRequest], learners: [String: String]) {
        self.learners = learners
        self.dataset = dataset
        self.labels = labels
        let all = dataset.splits
        splits = [("test", all.test), ("validation", all.validation), ("train", all.train)]
    }

    /// Reads samples until all are read or the time is over.
    ///
    /// - Parameters:
    ///   - seconds: the time.
    ///   - threads: that decode, at least 1.
    ///   - progress: told how many samples are done, of all, on the calling thread.
    /// - Throws: what `progress` throws.
    public func run(
        seconds: Double, threads: Int = ProcessInfo.processInfo.activeProcessorCount,
        progress: (_ done: Int, _ total: Int) throws -> Void
    ) rethrows -> Result {
        var (seen, order): (Set<Int>, [Int]) = ([], [])
        for split in splits { order += split.indices.filter { seen.insert($0).inserted } }
        let (dataset, labels, indices) = (dataset, labels, order)
        let end = Date(timeIntervalSinceNow: seconds)
        let queue = PrefetchQueue<SampleFacts?>(start: 0, ahead: 2 * threads, threads: threads) { step in
            guard indices.indices.contains(step), Date() < end else { return nil }
            return SampleFacts(try dataset.sample(indices[step]), labels, dataset: dataset.name)
        }
        defer { queue.stop() }
        var errors: [InputError] = []
        var known: Set<String> = []
        var counts: [Int: [String: LabelCount]] = [:]
        func note(_ error: any Error) {
            let error = error as? InputError ?? InputError(file: dataset.name, found: "\(error)", expected: "a sample")
            if known.insert(error.description).inserted { errors.append(error) }
        }
        var read = 0
        while read < indices.count {
            do {
                guard let facts = try queue.take() else { break }
                for fault in facts.faults { note(fault) }
                counts[indices[read]] = facts.labels
            } catch {
                note(error)
            }
            read += 1
            try progress(read, indices.count)
        }
        let notices = read == indices.count ? notices(counts) : []
        return Result(errors: errors, read: read, total: indices.count, notices: notices)
    }

    /// Labels that no image of a split has anything of, and colours that say no direction.
    private func notices(_ counts: [Int: [String: LabelCount]]) -> [String] {
        var lines: [String] = []
        for label in labels {
            for (name, indices) in splits.reversed() where !indices.isEmpty {
                let found = indices.compactMap { counts[$0]?[label.name] }
                guard found.allSatisfy({ $0.places == $0.absent }) else { continue }
                lines.append(
                    "\(learners[label.name] ?? label.place) has no label in any of the \(indices.count) images of "
                        + "\(name) (\(dataset.name)): "
                        + (name == "train" ? "it learns nothing" : "it is not scored there"))
            }
            let greys = counts.values.reduce(0) { $0 + ($1[label.name]?.greys ?? 0) }
            if greys > 0 {
                lines.append(
                    "\(learners[label.name] ?? label.place): \(greys) pixels of \(dataset.name) are grey, which says "
                        + "no direction; a channel of 255 says that a pixel has no label")
            }
        }
        return lines
    }
}
