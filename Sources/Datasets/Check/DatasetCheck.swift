import AdaShareSupport
import Foundation

/// Decodes a whole data set once, on all cores, and says what it holds and what is wrong with it.
///
/// Nothing decoded is kept, so memory does not grow with the images; open the data set with `cacheBytes` 0. The report
/// does not depend on the number of threads.
public struct DatasetCheck: Sendable {
    private let dataset: any Dataset
    private let labels: [LabelRequest]

    /// - Parameters:
    ///   - dataset: what is read.
    ///   - labels: the labels it was opened for.
    public init(_ dataset: any Dataset, labels: [LabelRequest]) {
        self.dataset = dataset
        self.labels = labels
    }

    /// Decodes every sample.
    ///
    /// - Parameters:
    ///   - threads: that decode, at least 1.
    ///   - progress: told how many samples are done, on the calling thread.
    public func run(
        threads: Int = ProcessInfo.processInfo.activeProcessorCount, progress: ((Int) -> Void)? = nil
    ) -> DatasetReport {
        let (dataset, labels) = (dataset, labels)
        let parts = dataset.splits.parts
        let queue = PrefetchQueue<SampleFacts?>(start: 0, ahead: 8 * threads, threads: threads) { index in
            guard index < dataset.count else { return nil }
            return SampleFacts(try dataset.sample(index), labels, dataset: dataset.name)
        }
        defer { queue.stop() }
        var tally = Tally(labels, train: parts[0].indices)
        for index in 0..<dataset.count {
            do {
                if let facts = try queue.take() { tally.add(facts, index) }
            } catch {
                tally.fail(error)
            }
            progress?(index + 1)
        }
        let twins = EqualImages(dataset: dataset).groups(tally.hashes, threads: threads).map(parts.describe)
        let warnings =
            twins.filter(\.isLeak).map(\.text) + dataset.splits.notices + twins.filter { !$0.isLeak }.map(\.text)
            + tally.warnings(dataset)
        return DatasetReport(
            facts: tally.facts(dataset),
            problems: (tally.errors + unlearnable).map { DatasetProblem(.error, $0) }
                + warnings.map { DatasetProblem(.warning, $0) })
    }

    /// Labels without which no task could train.
    private var unlearnable: [String] {
        let train = dataset.splits.train
        return labels.filter { dataset.carriers(of: $0.name, among: train) == 0 }.map {
            InputError(
                file: dataset.name, place: "split train", found: "no image with label \($0.name)",
                expected: "at least one: \($0.place) learns it"
            ).description
        }
    }
}

/// What has been found so far.
private struct Tally {
    private let requests: [LabelRequest]
    private let train: Set<Int>
    private var all: [LabelCount]
    private var ofTrain: [LabelCount]
    private var sizes: [[Int]: Int] = [:]
    private var undecoded = 0
    private var seen: Set<String> = []
    /// The first sample that carries a label without having a labelled place, by the label's name.
    private var firstBlank: [String: String] = [:]
    private(set) var errors: [String] = []
    private(set) var hashes: [(hash: UInt64, index: Int)] = []

    init(_ requests: [LabelRequest], train: Set<Int>) {
        self.requests = requests
        self.train = train
        all = requests.map { LabelCount($0) }
        ofTrain = all
    }

    mutating func fail(_ error: any Error) {
        undecoded += 1
        note(error)
    }

    /// Two samples may have a bad file in common.
    private mutating func note(_ error: any Error) {
        if seen.insert("\(error)").inserted { errors.append("\(error)") }
    }

    mutating func add(_ facts: SampleFacts, _ index: Int) {
        for fault in facts.faults { note(fault) }
        sizes[[facts.height, facts.width], default: 0] += 1
        hashes.append((facts.hash, index))
        for (place, request) in requests.enumerated() {
            guard let count = facts.labels[request.name] else { continue }
            all[place] += count
            if train.contains(index) { ofTrain[place] += count }
            if count.blanks > 0, firstBlank[request.name] == nil { firstBlank[request.name] = facts.name }
        }
    }

    func facts(_ dataset: any Dataset) -> DatasetFacts {
        let splits = dataset.splits.all.filter { !$0.indices.isEmpty }
        return DatasetFacts(
            name: dataset.name, samples: dataset.count, undecoded: undecoded,
            splits: splits.map { DatasetFacts.Split(name: $0.name, images: $0.indices.count) },
            sizes: sizes.map { DatasetFacts.Size(height: $0.key[0], width: $0.key[1], images: $0.value) }
                .sorted { ($1.images, $0.height, $0.width) < ($0.images, $1.height, $1.width) },
            labels: zip(requests, all).map { $1.facts($0, of: dataset, in: splits) })
    }

    func warnings(_ dataset: any Dataset) -> [String] {
        var lines: [String] = []
        let known = Set(dataset.splits.all.flatMap(\.indices)).count
        if known < dataset.count {
            lines.append("\(dataset.count - known) of \(dataset.count) samples are in no split")
        }
        for (place, request) in requests.enumerated() {
            if let first = firstBlank[request.name] {
                lines.append(
                    "label \(request.name): without a value in \(all[place].blanks) images that carry it, such as "
                        + first)
            }
            guard let classes = request.classes, all[place].places > 0 else { continue }
            let absent = (0..<classes).filter { all[place].classes[$0] == 0 }
            let untrained = (0..<classes).filter { ofTrain[place].classes[$0] == 0 && all[place].classes[$0] > 0 }
            if !absent.isEmpty { lines.append("label \(request.name): never found \(Self.name(absent))") }
            if !untrained.isEmpty {
                lines.append("label \(request.name): in no image of train \(Self.name(untrained))")
            }
        }
        return lines
    }

    /// Such as "classes 3, 5–8".
    private static func name(_ classes: [Int]) -> String {
        var runs: [ClosedRange<Int>] = []
        for number in classes {
            if let last = runs.last, last.upperBound + 1 == number {
                runs[runs.count - 1] = last.lowerBound...number
            } else {
                runs.append(number...number)
            }
        }
        return (classes.count == 1 ? "class " : "classes ")
            + runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)–\($0.upperBound)" }
            .joined(separator: ", ")
    }
}
