import AdaShareDatasets
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTasks
import Foundation

/// What a method may ask of the run that it is part of.
public protocol MethodRun: AnyObject {
    /// The configuration, with the splits of the data set.
    var settings: MethodSettings { get }
    /// Where the run stands; what a method keeps for itself lies in `state.method`.
    var state: RunState { get set }
    /// Whether it has gone on from a checkpoint and taken no step since.
    var isResumed: Bool { get }
    /// Where the run lies, for messages.
    var place: String { get }
    /// The data set, for messages.
    var datasetName: String { get }
    /// The tensors of the network and of what is learned beside it.
    var catalog: ParameterCatalog { get }
    /// What budgets are counted in.
    var budgetCosts: PartCosts { get }
    /// What policies cost in multiply-accumulates.
    var macs: PartCosts { get }

    /// A line for people.
    func note(_ text: String)
    /// A line of the log, with phase and iteration.
    func log(_ event: String, _ members: [String: JSONValue]) throws

    /// Sets every parameter to its first value, or to that of the initial checkpoint.
    ///
    /// - Parameters:
    ///   - name: distinguishes first values of one seed; nil for those of the network's beginning.
    ///   - keepingLogits: leaves the policy as it is.
    func initialise(_ name: String?, keepingLogits: Bool) throws
    /// Whether every data set has validation images.
    var hasValidation: Bool { get }
    /// Refuses to go on where a step has not come to finite numbers, which waits for the device.
    func checkFinite() throws
    /// Forgets what optimisers have gathered, and a step that was not finite, as at the beginning of a phase.
    func resetOptimisers() throws
    /// Loads the weights that a finished phase has left.
    func load(weightsOf phase: Phase) throws
    /// Parameters as they are now, in disk order; waits for the device where they have changed since they were read.
    func read(_ parameters: [String]) throws -> [[Float]]
    /// Scores policies on the validation split with the present weights.
    ///
    /// - Parameters:
    ///   - policies: one row per task of the network, one decision per block.
    ///   - recalibrated: with each one's own batch-norm statistics.
    /// - Returns: nil where there is no such split, or nothing to be relative to.
    func scores(of policies: [DiscretePolicy], recalibrated: Bool) throws -> [Double]?
    /// Writes policies into the run's folder: `policy.json`, and those that have names into `policies`.
    func write(_ policy: SelectionPolicy?, named others: [String: SelectionPolicy]) throws
}

extension MethodRun {
    /// L.
    public var blocks: Int { settings.architecture.blocks.count }

    /// Images of the splits.
    ///
    /// - Precondition: a run has a data set.
    public var splits: DatasetSplits {
        guard let splits = settings.splits else { preconditionFailure("a run without a data set") }
        return splits
    }

    /// What a step reads from the device buffer, with the rates of the configuration; groups that a method adds stay
    /// where they are until it sets theirs: `state.rates[run.catalog.slot(of: "gates")]`.
    ///
    /// - Parameters:
    ///   - iteration: of the phase, from 0.
    ///   - phase: which random numbers belong to it.
    ///   - update: Adam's step counter, from 1; nil for the iteration.
    ///   - decays: whether the rates fall as `training.learning_rate_decay` says.
    public func stepState(_ iteration: Int, phase: UInt32, update: Int? = nil, decays: Bool = true) -> StepState {
        let (training, policy, update) = (settings.training, settings.policy, update ?? iteration + 1)
        var result = StepState()
        result.step = UInt32(iteration)
        result.seed = UInt64(training.seed)
        result.phase = phase
        func rate(_ base: Double, decays: Bool) -> StepState.Rate {
            let decay = training.learningRateDecay
            let steps = !decays || decay.every == 0 ? 0 : iteration / decay.every
            return StepState.Rate(
                learningRate: base * pow(decay.factor, Double(steps)), beta1: training.adam.beta1,
                beta2: training.adam.beta2, t: update)
        }
        result.rates[.backbone] = rate(
            training.learningRate.backbone, decays: decays && training.learningRateDecay.scope == .all)
        result.rates[.heads] = rate(training.learningRate.heads, decays: decays)
        result.rates[.policy] = StepState.Rate(
            learningRate: policy.learningRate, beta1: policy.adam.beta1, beta2: policy.adam.beta2, t: update)
        if settings.objective.learningRate > 0 {
            result.rates[.objective] = rate(settings.objective.learningRate, decays: false)
        }
        return result
    }
}
