import AdaShareDatasets
import AdaShareExperiments
import AdaShareFiles
import AdaShareMethods
import AdaShareModels
import AdaShareSupport
import Foundation

/// The checkpoints of a run.
///
/// `latest.json` names a pair of files, weights and training state. Both are complete on disk before it is renamed into
/// place, and the pair before it is removed only afterwards, so a kill at any moment leaves one whole pair.
struct CheckpointStore {
    let run: RunDirectory
    /// The method's, in order.
    var phases: [Phase]
    /// How tasks are trained, recorded beside the weights.
    var facts: [String: String] = [:]

    private var pointer: URL { run.latest }

    private struct Pointer: Codable {
        let model: String
        let state: String
        /// `ContentHash` of the state file; that of the weights stands in the state. Nil for a pair found by search.
        var stateHash: String?
    }

    /// Splits in the order a loader takes them, to notice a changed data set.
    typealias Permutations = [String: [Int]]

    /// Writes a resumable checkpoint of the network and the run.
    ///
    /// - Parameter facts: what follows from the state, stored so that a person can read it.
    /// - Parameter total: steps of the phase.
    func save(
        _ network: NetworkRuntime, state: RunState, of total: Int, policy: SelectionPolicy?, facts: [String: JSONValue],
        permutations: Permutations, environment: [String: String]
    ) throws {
        let stem = Self.stem(state, of: total)
        var names = Pointer(model: "\(stem).safetensors", state: "\(stem).state")
        var training = TensorFile()
        for (name, values) in try network.optimizerState() {
            training.add(name, floats: values, shape: [values.count])
        }
        try NonFiniteWeights.check(training, state: state)
        for (name, order) in permutations {
            training.add("permutation/\(name)", integers: order.map(Int64.init), shape: [order.count])
        }
        training.metadata = environment
        training.metadata["state"] = try JSONText.line(state)
        training.metadata["derived"] = JSONValue.object(facts).text
        let weights = try model(network.checkpoint(), state: state, policy: policy).chunks()
        training.metadata["model_hash"] = ContentHash.text(weights)
        let trainingState = training.chunks()
        names.stateHash = ContentHash.text(trainingState)
        try AtomicFile.write(chunks: weights, to: url(names.model))
        try AtomicFile.write(chunks: trainingState, to: url(names.state))
        try AtomicFile.write(Data(JSONText.line(names).utf8), to: pointer)
        removeAll(but: stem)
    }

    /// Removes what a process that ended between a checkpoint and the removal of those before has left of these.
    func removeOthers(than saved: Saved) {
        removeAll(but: URL(fileURLWithPath: saved.training.file).deletingPathExtension().lastPathComponent)
    }

    /// The name of a pair: `policy-0000300`, and `policy-0016000-open` after all steps of a phase that has not ended.
    private static func stem(_ state: RunState, of total: Int) -> String {
        let isOpen = state.iteration == total && total > 0 && !state.finished.contains(state.phase)
        return "\(state.phase.rawValue)-\(String(state.iteration).leftPadded(to: 7))"
            + (isOpen ? RunDirectory.openSuffix : "")
    }

    /// Removes the pairs before this one, and what a kill within an earlier removal left of one.
    ///
    /// States go first, so that a state always has its weights. One that cannot be removed is in nobody's way.
    private func removeAll(but stem: String) {
        var isAny = false
        for suffix in ["state", "safetensors"] {
            for file in run.checkpointFiles(extension: suffix) {
                let name = file.deletingPathExtension().lastPathComponent
                guard name != stem, Self.phase(ofPair: name) != nil else { continue }
                try? FileManager.default.removeItem(at: file)
                isAny = true
            }
        }
        // Nobody would remove them again from a run that has come to its end by the time the power fails.
        if isAny { try? AtomicFile.flush(folder: run.checkpoints.path) }
    }

    /// The phase in a pair's name; nil for weights exported under another name.
    private static func phase(ofPair name: String) -> Phase? {
        let name = withoutSuffix(name) ?? name
        guard let dash = name.lastIndex(of: "-"), !name[dash...].dropFirst().isEmpty,
            name[dash...].dropFirst().allSatisfy(\.isNumber)
        else { return nil }
        return Phase(rawValue: String(name[..<dash]))
    }

    /// Every whole pair in the folder, the furthest one last.
    ///
    /// A state is written after its weights, so weights without a state are no pair.
    private func pairs() -> [Pointer] {
        run.checkpointFiles(extension: "state")
            .compactMap { file -> (phase: Int, name: String)? in
                let name = file.deletingPathExtension().lastPathComponent
                let phase = Self.phase(ofPair: name).flatMap(phases.firstIndex(of:))
                return phase.map { ($0, name) }
            }
            .sorted { ($0.phase, Self.order($0.name)) < ($1.phase, Self.order($1.name)) }
            .map { Pointer(model: "\($0.name).safetensors", state: "\($0.name).state") }
    }

