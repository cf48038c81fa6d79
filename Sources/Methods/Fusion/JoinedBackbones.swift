import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSchema

/// What joins the tasks' networks at one place.
public protocol FusionUnit: Hashable, Sendable {
    /// Records what the networks go on with.
    ///
    /// - Parameters:
    ///   - features: of every task, all of one shape [N, h, w, C].
    ///   - place: the unit's place, such as `stem` or `stages.0`, for names.
    ///   - tasks: what the names of each task's tensors begin with, such as `task1`.
    ///   - s: the network's root scope, in the group `.fusion`.
    /// - Returns: as many, of the same shape.
    func callAsFunction(_ features: [Value], at place: String, tasks: [String], in s: Scope) -> [Value]
    /// Records what the heads are given.
    ///
    /// - Parameters:
    ///   - outputs: of each block of the last stage, those of every task; the last ones have been joined.
    ///   - tasks: what the names of each task's tensors begin with.
    ///   - s: the network's root scope, in the group `.fusion`.
    /// - Returns: for every task, of the same shape.
    func last(_ outputs: [[Value]], tasks: [String], in s: Scope) -> [Value]
    /// Records what is minimised beside what the objective makes of the tasks' losses, a scalar; nil for nothing.
    ///
    /// - Parameters:
    ///   - convolutions: the weights of the convolutions that end at a place, of every task, by name.
    ///   - recorder: of the training step, whose forward passes are recorded.
    func penalty(_ convolutions: [String], in recorder: StepRecorder) -> Value?
}

extension FusionUnit {
    public func last(_ outputs: [[Value]], tasks: [String], in s: Scope) -> [Value] { outputs[outputs.count - 1] }
    public func penalty(_ convolutions: [String], in recorder: StepRecorder) -> Value? { nil }
}

/// A backbone for each task, joined by a unit behind the stem's pool and behind each of the four stages.
///
/// The first task's backbone is called as every network's, `backbone.`, the others' `task2.backbone.` and so on.
public struct JoinedBackbones<Unit: FusionUnit>: TaskNetwork {
    /// What joins them.
    public let unit: Unit

    public func features(
        _ image: Value, tasks: [Int], of architecture: NetworkArchitecture, in s: Scope
    ) -> [Value] {
        let names = Self.names(architecture)
        let backbones = Self.prefixes(architecture).map { ($0.isEmpty ? s : s($0)).grouped(.backbone) }
        func joined(_ features: [Value], _ place: String) -> [Value] {
            unit(features, at: place, tasks: names, in: s.grouped(.fusion))
        }
        var outputs: [[Value]] = []
        var paths = joined(backbones.map { architecture.stem(image, in: $0) }, "stem")
        for block in architecture.blocks {
            paths = zip(paths, backbones).map { x, s in
                block.branch(x, tail: .addReLU(residual: block.residual(x, in: s)), in: s)
            }
            let stage = architecture.stages[block.stage]
            if block.position + 1 == stage.blockCount { paths = joined(paths, "stages.\(stage.index)") }
            if stage.index + 1 == architecture.stages.count { outputs.append(paths) }
        }
        let given = unit.last(outputs, tasks: names, in: s.grouped(.fusion))
        return tasks.map { given[$0] }
    }

    public func penalty(in recorder: StepRecorder) -> Value? {
        let architecture = recorder.network.architecture
        let ends = architecture.blocks.filter { $0.position + 1 == architecture.stages[$0.stage].blockCount }
        let scopes = ["backbone.conv1"] + ends.map { "\($0.name).conv\($0.isBottleneck ? 3 : 2)" }
        return unit.penalty(
            Self.prefixes(architecture).flatMap { prefix in
                scopes.map { (prefix.isEmpty ? $0 : "\(prefix).\($0)") + ".weight" }
            }, in: recorder)
    }

    private static func names(_ architecture: NetworkArchitecture) -> [String] {
        architecture.tasks.indices.map { "task\(architecture.number(task: $0))" }
    }

    /// What the names of each task's backbone begin with: nothing for the first.
    private static func prefixes(_ architecture: NetworkArchitecture) -> [String] {
        [""] + names(architecture).dropFirst()
    }
}

/// A method whose tasks have backbones of their own, joined by units.
public protocol FusionMethod: NetworkMethod where Network == JoinedBackbones<Unit> {
    /// The kind of unit.
    associatedtype Unit: FusionUnit
    /// What joins the backbones.
    var unit: Unit { get }
    /// `method.self_weight`: the initial weight of a task's own features, from 0 to 1.
    var selfWeight: Double { get set }
    /// `method.fusion_rate`: the units' learning rate as a multiple of the backbones'.
    var fusionRate: Double { get set }
}

extension FusionMethod {
    public static var fields: [ConfigurationField<Self>] { fusionFields }

    /// The keys that all of them have.
    static var fusionFields: [ConfigurationField<Self>] {
        [
            .key(
                "self_weight", \.selfWeight, limit: .between(0, 1),
                "Of methods whose tasks have backbones of their own: initial weight of a task's own features where "
                    + "they meet; the other tasks' have equal shares of the rest to 1."),
            .key(
                "fusion_rate", \.fusionRate, limit: .atLeast(0),
                "Of the same methods: learning rate of what joins the backbones, as a multiple of "
                    + "`training.learning_rate.backbone`."),
        ]
    }

    /// A backbone for each task, joined by the unit.
    public var network: JoinedBackbones<Unit> { JoinedBackbones(unit: unit) }
    public var multiples: [ParameterGroup: Double] { [.fusion: fusionRate] }
    public var joinsTasks: Bool { true }
}

/// The initial weights of the features that a task goes on with.
///
/// - Parameters:
///   - own: of the task's own.
///   - task: which one it is.
///   - count: of tasks, at least two.
/// - Returns: a weight for each task's features, in sum 1.
func fusionWeights(_ own: Double, of task: Int, among count: Int) -> [Double] {
    (0..<count).map { $0 == task ? own : (1 - own) / Double(max(1, count - 1)) }
}
