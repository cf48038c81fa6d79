import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSupport

/// A method that trains a network of its own from the beginning to the end, in one phase.
public protocol NetworkMethod: Method {
    /// The kind of network.
    associatedtype Network: TaskNetwork
    /// Everything below the heads.
    var network: Network { get }
    /// Learning rates of groups of its own, as multiples of the backbone's, which is that of all others.
    var multiples: [ParameterGroup: Double] { get }
    /// What errors expect of tasks, whose images have to be the same ones.
    var needsSameImages: String { get }
    /// A step of its only phase.
    func step(_ settings: MethodSettings) -> StepKind
}

extension NetworkMethod {
    public var multiples: [ParameterGroup: Double] { [:] }
    public var needsSameImages: String { "the same images for all tasks, whose features meet" }
    public func step(_ settings: MethodSettings) -> StepKind { StepKind(NetworkTraining(network: network)) }
    public func check(_ architecture: NetworkArchitecture, file: String) throws {
        try requireSameImages(architecture, file: file)
    }

    /// Refuses tasks of different images.
    func requireSameImages(_ architecture: NetworkArchitecture, file: String) throws {
        guard !architecture.hasSeparateImages else {
            throw InputError(
                file: file, place: "tasks[].dataset", found: "tasks of different images with method \(Self.kind)",
                expected: needsSameImages)
        }
    }

    public func parameters(_ architecture: NetworkArchitecture) -> [ParameterSpec] {
        let list = ParameterList()
        _ = record(list.value(Shape([1, 1, 1, 3], compact: true)), architecture, in: Scope(list))
        // Those of the common backbone are every network's.
        return list.specs.filter { !$0.name.hasPrefix("backbone.") }
    }

    public func cost(_ model: CostModel) -> LayerCost? {
        let counter = CostCounter()
        let image = counter.value(Shape([1, model.height, model.width, 3], compact: true))
        return counter.cost { _ = record(image, model.architecture, in: Scope(counter)) }
    }

    private func record(_ image: Value, _ architecture: NetworkArchitecture, in s: Scope) -> [Value] {
        network.features(image, tasks: Array(architecture.tasks.indices), of: architecture, in: s)
    }

    public func inference(_ policy: DiscretePolicy) -> StepKind { StepKind(NetworkInference(network: network)) }

    public func validate(_ settings: MethodSettings, file: String) throws {
        guard settings.tasks.count > 1 else {
            throw InputError(
                file: file, place: "tasks", found: "one task with method \(Self.kind)", expected: "at least two")
        }
    }

    public func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        [PhaseOutline(.train, iterations: settings.wholeLength)]
    }

    public func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase { training(run) }

    /// Its only phase, in which its own groups learn at their multiples of the backbone's rate, or at that rate.
    ///
    /// - Parameters:
    ///   - run: the run.
    ///   - alone: steps at the beginning that leave the own groups alone.
    func training(_ run: any MethodRun, alone: Int = 0) -> WeightTraining {
        let own = run.catalog.specs.filter { run.catalog.own.contains($0.name) && $0.isTrainable }.map(\.group)
        let equal = own.filter { $0 != .backbone && $0 != .heads }.map { ($0, 1.0) }
        let multiples = self.multiples.merging(equal) { given, _ in given }
        return WeightTraining(
            run, number: PhaseNumber.train, kind: step(run.settings), multiples: multiples, alone: alone, isFirst: true
        ) {
            try $0.initialise(nil, keepingLogits: false)
        }
    }

    public func typicalSteps(
        of outline: PhaseOutline, _ settings: MethodSettings, policy: DiscretePolicy?
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String]) {
        ([(step(settings), 1)], [])
    }

    public func namedKinds(_ settings: MethodSettings, policy: DiscretePolicy) -> [(name: String, kind: StepKind)] {
        [("training", step(settings))]
    }
}
