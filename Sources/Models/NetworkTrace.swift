import AdaShareGraph
import AdaShareLayers
import AdaShareOperators

/// What a task does at a residual block.
public enum BlockDecision: Hashable, Sendable {
    /// x ← ReLU(res + F(x))
    case select
    /// x ← res; the branch is not traced at all.
    case skip
    /// x ← v_select · ReLU(res + F(x)) + v_skip · res
    case mix
}

/// Traces a network's forward passes onto a graph, the paths of all tasks side by side.
///
/// Value numbering in the graph makes common prefixes one path; the trace itself knows nothing about sharing.
public struct NetworkTrace {
    /// How layers behave: batch statistics and dropout in training, running statistics in inference.
    public typealias Mode = Scope.Mode

    /// Where the forward passes are recorded.
    public let graph: Graph
    /// The network whose layers are applied.
    public let architecture: NetworkArchitecture
    /// Dropout probability of the heads.
    public let dropout: Double
    /// The network's root: layers that are recorded in it have their statistics moved with the others'.
    public let network: Scope

    /// The selected blocks of each path: by path and block, the residual path and the block's output.
    public private(set) var selections: [[Int: (residual: Value, output: Value)]] = []

    /// Creates a trace without paths.
    ///
    /// - Parameters:
    ///   - graph: where the forward passes are recorded.
    ///   - architecture: the network whose layers are applied.
    ///   - mode: batch statistics and dropout, or running statistics.
    ///   - dropout: probability in four-rate heads, from 0 and below 1; without effect in inference.
    ///   - firstImage: images of the batch before those that are passed through, where these are a part of it.
    public init(
        graph: Graph, architecture: NetworkArchitecture, mode: Mode, dropout: Double = 0, firstImage: Int = 0
    ) {
        self.graph = graph
        self.architecture = architecture
        self.dropout = dropout
        network = Scope(graph, mode: mode, firstImage: firstImage)
    }

    /// The paths of all tasks through the backbone where all are given the same image; see `features(images:…)`.
    ///
    /// - Parameters:
    ///   - image: [N, H, W, 3].
    ///   - decisions: [path][block], bottom to top.
    ///   - gates: [L, 2] for each path, needed where a decision is `.mix`.
    /// - Precondition: tasks share batch norms.
    public mutating func features(image: Value, decisions: [[BlockDecision]], gates: [Value] = []) -> [Value] {
        precondition(!architecture.hasTaskBatchNorm, "batch norms per task need the tasks of the paths")
        return features(images: decisions.map { _ in image }, decisions: decisions, gates: gates)
    }

    /// The paths of all tasks through the backbone, block by block: what tasks do on different values at a block is
    /// recorded side by side, so that the gradients of its weights meet and die early.
    ///
    /// Paths of one image that decide alike are one; paths of different images have only weights in common.
    ///
    /// - Parameters:
    ///   - images: of each path, [N, H, W, 3].
    ///   - decisions: [path][block].
    ///   - gates: [L, 2] for each path, needed where a decision is `.mix`.
    ///   - tasks: whose batch norms each path takes, as indices of the architecture's tasks; nil for all tasks in
    ///     order.
    /// - Returns: each path's features after the last block, [N, h, w, channels].
    public mutating func features(
        images: [Value], decisions: [[BlockDecision]], gates: [Value] = [], tasks: [Int]? = nil
    ) -> [Value] {
        precondition(images.count == decisions.count, "\(images.count) images for \(decisions.count) paths")
        precondition(decisions.allSatisfy { $0.count == architecture.blocks.count }, "one decision per block")
        let norms: [String]
        if architecture.hasTaskBatchNorm {
            let tasks = tasks ?? Array(architecture.tasks.indices)
            precondition(tasks.count == images.count, "\(images.count) paths of \(tasks.count) tasks")
            norms = tasks.map(architecture.normPrefix)
        } else {
            norms = images.map { _ in "" }
        }
        let backbone = network.grouped(.backbone)
        var paths = zip(images, norms).map { architecture.stem($0, norms: $1, in: backbone) }
        selections = decisions.map { _ in [:] }
        for block in architecture.blocks {
            for path in paths.indices {
                let x = paths[path]
                let residual = block.residual(x, norms: norms[path], in: backbone)
                switch decisions[path][block.index] {
                case .skip:
                    paths[path] = residual
                case .select:
                    paths[path] = block.branch(
                        x, tail: .addReLU(residual: residual), norms: norms[path], in: backbone)
                    selections[path][block.index] = (residual, paths[path])
                case .mix:
                    precondition(gates.indices.contains(path), "mixing block \(block.index) needs gates")
                    let tail = BatchNormTail.mix(residual: residual, gates: gates[path], row: block.index)
                    paths[path] = block.branch(x, tail: tail, norms: norms[path], in: backbone)
                }
            }
        }
        return paths
    }

    /// One path for all tasks of the same images, whose statistics move once however many tasks there are.
    ///
    /// - Parameters:
    ///   - tasks: those that take part, as indices of the architecture's tasks.
    ///   - images: of each of these tasks, [N, H, W, 3]; the same value for tasks of the same images.
    ///   - decisions: of every path, by block; nil for hard sharing.
    /// - Returns: the features of each of these tasks.
    public mutating func shared(tasks: [Int], images: [Value], decisions: [BlockDecision]? = nil) -> [Value] {
        precondition(tasks.count == images.count, "\(images.count) images for \(tasks.count) tasks")
        let sources = tasks.map { architecture.sources[$0] }
        // Of each source the first task that takes part.
        let first = sources.indices.filter { sources.firstIndex(of: sources[$0]) == $0 }
        let decisions = decisions ?? Array(repeating: .select, count: architecture.blocks.count)
        let features = features(
            images: first.map { images[$0] }, decisions: first.map { _ in decisions }, tasks: first.map { tasks[$0] })
        return sources.map { source in
            guard let path = first.firstIndex(where: { sources[$0] == source }) else { preconditionFailure() }
            return features[path]
        }
    }

    /// The output of task `task` (from 0): [N, h, w, channels], or [N, 1, 1, channels] where that is for the whole
    /// image; float32 whatever activations are stored as.
    public func head(task: Int, features: Value) -> Value {
        architecture.output(task: task, dropout: dropout)(features, in: network.grouped(.heads))
    }
}
