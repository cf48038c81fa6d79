import AdaShareDatasets
import AdaShareModels
import AdaShareSupport
import AdaShareTasks

/// One data set of an experiment, with the tasks that are given its images.
///
/// Tasks of one source have their batches and what they do alike in common; tasks of different ones only weights.
public struct ImageSource: Sendable {
    /// Where the configuration describes it: `dataset`, or `tasks.1.dataset` of the first task that has it.
    public let place: String
    /// Its reader.
    public let reader: ReaderConfiguration
    /// Its tasks, as indices in order.
    public let tasks: [Int]
    /// The labels that they learn, each once.
    public let labels: [LabelRequest]
}

extension ExperimentConfiguration {
    /// The data sets, as tasks first have them: a task's own, or `dataset`. Tasks whose own data sets are described
    /// alike have one.
    ///
    /// - Throws: `InputError` where two tasks of one data set read one label differently.
    public func imageSources() throws -> [ImageSource] {
        var found: [(place: String, reader: ReaderConfiguration, tasks: [Int])] = []
        for (index, task) in tasks.enumerated() {
            let reader = task.dataset ?? dataset.source
            // Most tasks have `dataset` itself: what readers say need not be compared.
            func isSame(_ place: String, _ other: ReaderConfiguration) -> Bool {
                task.dataset == nil && place == "dataset" || other == reader
            }
            if let known = found.firstIndex(where: { isSame($0.place, $0.reader) }) {
                found[known].tasks.append(index)
            } else {
                found.append((task.dataset == nil ? "dataset" : "tasks.\(index).dataset", reader, [index]))
            }
        }
        return try found.map {
            ImageSource(place: $0.place, reader: $0.reader, tasks: $0.tasks, labels: try labelRequests(of: $0.tasks))
        }
    }

    /// What readers are told in vain, a line for each data set: keys of kinds that are not chosen.
    package var idleReaderKeys: [String] {
        let own = tasks.enumerated().compactMap { index, task in task.dataset.map { ("tasks.\(index).dataset", $0) } }
        return ([("dataset", dataset.source)] + own).compactMap { place, reader in
            let keys = reader.idleKeys.map { "\(place).\($0)" }
            guard let kind = reader.kind, !keys.isEmpty else { return nil }
            return "without effect with \(place).kind \(kind): \(keys.joined(separator: ", "))"
        }
    }

    /// The labels that some tasks learn, each once.
    private func labelRequests(of indices: [Int]) throws -> [LabelRequest] {
        var requests: [LabelRequest] = []
        for index in indices {
            let task = tasks[index]
            let format = task.made.label
            let classes = format.element == .classes ? task.channels : nil
            guard let known = requests.firstIndex(where: { $0.name == task.labelName }) else {
                requests.append(
                    LabelRequest(name: task.labelName, format: format, classes: classes, place: "tasks.\(index)"))
                continue
            }
            guard requests[known].format == format else {
                throw InputError(
                    file: "configuration", place: "tasks.\(index).label",
                    found: "'\(task.labelName)', which \(requests[known].place) reads in another way",
                    expected: "a label of its own, or the same kind and ignore_label")
            }
            // What all of its tasks have a class for.
            guard let mine = classes, let others = requests[known].classes, mine < others else { continue }
            (requests[known].classes, requests[known].place) = (mine, "tasks.\(index)")
        }
        return requests
    }

    /// Checks that every task has images of its own where it is to have batch norms of its own.
    func validateTaskBatchNorm(file: String) throws {
        guard model.hasTaskBatchNorm else { return }
        for source in try imageSources() where source.tasks.count > 1 {
            let names = source.tasks.map { "'\(tasks[$0].name)'" }.joined(separator: ", ")
            throw InputError(
                file: file, place: "model.task_batch_norm", found: "true with the same images for tasks \(names)",
                expected:
                    "false, or a data set of its own for every task (tasks[].dataset): with the same images they would "
                    + "have no pass in common any more")
        }
    }
}