    /// A name that sorts as the pairs were written: an open phase's comes before that of its end.
    private static func order(_ name: String) -> String {
        withoutSuffix(name) ?? name + "~"
    }

    /// The name of an open phase's pair without what says so; nil for another name.
    private static func withoutSuffix(_ name: String) -> String? {
        name.hasSuffix(RunDirectory.openSuffix) ? String(name.dropLast(RunDirectory.openSuffix.count)) : nil
    }

    /// Writes weights under a name of their own, with the policy they belong to.
    func export(_ weights: TensorFile, state: RunState, policy: SelectionPolicy?, name: String) throws {
        try model(weights, state: state, policy: policy).write(to: url("\(name).safetensors"))
    }

    func url(_ name: String) -> URL { run.checkpoints.appendingPathComponent(name) }

    private func model(_ weights: TensorFile, state: RunState, policy: SelectionPolicy?) throws -> TensorFile {
        var file = weights
        try NonFiniteWeights.check(file, state: state)
        file.metadata.merge(facts) { $1 }
        file.metadata.merge([
            "stage": state.phase.rawValue, "iteration": String(state.weightsIteration ?? state.iteration),
        ]) { $1 }
        if let policy { file.metadata["policy"] = try JSONText.line(policy) }
        return file
    }

    var hasCheckpoint: Bool { FileManager.default.fileExists(atPath: pointer.path) || !pairs().isEmpty }

    /// What `save` stored last.
    struct Saved {
        let state: RunState
        let model: TensorFile
        let training: TensorFile
    }

    /// - Throws: `InputError` if a file is damaged or missing.
    func load() throws -> Saved {
        let names = try readPointer()
        guard FileManager.default.fileExists(atPath: url(names.state).path) else {
            throw InputError(
                file: url(names.state).path, found: "no such file",
                expected: "the state of training that belongs to \(names.model); without it the run cannot go on, and "
                    + "another one can begin with these weights (model.initial_checkpoint)")
        }
        let training = try TensorFile.read(url(names.state))
        try Self.check(training, names.stateHash)
        guard let text = training.metadata["state"],
            let state = try? JSONText.decode(RunState.self, from: Data(text.utf8))
        else {
            throw InputError(
                file: training.file, place: "metadata", found: "no state of a run", expected: "a file of `train`")
        }
        let model = try TensorFile.read(url(names.model))
        try Self.check(model, training.metadata["model_hash"])
        return Saved(state: state, model: model, training: training)
    }

    /// Refuses a file with another hash than was recorded of it; without a record there is nothing to refuse.
    static func check(_ file: TensorFile, _ expected: String?) throws {
        guard let expected, let found = file.contentHash, found != expected else { return }
        throw InputError(
            file: file.file, found: "contents with hash \(found)",
            expected: "\(expected), as written: the file is damaged or was replaced; a new run can begin with weights "
                + "of an earlier phase (model.initial_checkpoint)")
    }

    private func readPointer() throws -> Pointer {
        if !FileManager.default.fileExists(atPath: pointer.path), let last = pairs().last { return last }
        guard let data = try? Data(contentsOf: pointer),
            let names = try? JSONText.decode(Pointer.self, from: data)
        else {
            let last = pairs().last.map { "; without this file --resume takes the newest there are, \($0.model)" }
            throw InputError(
                file: pointer.path, found: "no readable pointer", expected: "the names of two files" + (last ?? ""))
        }
        return names
    }
}

/// Weights or optimiser state that became infinite or not a number between two losses.
public struct NonFiniteWeights: Error, CustomStringConvertible, Sendable {
    /// The phase that was to be written.
    public let phase: Phase
    /// Steps of the phase that were done.
    public let iteration: Int
    /// The tensor.
    public let name: String

    public var description: String {
        "\(phase.rawValue) step \(iteration): \(name) has values that are not finite. The last checkpoint is kept; try "
            + "lower rates (training.learning_rate; of logits policy.learning_rate) or task weights (tasks[].weight)"
    }

    static func check(_ file: TensorFile, state: RunState) throws {
        for entry in file.ordered where entry.dtype == .F32 && !entry.isFinite {
            throw NonFiniteWeights(phase: state.phase, iteration: state.iteration, name: entry.name)
        }
    }
}

extension String {
    func leftPadded(to width: Int, with character: Character = "0") -> String {
        String(repeating: character, count: max(0, width - count)) + self
    }
}
