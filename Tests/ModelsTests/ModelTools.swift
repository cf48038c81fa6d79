import AdaShareGraph
import AdaShareLayers
import AdaShareOperators
import TestSupport

@testable import AdaShareModels

extension DiscretePolicy {
    /// Every decision drawn on its own, selected with probability `density`.
    static func random(density: Double, tasks: Int, blocks: Int, seed: UInt64) -> DiscretePolicy {
        var generator = SeededGenerator(seed: seed)
        return DiscretePolicy(
            select: (0..<tasks).map { _ in
                (0..<blocks).map { _ in Double(generator.next() >> 11) * 0x1p-53 < density }
            })
    }
}

extension PublishedPolicy {
    /// The network of the setting.
    func architecture() throws -> NetworkArchitecture {
        try NetworkArchitecture(backbone: backbone, head: .fourRate, tasks: tasks)
    }
}

extension ParameterCatalog {
    /// Trainable elements of one group.
    func trainableCount(_ group: ParameterGroup) -> Int {
        specs.reduce(0) { $0 + ($1.isTrainable && $1.group == group ? $1.elementCount : 0) }
    }
}

/// One convolution of a network as its layers record it.
struct RecordedConvolution {
    /// Scope, such as `backbone.blocks.0.1.conv1`.
    let name: String
    let geometry: ConvolutionGeometry
    let input, output: Shape
    let hasBias: Bool
}

extension NetworkArchitecture {
    /// Every convolution that is recorded where all tasks select all blocks, in order.
    func convolutions(height: Int = 97, width: Int = 129) -> [RecordedConvolution] {
        let graph = Graph()
        var trace = NetworkTrace(graph: graph, architecture: self, mode: .training)
        let image = graph.input("image", Shape([1, height, width, 3], compact: true))
        let all = [BlockDecision](repeating: .select, count: blocks.count)
        let features = trace.features(image: image, decisions: [all])[0]
        for task in tasks.indices { _ = trace.head(task: task, features: features) }
        return graph.nodes.compactMap { node in
            (node.operation as? Convolution).map {
                RecordedConvolution(
                    name: node.label, geometry: $0.geometry, input: node.inputs[0].shape, output: node.outputs[0].shape,
                    hasBias: $0.epilogue.hasBias)
            }
        }
    }

    /// Those of the blocks' branches.
    var branches: [RecordedConvolution] { convolutions().filter { $0.name.hasPrefix("backbone.blocks.") } }

    /// Size of the last features for an image of the given size.
    func featureSize(height: Int, width: Int) -> (height: Int, width: Int) {
        let last = convolutions(height: height, width: width).last { $0.name.hasPrefix("backbone.blocks.") }
        return (last?.output.dimensions[1] ?? 0, last?.output.dimensions[2] ?? 0)
    }
}
