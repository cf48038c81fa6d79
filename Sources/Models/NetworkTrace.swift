import Graph
import Layers
import Operators

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
    public typealias Mode = Scope.Mode

    public let graph: Graph
    public let architecture: NetworkArchitecture
    /// Dropout probability of the heads.
    public let dropout: Double
    private let network: Scope

    /// The selected blocks of each task's path: by task and block, the residual path and the block's output.
    public private(set) var selections: [[Int: (residual: Value, output: Value)]] = []

    public init(graph: Graph, architecture: NetworkArchitecture, mode: Mode, dropout: Double = 0) {
        self.graph = graph
        self.architecture = architecture
        self.dropout = dropout
        network = Scope(graph, mode: mode)
    }

    /// The paths of all tasks through the backbone, block by block: what tasks do on different values at a block is
    /// recorded side by side, so that the gradients of its weights meet and die early.
    ///
    /// - Parameters:
    ///   - image: [N, H, W, 3].
    ///   - decisions: [task][block].
    ///   - gates: [L, 2] for each task, needed where a decision is `.mix`.
    /// - Returns: each task's features after the last block, [N, h, w, channels].
    public mutating func features(image: Value, decisions: [[BlockDecision]], gates: [Value] = []) -> [Value] {
        precondition(decisions.allSatisfy { $0.count == architecture.blocks.count }, "one decision per block")
        let backbone = network.grouped(.backbone)
        var paths = decisions.map { _ in architecture.stem(image, in: backbone) }
        selections = decisions.map { _ in [:] }
        for block in architecture.blocks {
            for task in paths.indices {
                let x = paths[task]
                let residual = block.residual(x, in: backbone)
                switch decisions[task][block.index] {
                case .skip:
                    paths[task] = residual
                case .select:
                    paths[task] = block.branch(x, tail: .addReLU(residual: residual), in: backbone)
                    selections[task][block.index] = (residual, paths[task])
                case .mix:
                    precondition(gates.indices.contains(task), "mixing block \(block.index) needs gates")
                    let tail = BatchNormTail.mix(residual: residual, gates: gates[task], row: block.index)
                    paths[task] = block.branch(x, tail: tail, in: backbone)
                }
            }
        }
        return paths
    }

    /// The output of task `task` (from 0): [N, h, w, channels], or [N, 1, 1, channels] where that is for the whole image; float32 whatever
    /// activations are stored as.
    public func head(task: Int, features: Value) -> Value {
        architecture.output(task: task, dropout: dropout)(features, in: network.grouped(.heads))
    }

    /// Records the running-statistics updates of every batch norm visited, in task order: n equal updates at once
    /// where n paths in a row met, one after the other where inputs differ.
    ///
    /// - Parameter flag: the non-finite flag that gates updates.
    public func updateStatistics(flag: Value) { network.updateStatistics(flag: flag) }
}
