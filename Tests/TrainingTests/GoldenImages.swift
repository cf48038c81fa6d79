import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import TestSupport

/// A golden classifier whose tasks have images of their own, on a device: its training step is recorded here, from the
/// network's trace alone.
final class GoldenImages {
    static let policy = GoldenCase.policy
    private static let (count, height, width) = (3, 33, 41)
    private static let outputs = [5, 4, 7]
    /// λ of the tasks.
    private static let weights = [1.0, 20, 3]

    /// What is done otherwise than the file says, for negative controls.
    enum Mistake {
        case none
        /// Every task has the first one's images.
        case sameImages
        /// The last two tasks take each other's batch norms.
        case swappedNorms
    }

    let catalog: ParameterCatalog
    var agreement: GoldenAgreement
    private let executor: Executor
    private let plan: Plan
    private let formula: GoldenFormula
    private let initial: [String: [Float]]

    init(_ family: KernelFamily, hasTaskBatchNorm: Bool, _ mistake: Mistake = .none) throws {
        let salt = hasTaskBatchNorm ? "24" : "57"
        formula = GoldenFormula(salt: salt)
        agreement = GoldenAgreement(
            file: try .golden(hasTaskBatchNorm ? "network_images_task_norms" : "network_images"), formula: formula)
        let architecture = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25,
            tasks: Self.outputs.enumerated().map { TaskHead(name: "\($0)", channels: $1, source: $0) },
            isPooled: true, hasTaskBatchNorm: hasTaskBatchNorm)
        catalog = ParameterCatalog(architecture)
        executor = Executor(library: try TestDevice.library(family))
        plan = try executor.makePlan(Self.graph(architecture, catalog, mistake))
        let formula = formula
        initial = Dictionary(uniqueKeysWithValues: catalog.specs.map { ($0.name, formula.initialValues($0)) })
        try writeInputs()
    }

    private static let imageShape = Shape([count, height, width, 3], compact: true)
    private static let classShape = Shape([count, 1, 1, 1], compact: true)
    private static let flagShape = Shape([2], compact: true)

    private static func graph(
        _ architecture: NetworkArchitecture, _ catalog: ParameterCatalog, _ mistake: Mistake
    ) -> Graph {
        let graph = Graph()
        let images = outputs.indices.map { graph.input("image\(mistake == .sameImages ? 0 : $0)", imageShape) }
        var trace = NetworkTrace(graph: graph, architecture: architecture, mode: .training)
        let features = trace.features(
            images: images, decisions: policy.select.map { row in row.map { $0 ? .select : .skip } },
            tasks: mistake == .swappedNorms ? [0, 2, 1] : nil)
        let losses = features.enumerated().map { task, features -> Value in
            let output = trace.head(task: task, features: features)
            graph.output("outputs/task\(task + 1)", output)
            let classes = graph.input("classes\(task)", classShape)
            return graph.record(TaskLoss(.crossEntropy(ignore: 255)), [output, classes])[0]
        }
        let total = graph.record(WeightedSum(weights), losses)[0]
        for (index, loss) in (losses + [total]).enumerated() { graph.output("loss/\(index)", loss) }
        let flag = graph.parameter("flag", flagShape)
        let specs = catalog.specs.filter { $0.isTrainable && $0.group != .policy && graph.knows($0.name) }
        let targets = specs.map(graph.parameter)
        for (spec, (target, gradient)) in zip(specs, zip(targets, graph.gradients(of: total, for: targets))) {
            guard let gradient else { continue }
            graph.output("grad/\(spec.name)", gradient)
            let update = AdamUpdate(
                rate: catalog.slot(of: spec.group), beta1: 0.5, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4)
            let state = ["first", "second"].map { graph.parameter("\($0)/\(spec.name)", target.shape) }
            _ = graph.record(update, [target, gradient] + state + [graph.step, flag])
        }
        trace.network.updateStatistics(flag: flag)
        return graph
    }

    private func writeInputs() throws {
        for (task, classes) in Self.outputs.enumerated() {
            let extents = [Self.count, 3, Self.height, Self.width]
            let image = formula.symmetric("input/task\(task + 1)/image", extents.reduce(1, *), scale: 2)
            try executor.store.write("image\(task)", Self.imageShape, channelsLast(image, extents))
            let labels = formula.uniform("input/task\(task + 1)/classes", Self.count).map {
                Int32($0 * Double(classes))
            }
            try executor.store.write("classes\(task)", Self.classShape, labels)
        }
        try executor.store.write("flag", Self.flagShape, [Int32](repeating: 0, count: 2))
        for spec in catalog.specs {
            let values = initial[spec.name] ?? []
            if spec.layout == .counter {
                try executor.store.write(spec.name, spec.storedShape, values.map { Int32($0) })
            } else {
                try executor.store.write(spec.name, spec.storedShape, spec.deviceOrder(values))
            }
        }
    }

    /// Runs step `step` (from 0) and compares what the file has of it.
    func run(step: Int, learningRate: Double = 1e-5) throws {
        var state = StepState()
        state.step = UInt32(step)
        for group in [ParameterGroup.backbone, .heads] {
            state.rates[catalog.slot(of: group)] = .init(
                learningRate: learningRate, beta1: 0.5, beta2: 0.999, t: step + 1)
        }
        try executor.store.write(state)
        try executor.run(plan)
        let losses = try (0...Self.outputs.count).map { Double(try executor.read("loss/\($0)", of: plan)[0]) }
        try agreement.compareLosses(step == 0 ? "loss" : "losses", "losses", row: step, losses)
        guard step == 0 else { return }
        for task in 1...Self.outputs.count {
            try agreement.compare(
                "outputs", "outputs", "task\(task)", try executor.read("outputs/task\(task)", of: plan))
        }
        for spec in catalog.specs where spec.isTrainable && spec.group != .policy {
            let isKnown = ["grad", "grad_digest"].contains { agreement.file.tensors["\($0)/\(spec.name)"] != nil }
            guard executor.shape("grad/\(spec.name)", of: plan) != nil, isKnown else {
                // A gradient is in both or in none: a block that a task skips moves nothing of that task's.
                if isKnown != (executor.shape("grad/\(spec.name)", of: plan) != nil) {
                    throw Missing(name: spec.name)
                }
                continue
            }
            let gradient = spec.diskOrder(try executor.read("grad/\(spec.name)", of: plan))
            try agreement.compare("gradients", "grad", spec.name, gradient)
        }
        try compareStatistics("statistics", "bn")
    }

    /// Compares weights and statistics after the last step.
    func compareEnd() throws {
        for spec in catalog.specs where spec.isTrainable && spec.group != .policy {
            let values = spec.diskOrder(try executor.store.read(spec.name))
            let start = initial[spec.name] ?? []
            try agreement.compare("final", "final", spec.name, values)
            try agreement.compare("delta", "delta", spec.name, zip(values, start).map { $0 - $1 })
        }
        try compareStatistics("statistics at the end", "bn_final")
    }

    private func compareStatistics(_ kind: String, _ prefix: String) throws {
        for spec in catalog.specs where spec.group == .batchNormState {
            if spec.layout == .counter {
                let counts = try executor.store.readIntegers(spec.name).map { Int64($0) }
                try agreement.compare(kind, prefix, spec.name, integers: counts)
            } else {
                try agreement.compare(kind, prefix, spec.name, try executor.store.read(spec.name))
            }
        }
    }

    /// A parameter with a gradient on one side only.
    struct Missing: Error {
        let name: String
    }
}
