import AdaShareLayers
import AdaShareModels
import AdaShareOperators

/// A small network that looks at an image and decides what the large one does with it.
///
/// Four 3×3 convolutions of stride 2 with batch norm and ReLU, of one, one, two and four times the width, the mean over
/// all places, and a linear layer: `gates.stages.<i>` and `gates.linear`, or where each task has decisions of its own
/// `task<k>_gates.linear`.
public struct PolicyNetwork: Hashable, Sendable {
    /// Whether each task has decisions of its own; else one row of them is for all.
    public let isPerTask: Bool
    /// Channels of its first two stages.
    public let width: Int

    private static let widths = [1, 1, 2, 4]

    /// Records the logits of the decisions.
    ///
    /// - Parameters:
    ///   - image: [N, H, W, 3].
    ///   - tasks: whose decisions are wanted, as indices of the architecture's tasks.
    ///   - architecture: the blocks to decide on, and the tasks' numbers.
    ///   - s: the network's root scope.
    /// - Returns: for each of these tasks, or once for all, [N, 1, 1, L]: select where at least 0.
    func logits(_ image: Value, tasks: [Int], of architecture: NetworkArchitecture, in s: Scope) -> [Value] {
        let s = s.grouped(.gates)
        var x = image
        for (index, multiple) in Self.widths.enumerated() {
            let s = s("gates.stages.\(index)")
            let h = s("conv").convolution(x, channels: multiple * width, kernel: 3, stride: 2, padding: 1)
            x = s("bn").batchNorm(h, tail: .relu)
        }
        let seen = s("gates.pool").globalAveragePool(x)
        return rows(tasks, of: architecture).map { row in
            s("\(row.map { "\($0)_" } ?? "")gates.linear").linear(
                seen, channels: architecture.blocks.count, element: .float32)
        }
    }

    /// Records a sample of decisions, which gradients pass straight through; the same for the same seed, phase and
    /// step.
    ///
    /// - Parameters:
    ///   - logits: for each row.
    ///   - recorder: of the step.
    ///   - noiseGiven: reads the uniforms from inputs `noise/<row>` instead of drawing them.
    /// - Returns: for each row, gates [N, L].
    func sample(_ logits: [Value], in recorder: StepRecorder, noiseGiven: Bool) -> [Value] {
        let (graph, architecture) = (recorder.graph, recorder.network.architecture)
        return zip(logits, rows(recorder.present, of: architecture)).map { logits, row in
            let name = "\(row ?? "all")_gates"
            return graph.scope("gates/\(name)") {
                let (images, blocks) = (logits.shape.rows, logits.shape.channels)
                let uniforms =
                    noiseGiven
                    ? graph.input(recorder.shard.named("noise/\(name)"), Shape([images, blocks]))
                    : graph.record(
                        UniformNoise(rows: images, columns: blocks, name: name, firstRow: recorder.firstImage),
                        [graph.step])[0]
                return graph.record(ImageGates(), [logits, uniforms, graph.step])[0]
            }
        }
    }

    /// What the names of each row begin with; nil for the only one.
    private func rows(_ tasks: [Int], of architecture: NetworkArchitecture) -> [String?] {
        isPerTask ? tasks.map { "task\(architecture.number(task: $0))" } : [nil]
    }

    /// Multiply-accumulates for one image.
    func macs(_ model: CostModel) -> Int {
        let counter = CostCounter()
        let image = counter.value(Shape([1, model.height, model.width, 3], compact: true))
        let tasks = Array(model.architecture.tasks.indices)
        return counter.cost { _ = logits(image, tasks: tasks, of: model.architecture, in: Scope(counter)) }
            .multiplyAccumulates
    }
}

extension ParameterGroup {
    /// What decides on the paths of images.
    static let gates: Self = "gates"
}
