import AdaShareDatasets
import AdaShareExperiments
import AdaShareFiles
import AdaShareGraph
import AdaShareLayers
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTasks

/// A trained network as other programs take it: what the chosen tasks need and nothing else, from the graph that
/// predictions are computed by. Blocks that no task selects are not there; what tasks have in common is there once.
public struct NetworkExport {
    /// Weights, the policy they are used under, and the tasks they are for.
    public struct Source {
        /// The weights.
        public let file: TensorFile
        let policy: DiscretePolicy
        let tasks: [String]?

        /// - Parameters:
        ///   - file: a checkpoint of the whole network.
        ///   - policy: which task executes which block.
        ///   - tasks: those that it is for; nil for all.
        public init(file: TensorFile, policy: DiscretePolicy, tasks: [String]?) {
            (self.file, self.policy, self.tasks) = (file, policy, tasks)
        }
    }

    /// A parameter that the graph reads.
    struct Weight {
        let spec: ParameterSpec
        /// In disk order.
        let values: [Float]
    }

    /// One network.
    struct Part {
        let graph: Graph
        /// By the name that the graph knows them by.
        let weights: [String: Weight]
        /// As indices of the experiment's.
        let tasks: [Int]
        /// What tells its tensors from those of other networks; empty where there is one.
        let prefix: String
        let file: TensorFile
    }

    let experiment: Experiment
    /// Of the tasks, by their indices.
    let names: [String]
    let parts: [Part]
    /// What a reader must know: how tasks were trained, under which policy, what classes are called. What the network
    /// is given, each writer says.
    let facts: [String: String]
    /// How images entered the network in training.
    let normalisation: ImageNormalisation

    /// Traces what is exported.
    ///
    /// - Parameters:
    ///   - experiment: of the network, with the tasks that are wanted.
    ///   - sources: one, or one for each of several tasks.
    ///   - classes: by task, the words that its classes stand for, where that is known.
    /// - Throws: `InputError` where weights do not fit, or a network decides for each image what to compute.
    public init(_ experiment: Experiment, sources: [Source], classes: [String: [String]] = [:]) throws {
        self.experiment = experiment
        let graphs = experiment.stepGraphs
        let names = experiment.tasks.map(\.name)
        self.names = names
        guard graphs.routing == nil else {
            throw InputError(
                file: "export",
                found: "method \(experiment.configuration.method.kind), which decides for each image "
                    + "which blocks it computes", expected: "a method whose network is the same for all images")
        }
        let wanted = sources.map { source in
            names.indices.filter { source.tasks?.contains(names[$0]) ?? true }
        }
        let crop = experiment.trainingShape
        let shape = BatchShape(count: 1, height: crop.height, width: crop.width)
        let count = wanted.count { !$0.isEmpty }
        parts = try zip(sources, wanted).filter { !$1.isEmpty }.map { source, tasks in
            let graph = Graph()
            graphs.trace(graphs.inference(source.policy), batch: shape, tasks: tasks, into: graph)
            var weights: [String: Weight] = [:]
            let found = try experiment.catalog.names(in: source.file, partial: false, of: experiment.architecture)
            for (spec, name) in found where graph.knows(spec.name) {
                weights[spec.name] = Weight(
                    spec: spec, values: try ParameterCatalog.values(of: spec, named: name, in: source.file))
            }
            return Part(
                graph: graph, weights: weights, tasks: tasks,
                prefix: count > 1 ? tasks.map { names[$0] }.joined(separator: "+") : "", file: source.file)
        }
        normalisation = try experiment.inputNormalisation()
        facts = try Self.facts(experiment, sources, wanted, classes)
    }

    private static func facts(
        _ experiment: Experiment, _ sources: [Source], _ wanted: [[Int]], _ classes: [String: [String]]
    ) throws -> [String: String] {
        var policy = SelectionPolicy(tasks: [:])
        var about: [String: JSONValue] = [:]
        var facts = ["method": experiment.configuration.method.kind]
        for (source, tasks) in zip(sources, wanted) {
            for task in tasks {
                let configured = experiment.configuration.tasks[task].trained(as: source.file.metadata)
                policy.tasks[configured.name] = source.policy.select[task].map { $0 ? 1 : 0 }
                facts.merge(configured.facts) { $1 }
                var members: [String: JSONValue] = [
                    "kind": .string(configured.kind.name),
                    "channels": .integer(experiment.architecture.tasks[task].channels),
                ]
                if let words = classes[configured.name] { members["classes"] = .array(words.map { .string($0) }) }
                about[configured.name] = .object(members)
            }
        }
        facts["tasks"] = JSONValue.object(about).text
        if !experiment.method.hasOwnNetwork(experiment.methodSettings) { facts["policy"] = try JSONText.line(policy) }
        return facts
    }

    /// What tensors are called.
    public enum Names: String, Sendable, CaseIterable {
        /// As in the published code.
        case published
        /// Those of the backbone as in torchvision and timm, the others as published.
        case torchvision
    }

    /// The weights alone, `<task>.<name>` where tasks have networks of their own; batch norms with their counters.
    ///
    /// - Parameter naming: what tensors are called.
    public func tensors(_ naming: Names = .published) -> TensorFile {
        var file = TensorFile()
        for part in parts {
            let prefix = part.prefix.isEmpty ? "" : part.prefix + "."
            for weight in part.weights.values {
                for published in experiment.catalog.fileNames(of: weight.spec) {
                    let other = naming == .torchvision ? experiment.catalog.imageNetName(of: weight.spec) : nil
                    let name = other ?? published
                    file.add(prefix + name, floats: weight.values, shape: weight.spec.diskShape)
                    let mean = "running_mean"
                    guard name.hasSuffix(mean) else { continue }
                    func counter(_ name: String) -> String { name.dropLast(mean.count) + "num_batches_tracked" }
                    guard let count = try? part.file.integers(counter(published), shape: []) else { continue }
                    file.add(prefix + counter(name), integers: count, shape: [])
                }
            }
        }
        file.metadata = facts
        file.metadata["input"] = normalisation.text
        return file
    }
}
