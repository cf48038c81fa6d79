import AdaShareSupport
import Foundation

/// Which step policy iteration i is: alternation, curriculum and temperature as pure functions of i.
///
/// One policy epoch = `weightSteps` weight steps, then `logitSteps` logit steps.
public struct PolicySchedule: Sendable, Equatable {
    /// Weight steps of one policy epoch.
    public let weightSteps: Int
    /// Logit steps of one policy epoch.
    public let logitSteps: Int
    /// Residual blocks that get a free policy: the last ones.
    public let blocks: Int
    /// Policy epochs per block that the curriculum opens; 0 where all are open from the start.
    public let curriculumSpeed: Int
    /// Gumbel-Softmax temperature τ of the first policy epoch.
    public let temperature: Double
    /// Factor on τ after each policy epoch.
    public let temperatureDecay: Double
    /// τ falls no further: below, samples have been one-hot for long, and gradients by 1/τ would leave float32.
    public static let leastTemperature = 1e-12

    /// Creates a schedule.
    ///
    /// - Parameters:
    ///   - weightSteps: weight steps of one policy epoch.
    ///   - logitSteps: logit steps of one policy epoch.
    ///   - blocks: residual blocks that get a free policy.
    ///   - curriculumSpeed: policy epochs per block that the curriculum opens; 0 without a curriculum.
    ///   - temperature: τ of the first policy epoch.
    ///   - temperatureDecay: factor on τ after each policy epoch.
    /// - Precondition: an epoch has a step.
    public init(
        weightSteps: Int, logitSteps: Int, blocks: Int, curriculumSpeed: Int, temperature: Double,
        temperatureDecay: Double
    ) {
        self.weightSteps = weightSteps
        self.logitSteps = logitSteps
        self.blocks = blocks
        self.curriculumSpeed = curriculumSpeed
        self.temperature = temperature
        self.temperatureDecay = temperatureDecay
    }

    /// What a step of policy learning moves.
    public enum Kind: Sendable, Equatable {
        /// The weights, with the logits frozen.
        case weights
        /// The logits, with the weights frozen.
        case logits
    }

    /// One iteration of policy learning.
    public struct Step: Sendable, Equatable {
        /// What the step moves.
        public let kind: Kind
        /// Policy epoch, from 0.
        public let epoch: Int
        /// Steps of this kind taken before.
        public let index: Int
        /// Blocks with a free policy: the last `open` ones.
        public let open: Int
        /// τ of the Gumbel-Softmax, constant within a policy epoch.
        public let temperature: Double
    }

    /// Steps of one policy epoch.
    public var cycle: Int { weightSteps + logitSteps }

    /// The step of iteration `iteration`, from 0.
    public func step(_ iteration: Int) -> Step {
        let epoch = iteration / cycle
        let rest = iteration % cycle
        let isWeights = rest < weightSteps
        return Step(
            kind: isWeights ? .weights : .logits, epoch: epoch,
            index: isWeights ? epoch * weightSteps + rest : epoch * logitSteps + rest - weightSteps,
            open: openBlocks(epoch: epoch),
            temperature: max(Self.leastTemperature, temperature * pow(temperatureDecay, Double(epoch))))
    }

    /// Blocks the curriculum has opened in an epoch.
    public func openBlocks(epoch: Int) -> Int {
        curriculumSpeed == 0 ? blocks : min(blocks, epoch / curriculumSpeed + 1)
    }

    /// Steps of each kind among the first `iterations`.
    public func counts(_ iterations: Int) -> (weights: Int, logits: Int) {
        let epochs = iterations / cycle
        let rest = iterations % cycle
        return (
            epochs * weightSteps + min(rest, weightSteps), epochs * logitSteps + max(0, rest - weightSteps)
        )
    }

    /// Iterations after which every block has been open for a whole policy epoch.
    public var iterationsToOpenAll: Int { ((blocks - 1) * curriculumSpeed + 1) * cycle }

    /// Blocks open in the last of `iterations` steps.
    public func openBlocks(after iterations: Int) -> Int { iterations == 0 ? 0 : step(iterations - 1).open }
}

extension PolicySchedule {
    /// Alternation and curriculum of a configuration.
    ///
    /// - Returns: nil where a half has no step, or its length needs the data set.
    init?(_ settings: MethodSettings) {
        let policy = settings.policy
        func length(_ setting: AlternationLength, _ split: [Int]?) -> Int {
            switch setting {
            case .epoch: (split?.count ?? 0) / settings.training.batch
            case .iterations(let count): count
            }
        }
        let weights = length(policy.alternation.weights, settings.splits?.train1)
        let logits = length(policy.alternation.logits, settings.splits?.train2)
        guard weights > 0, logits > 0 else { return nil }
        self.init(
            weightSteps: weights, logitSteps: logits, blocks: policy.learnedBlocks(of: settings.architecture),
            curriculumSpeed: policy.curriculum ? policy.curriculumSpeed : 0, temperature: policy.temperature,
            temperatureDecay: policy.temperatureDecay)
    }

    /// Alternation and curriculum of a run.
    ///
    /// - Throws: `InputError` where a split has less than a batch.
    init(_ run: any MethodRun) throws {
        let batch = run.settings.training.batch
        for split in [TrainingSplit.train1, .train2] where run.splits[split].count < batch {
            throw InputError(
                file: run.datasetName, place: "split \(split.rawValue)", found: "\(run.splits[split].count) images",
                expected: "at least training.batch = \(batch)")
        }
        guard let schedule = PolicySchedule(run.settings) else {
            preconditionFailure("splits of at least a batch have a schedule")
        }
        self = schedule
    }
}
