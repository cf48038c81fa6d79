import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareMethods
import AdaShareModels
import AdaShareOperators

extension StepKind {
    /// The step that is timed for a budget.
    ///
    /// - Precondition: the measure is of times.
    package static func timed(_ measure: BudgetMeasure, _ policy: DiscretePolicy) -> StepKind {
        switch measure {
        case .inference: .inference(policy)
        case .training: .retrain(policy)
        case .macs: preconditionFailure("no step is timed for multiply-accumulates")
        }
    }
}

/// Which part of a network a launch belongs to.
enum NetworkPart: Hashable {
    case stem, stemOnce
    case branch(Int)
    case branchOnce(Int)
    case projection(Int)
    case projectionOnce(Int)
    case head(Int)
    case rest

    /// By the names that step graphs record their nodes under.
    struct Names {
        private let prefixes: [(prefix: String, part: NetworkPart, once: NetworkPart)]

        init(_ architecture: NetworkArchitecture) {
            let norms = architecture.tasks.indices.map(architecture.normPrefix)
            let stem = Stem.scopes + norms.map(Stem.normScope)
            var prefixes = stem.map { ($0, NetworkPart.stem, NetworkPart.stemOnce) }
            for block in architecture.blocks {
                prefixes.append((block.name, .branch(block.index), .branchOnce(block.index)))
                guard let projection = block.projection else { continue }
                for scope in [projection] + norms.map(block.projectionScope) {
                    prefixes.append((scope, .projection(block.index), .projectionOnce(block.index)))
                }
            }
            for (index, task) in architecture.tasks.enumerated() {
                prefixes.append(("\(task.name)/loss", .head(index), .head(index)))
                // Such as task1_head, task1_fc1_c0.
                prefixes.append((architecture.output(task: index).prefix + "_", .head(index), .head(index)))
            }
            self.prefixes = prefixes.map { (prefix: $0.0, part: $0.1, once: $0.2) }
        }

        /// - Parameters:
        ///   - label: of the launch, tasks and all.
        ///   - kernel: its name.
        func part(label: String, kernel: String) -> NetworkPart {
            var label = label[...]
            var isOnce = kernel == "convolution_pack"
            for prefix in ["update/", "backward/", "recompute/"] where label.hasPrefix(prefix) {
                label = label.dropFirst(prefix.count)
                if prefix == "update/" { isOnce = true }
            }
            let found = prefixes.first { entry in
                guard label.hasPrefix(entry.prefix) else { return false }
                // A whole name: block 1.1 is not 1.10.
                let rest = label.dropFirst(entry.prefix.count)
                return entry.prefix.hasSuffix("_") || rest.first.map { "./ @".contains($0) } ?? true
            }
            return found.map { isOnce ? $0.once : $0.part } ?? .rest
        }
    }
}

extension PartTimes {
    /// What algorithm databases and runs know it by: everything that makes it another measurement.
    package static func key(
        _ experiment: Experiment, _ shape: BatchShape, _ step: BudgetMeasure, tile: MatrixProductTile
    ) -> String {
        let architecture = experiment.architecture
        let tasks = zip(architecture.tasks, experiment.tasks).map {
            "\($0.channels) \(type(of: $1.kind).name) \($1.hasClassWeights)"
        }
        let images =
            architecture.hasSeparateImages
            ? ["images \(architecture.sources)", "norms per task \(architecture.hasTaskBatchNorm)"] : []
        let algorithms = experiment.algorithms.map { "\($0.key) \($0.value)" }.sorted()
        let training = experiment.configuration.training
        return
            ([
                step.rawValue, "\(shape.count)x\(shape.height)x\(shape.width)", architecture.backbone.rawValue,
                "\(architecture.width)", architecture.head.rawValue, "\(architecture.isPooled)",
                "\(experiment.configuration.model.dropout > 0)", "\(training.recompute)", tile.rawValue,
            ] + images + tasks + algorithms).joined(separator: "; ")
    }
}
