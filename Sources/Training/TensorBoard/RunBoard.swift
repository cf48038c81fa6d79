import AdaShareConfiguration
import AdaShareExperiments
import AdaShareFiles
import AdaShareSupport
import AdaShareTasks
import AdaShareTensorBoard
import Foundation

/// Writes what TensorBoard shows of a run while it is trained: the events of the log as curves, and pictures.
///
/// The file is begun with the first event that shows something: a run that is finished already leaves none. Where it is
/// removed while the run goes on, the next event begins another one.
final class RunBoard {
    private let folder: URL
    private let configuration: ExperimentConfiguration
    private let tasks: [String]
    /// The first step that no file of this process has told of.
    private var nextStep: Int
    private let panelDistance, policyDistance: Int
    private var log: TensorBoardLog?

    /// What the log calls the probabilities of selecting.
    private static let probabilities = "probabilities"
    /// Evaluations of a run of which there are pictures, about.
    private static let panelCount = 25
    /// Steps of a run of which there are pictures of the policy, about.
    private static let policyCount = 200

    /// - Parameters:
    ///   - run: whose folder it is.
    ///   - experiment: what is trained.
    ///   - nextStep: of all phases together, from 1.
    ///   - steps: of all phases together.
    init(_ run: RunDirectory, _ experiment: Experiment, nextStep: Int, of steps: Int) {
        folder = run.url
        configuration = experiment.configuration
        tasks = experiment.tasks.map(\.name)
        self.nextStep = nextStep
        func distance(of every: Int, _ count: Int) -> Int { max(1, (steps / max(1, every) + count - 1) / count) }
        panelDistance = distance(of: configuration.training.evaluateEvery, Self.panelCount)
        policyDistance = distance(of: configuration.training.logEvery, Self.policyCount)
    }

    /// Takes an event of the log.
    ///
    /// - Throws: `InputError` if it cannot be written.
    func add(_ event: JSONValue) throws {
        guard let kind = event["event"]?.string, ["step", "evaluation"].contains(kind) else { return }
        let (step, time) = Self.place(of: event)
        let log = try opened(step, time)
        try log.write(EventScalars.of(event, without: [Self.probabilities]), step: step, time: time)
        guard case .object(let rows)? = event[Self.probabilities],
            step / configuration.training.logEvery % policyDistance == 0
        else { return }
        let values = tasks.map { task -> [Double] in
            if case .array(let row)? = rows[task] { row.compactMap(\.double) } else { [] }
        }
        try log.write(
            PolicyPicture.image(values), tag: "policy/probability",
            description: "Probability of selecting, light 0 to dark 1. " + rowsAndColumns, step: step, time: time)
    }

    /// Takes what an evaluation, whose event has been taken, was made under and has shown.
    ///
    /// - Throws: `InputError` if it cannot be written.
    func add(_ shown: EvaluationPictures, of event: JSONValue) throws {
        let (step, time) = Self.place(of: event)
        let log = try opened(step, time)
        if let policy = shown.policy {
            try log.write(
                PolicyPicture.image(policy.select.map { $0.map { $0 ? 1 : 0 } }), tag: "policy/selected",
                description: "What each task selects, dark, and skips, light. " + rowsAndColumns, step: step,
                time: time)
        }
        for (task, sheet) in shown.sheets {
            try log.write(
                sheet, tag: "predictions/\(task)",
                description: "From left to right: the image, what is predicted, the label (grey: there is none).",
                step: step, time: time)
        }
    }

    /// Whether pictures are wanted of an evaluation within a phase.
    func wantsPictures(step: Int) -> Bool {
        let every = configuration.training.evaluateEvery
        // The first one among them.
        return every > 0 && step > 0 && step / every % panelDistance == 1 % panelDistance
    }

    /// Says that the run is complete.
    ///
    /// - Throws: `InputError` if that cannot be written.
    func succeed() throws {
        guard log != nil else { return }
        let time = Date().timeIntervalSince1970
        try opened(nextStep - 1, time).writeSuccess(time: time)
    }

    /// Flushes what is written to disk.
    ///
    /// - Throws: `InputError` if the disk refuses.
    func synchronize() throws { try log?.synchronize() }

    private static func place(of event: JSONValue) -> (step: Int, time: Double) {
        (Int(event["global_step"]?.double ?? 0), event["time"]?.double ?? Date().timeIntervalSince1970)
    }

    private var rowsAndColumns: String {
        "Rows from the top: \(tasks.joined(separator: ", ")). Columns: blocks from the input to the heads."
    }

    /// The log, for what happened at a step.
    private func opened(_ step: Int, _ time: Double) throws -> TensorBoardLog {
        defer { nextStep = step + 1 }
        if let log, !log.isGone { return log }
        let log = try TensorBoardLog(folder, nextStep: nextStep, time: time)
        let yaml = configuration.yaml().split(separator: "\n", omittingEmptySubsequences: false)
        try log.write(
            text: yaml.map { "    \($0)" }.joined(separator: "\n"), tag: "configuration", step: nextStep - 1, time: time
        )
        try log.write(hyperparameters: hyperparameters, time: time)
        self.log = log
        return log
    }

    /// The keys that change a result, with their values.
    private var hyperparameters: [String: JSONValue] {
        configuration.flattened().reduce(into: [:]) { values, key in
            let (path, text) = key
            guard text != "null", !configuration.mayChange(path) else { return }
            values[path] =
                switch text {
                case "true": .bool(true)
                case "false": .bool(false)
                default: Double(text).map { .number($0) } ?? .string(text)
                }
        }
    }
}
