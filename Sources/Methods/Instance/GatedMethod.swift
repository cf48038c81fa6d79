import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSchema
import AdaShareSupport
import Foundation

/// A method whose network does with each image what a policy network decides, which is trained with it.
public protocol GatedMethod: NetworkMethod where Network: GatedNetwork {
    /// `method.policy_width`: channels of the policy network's first stages.
    var policyWidth: Int { get set }
    /// `method.policy_rate`: the policy network's learning rate as a multiple of the backbone's.
    var policyRate: Double { get set }
    /// `method.warmup`: steps at the beginning in which every image passes every block.
    var warmup: Int { get set }
    /// What is minimised beside the losses of the tasks.
    func penalty(_ settings: MethodSettings) -> GatePenalty
}

extension GatedMethod {
    public static var fields: [ConfigurationField<Self>] { gatedFields }

    /// The keys that all of them have.
    static var gatedFields: [ConfigurationField<Self>] {
        [
            .key(
                "policy_width", \.policyWidth, in: 1...1024,
                "Of methods that decide on each image: channels of the policy network's first stages."),
            .key(
                "policy_rate", \.policyRate, limit: .atLeast(0),
                "Of the same methods: learning rate of the policy network, as a multiple of "
                    + "`training.learning_rate.backbone`."),
            .key(
                "warmup", \.warmup, in: .fromZero,
                "Of the same methods: steps at the beginning in which every image passes every block."),
        ]
    }

    public var multiples: [ParameterGroup: Double] { [.gates: policyRate] }
    public var needsSameImages: String { "the same images for all tasks, whose path is decided on seeing one" }

    public func step(_ settings: MethodSettings) -> StepKind {
        StepKind(GatedTraining(network: network, penalty: penalty(settings)))
    }

    public var routing: ImageRouting? {
        let network = network
        return ImageRouting(
            decision: StepKind(GateDecision(policy: network.policy)),
            inference: { decisions, tasks in network.inference(decisions, tasks: tasks) },
            macs: { decisions, model in network.policy.macs(model) + network.macs(decisions, model) })
    }

    public func validate(_ settings: MethodSettings, file: String) throws {
        try checkLength(settings, file: file)
    }

    /// Refuses a warm-up that leaves no step to learn decisions in.
    func checkLength(_ settings: MethodSettings, file: String) throws {
        let steps = settings.wholeLength
        guard warmup > 0, warmup >= steps else { return }
        throw InputError(
            file: file, place: "method.warmup", found: "\(warmup) of \(steps) steps",
            expected: "fewer than the phase has")
    }

    public func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        let settings = run.settings
        return GatedPhase(
            weights: training(run, alone: warmup), warmup: warmup,
            epoch: max(1, run.splits[.train].count / settings.training.batch),
            temperature: settings.policy.temperature, decay: settings.policy.temperatureDecay)
    }

    public func typicalSteps(
        of outline: PhaseOutline, _ settings: MethodSettings, policy: DiscretePolicy?
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String]) {
        let before = min(1, Double(warmup) / Double(max(1, outline.iterations)))
        let steps: [(kind: StepKind, share: Double)] = [(.hardSharing, before), (step(settings), 1 - before)]
        return (steps.filter { $0.share > 0 }, [])
    }

    public func namedKinds(_ settings: MethodSettings, policy: DiscretePolicy) -> [(name: String, kind: StepKind)] {
        [("training", step(settings))] + (warmup > 0 ? [("warmup", .hardSharing)] : [])
    }
}

/// The only phase of such a method: hard sharing at first, then decisions that are drawn at a temperature which falls
/// from one pass over the training images to the next.
private struct GatedPhase: TrainingPhase {
    let weights: WeightTraining
    let warmup: Int
    /// Steps of a pass.
    let epoch: Int
    let temperature, decay: Double

    func enter() throws { try weights.enter() }

    func step(_ iteration: Int) throws -> PhaseStep {
        let step = try weights.step(iteration)
        let epochs = Double(max(0, iteration - warmup) / epoch)
        let now = max(PolicySchedule.leastTemperature, temperature * pow(decay, epochs))
        var state = step.state
        state.temperature = Float(now)
        if iteration < warmup { return PhaseStep(.hardSharing, state: state) }
        return PhaseStep(step.kind, state: state, facts: ["temperature": .number(now)])
    }

    var kinds: [StepKind] { (warmup > 0 ? [.hardSharing] : []) + weights.kinds }
    func policy() throws -> DiscretePolicy { try weights.policy() }
    var isScoredAgainstConstants: Bool { true }
}
