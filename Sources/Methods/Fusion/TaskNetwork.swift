import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators

/// Everything below the heads of a network whose tasks do not share one backbone under a policy, described once: its
/// parameters, its cost, its training step and its inference follow from recording it.
public protocol TaskNetwork: Hashable, Sendable {
    /// Records what comes before the heads.
    ///
    /// The tensors of the tasks' common backbone have their names under `backbone.`, in the group `.backbone`; others
    /// may be called anything else, in any group. What is one task's begins with `task<number>`.
    ///
    /// - Parameters:
    ///   - image: of all tasks, [N, H, W, 3].
    ///   - tasks: those whose features are wanted, as indices of the architecture's tasks.
    ///   - architecture: the backbone, and the tasks' numbers.
    ///   - s: the network's root scope.
    /// - Returns: the features of each of these tasks, [N, h, w, C].
    func features(_ image: Value, tasks: [Int], of architecture: NetworkArchitecture, in s: Scope) -> [Value]
    /// Records what is minimised beside what the objective makes of the tasks' losses, a scalar; nil for nothing.
    ///
    /// - Parameter recorder: of the training step, whose forward passes are recorded.
    func penalty(in recorder: StepRecorder) -> Value?
}

extension TaskNetwork {
    public func penalty(in recorder: StepRecorder) -> Value? { nil }
}

/// A step of a network of that kind; updates the weights.
struct NetworkTraining<Network: TaskNetwork>: NetworkStep {
    let network: Network

    func record(in recorder: StepRecorder) {
        var (_, total) = recorder.objective(of: recorder.predictions(of: network))
        if let penalty = network.penalty(in: recorder).map(recorder.share) {
            total = recorder.graph.record(Sum(), [total, penalty])[0]
            recorder.note(regulariser: "penalty", penalty)
            recorder.requireFinite(total)
        }
        recorder.minimise(total, recorder.weightsInUse, by: recorder.network.rule)
    }
}

/// What every task of such a network predicts.
struct NetworkInference<Network: TaskNetwork>: NetworkStep {
    let network: Network
    var learns: Bool { false }

    func record(in recorder: StepRecorder) { recorder.predict(recorder.predictions(of: network)) }
}

extension StepRecorder {
    /// Predictions of the tasks that take part.
    ///
    /// - Precondition: all tasks are given the same images.
    fileprivate func predictions(of body: some TaskNetwork) -> [Value] {
        precondition(!network.architecture.hasSeparateImages, "tasks of different images")
        return heads(body.features(images[0], tasks: present, of: network.architecture, in: scope))
    }
}

extension ParameterGroup {
    /// What joins the networks of tasks.
    static let fusion: Self = "fusion"
}
