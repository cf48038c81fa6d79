import AdaShareDeviceLayer
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning
import Foundation

/// An experiment on a device: how its convolutions may round there, and which algorithms compute them. Whatever trains,
/// scores, predicts or times a network makes it from a session.
public struct ExperimentSession {
    /// The experiment, kept to what the device can compute.
    public package(set) var experiment: Experiment
    /// The kernels of the device.
    public let library: KernelLibrary

    /// How convolutions come to their algorithms.
    public enum Algorithms {
        /// By their shapes alone, the same on every device of a kind.
        case byShape
        /// Those that are known for the device, measured where they are missing, for a step of this shape.
        case searched(AlgorithmSearchMode, BatchShape)
        /// Those a run was trained with, as far as they apply here; by shape where it recorded none.
        case recorded(RunDirectory)
        /// Those a run was begun with; for a new one they are chosen and recorded.
        ///
        /// - Parameter isContinued: whether steps were taken with them already.
        case training(RunDirectory, search: AlgorithmSearchMode, isContinued: Bool)
    }

    /// A session of an experiment that is settled already.
    init(settled experiment: Experiment, library: KernelLibrary) {
        self.experiment = experiment
        self.library = library
    }

    /// Opens an experiment on a device.
    ///
    /// - Parameters:
    ///   - experiment: what is trained, scored or timed.
    ///   - context: the device.
    ///   - family: kernel family; nil picks the device's.
    ///   - algorithms: how convolutions come to their algorithms.
    ///   - report: told what comes out otherwise than the configuration wants, and what is waited for.
    /// - Throws: `DeviceError`; `UnsupportedDevice` if the family does not run on the device; `InputError` if a run's
    ///   list of algorithms is damaged or missing.
    public static func open(
        _ experiment: Experiment, on context: DeviceContext, family: KernelFamily?, algorithms: Algorithms = .byShape,
        report: (ProgressEvent) -> Void
    ) throws -> ExperimentSession {
        let library = try KernelLibrary(context: context, family: family)
        var session = ExperimentSession(settled: experiment, library: library)
        if let notice = try session.experiment.settle(on: library) { report(.notice(notice)) }
        try withoutActuallyEscaping(report) { try session.choose(algorithms, report: $0) }
        return session
    }

    private mutating func choose(_ algorithms: Algorithms, report: @escaping (ProgressEvent) -> Void) throws {
        switch algorithms {
        case .byShape: return
        case .searched(let mode, let shape):
            // What the first process measures, the others find.
            if let ranks = experiment.ranks, !ranks.isFirst { _ = try ranks.gather([UInt8]()) }
            try experiment.chooseAlgorithms(
                shape, tuner: AlgorithmTuner(library: library, mode: mode, report: report))
            if let ranks = experiment.ranks, ranks.isFirst { _ = try ranks.gather([UInt8]()) }
        case .recorded(let run):
            guard let recorded = try run.readAlgorithms(for: library, arithmetic: experiment.arithmetic) else {
                report(.notice("no algorithms.json in \(run.url.path): algorithms are chosen by shape"))
                return
            }
            experiment.adopt(recorded, on: library)
            if let notice = recorded.notice(on: library) { report(.notice(notice)) }
        case .training(let run, let search, let isContinued):
            try choose(run, search, isContinued: isContinued, report: report)
        }
    }

    private mutating func choose(
        _ run: RunDirectory, _ search: AlgorithmSearchMode, isContinued: Bool,
        report: @escaping (ProgressEvent) -> Void
    ) throws {
        let shape = experiment.trainingShape
        guard let recorded = try run.readAlgorithms(for: library, arithmetic: experiment.arithmetic) else {
            guard !isContinued || search == .off else {
                throw InputError(
                    file: run.algorithms.path, found: "no such file",
                    expected: "the list `train` wrote; " + RecordedAlgorithms.withoutAlgorithms)
            }
            // What is measured differs from process to process.
            guard experiment.ranks?.isFirst ?? true else {
                try run.take(run.algorithms, fromFirstOf: experiment.ranks)
                return try choose(run, search, isContinued: isContinued, report: report)
            }
            let tuner = AlgorithmTuner(library: library, mode: search, report: report)
            let chosen = try experiment.chooseAlgorithms(shape, tuner: tuner)
            try run.write(chosen)
            try run.take(run.algorithms, fromFirstOf: experiment.ranks)
            report(.notice(chosen.summary))
            return
        }
        try recorded.requireAll(experiment.convolutionProblems(shape), on: library, file: run.algorithms)
        experiment.adopt(recorded, on: library)
        if let notice = recorded.notice(on: library) { report(.notice(notice)) }
        if search == .off, recorded.isMeasured {
            report(.notice("the run keeps the algorithms it was started with, measured ones too"))
        }
    }

    /// Another experiment, or the network with fewer tasks, on the same device with the same algorithms.
    package func with(_ other: Experiment) -> ExperimentSession {
        var session = self
        session.experiment = other
        session.experiment.takeAlgorithms(of: experiment)
        return session
    }

    /// The same on another library of the same device.
    package func on(_ library: KernelLibrary) -> ExperimentSession {
        ExperimentSession(settled: experiment, library: library)
    }

    /// A network with memory for its parameters and the class weights of its losses.
    ///
    /// - Parameter infersOnly: it needs no class weights, so their files are not read, and no memory for parameters
    ///   that are only read transformed.
    /// - Throws: `DeviceError`, or `InputError` if class weights cannot be read.
    public func makeNetwork(infersOnly: Bool = false) throws -> NetworkRuntime {
        try experiment.makeNetwork(library: library, infersOnly: infersOnly)
    }
}
