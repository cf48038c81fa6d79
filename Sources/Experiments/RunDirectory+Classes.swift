import AdaShareDatasets
import AdaShareFiles
import AdaShareSupport
import Foundation

extension RunDirectory {
    /// The words that classes stand for, by task: of tasks whose data set has such.
    public var classes: URL { Entry.classes.url(in: url) }

    /// Checks that words stand for the classes that the run has learned them as: another word among them would number
    /// them anew. Of tasks that it has none of yet it keeps these, unless it is only
    /// read.
    ///
    /// - Parameters:
    ///   - datasets: in the order of the experiment's sources.
    ///   - experiment: says which tasks learn from which.
    /// - Throws: `InputError` naming the first class that is another, or what is wrong with the file.
    package func keepClasses(of datasets: [any Dataset], _ experiment: Experiment) throws {
        var found: [String: [String]] = [:]
        for (source, dataset) in zip(experiment.sources, datasets) {
            for index in source.tasks {
                let task = experiment.configuration.tasks[index]
                if let names = dataset.classNames[task.labelName] { found[task.name] = names }
            }
        }
        let known = try readClasses()
        for (task, names) in found.sorted(by: { $0.key < $1.key }) {
            guard let learned = known[task], learned != names else { continue }
            let shorter = min(learned.count, names.count)
            let place = (0..<shorter).first { learned[$0] != names[$0] } ?? shorter
            func name(_ list: [String]) -> String { list.indices.contains(place) ? "'\(list[place])'" : "none" }
            throw InputError(
                file: classes.path, place: "\(task), class \(place)", found: "\(name(names)) in the data set",
                expected: "\(name(learned)), as the run has learned it: the same folders or words as then")
        }
        guard mode != .read, found.keys.contains(where: { known[$0] == nil }) else { return }
        let all = known.merging(found) { learned, _ in learned }
        try AtomicFile.write(Data(try JSONText.pretty(all).utf8), to: classes)
    }

    /// The words that the run's classes stand for, by task; none where its data set has none.
    ///
    /// - Throws: `InputError` if the file is damaged.
    package func readClasses() throws -> [String: [String]] {
        guard FileManager.default.fileExists(atPath: classes.path) else { return [:] }
        do {
            return try JSONText.read([String: [String]].self, WholeFile.read(classes))
        } catch let error as DecodingError {
            throw InputError(
                file: classes.path, found: error.summary,
                expected: "a JSON object of task → the words of its classes, as the run has written it")
        }
    }
}
