import TestSupport

@testable import Models

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

extension NetworkArchitecture {
    /// Size of the last features for an image of the given size.
    func featureSize(height: Int, width: Int) -> (height: Int, width: Int) {
        blockOutputSizes(height: height, width: width).last ?? (0, 0)
    }
}
