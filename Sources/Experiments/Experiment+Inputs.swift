import AdaShareConfiguration
import AdaShareDatasets
import AdaShareFiles
import AdaShareMethods
import AdaShareModels
import AdaShareSupport
import Foundation

/// A data set without an image to train on: sound where it is only scored.
public struct NothingToTrainOn: Error, CustomStringConvertible {
    let cause: InputError
    public var description: String { cause.description }
}

extension Experiment {
    /// Opens everything a run reads and checks that it fits together, so that a mistake costs no training.
    ///
    /// - Parameter opened: the data sets, in the order of `sources`, where they are open; nil opens them.
    /// - Parameter phases: the phases that are to run, nil for all; each must have a batch in every split it draws
    ///   from.
    /// - Parameter initialWeights: what a run has kept of `model.initial_checkpoint`; nil reads that file.
    /// - Returns: the data sets, in the order of `sources`.
    /// - Throws: `NothingToTrainOn`, first of all where data sets are open; `InputError` naming the file or key.
    public func openInputs(
        _ opened: [any Dataset]? = nil, phases: Set<Phase>? = nil, initialWeights: URL? = nil
    ) throws -> [any Dataset] {
        if let opened { try requireTraining(on: opened) }
        let training = configuration.training
        let asked = method.phases(methodSettings).filter { $0.companion == nil && phases?.contains($0.phase) ?? true }
        let wanted = asked.filter { $0.iterations > 0 }
        guard !wanted.isEmpty else {
            throw InputError(
                file: "configuration", place: "training",
                found: "0 iterations in " + asked.map(\.phase.rawValue).joined(separator: ", "),
                expected: "iterations in a phase that is to run")
        }
        _ = try method.foreseenPolicy(methodSettings, macs: trainingCost.parts)
        let datasets = try opened ?? makeDatasets()
        try requireTraining(on: datasets)
        let drawn = Set(wanted.flatMap { $0.sources.map(\.split) })
        for (source, dataset) in zip(sources, datasets) {
            for split in TrainingSplit.allCases where drawn.contains(split) {
                let count = dataset.splits[split].count
                guard count < training.batch else { continue }
                throw InputError(
                    file: "configuration", place: "training.batch", found: "\(training.batch)",
                    expected: "at most \(count), the images in split \(split.rawValue) of data set \(dataset.name)"
                        + (sources.count > 1 ? " (\(source.place))" : "")
                        + (split == .train2 ? ", the part of train that moves the logits" : ""))
            }
            for split in TrainingSplit.allCases where split == .train || drawn.contains(split) {
                for label in source.labels
                where dataset.carriers(of: label.name, among: dataset.splits[split]) == 0 {
                    throw InputError(
                        file: dataset.name, place: "split \(split.rawValue)",
                        found: "no image with label \(label.name)",
                        expected: "at least one: \(label.place) learns it")
                }
            }
        }
        for task in configuration.tasks { _ = try classWeights(task) }
        if let path = configuration.model.initialCheckpoint {
            let file = initialWeights ?? URL(fileURLWithPath: path)
            _ = try catalog.names(in: catalog.adapted(TensorFile.read(file)), partial: true, of: architecture)
        }
        return datasets
    }

    private func requireTraining(on datasets: [any Dataset]) throws(NothingToTrainOn) {
        for (source, dataset) in zip(sources, datasets) where dataset.splits.train.isEmpty {
            throw NothingToTrainOn(
                cause: InputError(
                    file: source.reader.root ?? dataset.name, found: "no image to train on",
                    expected: "the split 'train' (or both 'train1' and 'train2')"))
        }
    }
}

extension Experiment {
    /// The longest that samples are looked at before training.
    private static let longestScan = 60.0

    /// Reads the samples that a run will read, as many as a minute allows, so that a bad one costs no training.
    ///
    /// Data sets that are computed, and runs that pass over bad samples, are left out.
    ///
    /// - Parameters:
    ///   - datasets: in the order of `sources`.
    ///   - report: told how far this is, and what a person should know of the labels.
    ///   - stop: asked whether the process is to stop.
    /// - Throws: `InputError` naming every bad file; `Stopped`.
    public func scan(
        _ datasets: [any Dataset], report: (ProgressEvent) -> Void, stop: StopRequest? = nil
    ) throws {
        guard configuration.dataset.onError == .stop else { return }
        var errors: [InputError] = []
        var left = Self.longestScan
        for (source, dataset) in zip(sources, datasets) {
            guard let reader = source.reader.reader, type(of: reader).needsRoot else { continue }
            let start = ContinuousClock.now
            let learners = Dictionary(
                source.tasks.map { configuration.tasks[$0] }.map { ($0.labelName, "task \($0.name)") }
            ) { $0 + ", " + $1 }
            let scan = SampleScan(dataset, labels: source.labels, learners: learners)
            let result = try scan.run(seconds: left) { done, total in
                try stop?.check()
                report(.checking(dataset: dataset.name, done: done, total: total))
            }
            left = max(0, left - (ContinuousClock.now - start) / .seconds(1))
            errors += result.errors
            for notice in result.notices { report(.notice(notice)) }
            if result.read < result.total {
                report(.checking(dataset: dataset.name, done: result.total, total: result.total))
                report(
                    .notice(
                        "\(dataset.name): \(result.read) of \(result.total) images were looked at before training; "
                            + "`adashare data check` reads all"))
            }
        }
        if let error = InputError.all(errors) { throw error }
    }

    /// What classes are called, by task: as a run has kept it, else as every data set of the kind says.
    ///
    /// - Parameter known: what a run has kept.
    package func classNames(known: [String: [String]]) -> [String: [String]] {
        var names = known
        for source in sources {
            for task in source.tasks.map({ configuration.tasks[$0] }) where names[task.name] == nil {
                names[task.name] = source.reader.reader?.classNames(of: task.labelName, count: task.channels)
            }
        }
        return names
    }

    /// How an image that belongs to no data set enters the network: as those it is trained with.
    ///
    /// - Throws: `InputError` where tasks have images of data sets that enter it differently.
    public func inputNormalisation() throws -> ImageNormalisation {
        let all = sources.map { $0.reader.reader?.normalisation ?? .published }
        guard let other = all.firstIndex(where: { $0 != all[0] }) else { return all[0] }
        throw InputError(
            file: "configuration", place: "\(sources[other].place).kind",
            found: "\(sources[other].reader.kind ?? "none"), whose images enter the network in another way than those "
                + "of \(sources[0].place).kind \(sources[0].reader.kind ?? "none")",
            expected: "tasks of one of them alone: choose them with --tasks")
    }
}
