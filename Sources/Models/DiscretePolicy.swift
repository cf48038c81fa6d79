/// Which task executes which residual block.
public struct DiscretePolicy: Sendable, Hashable {
    /// Decisions [task][block], true = select; blocks from bottom to top.
    public let select: [[Bool]]

    /// - Precondition: all tasks have the same number of blocks.
    public init(select: [[Bool]]) {
        precondition(Set(select.map(\.count)).count <= 1, "tasks with different numbers of blocks")
        self.select = select
    }

    /// A policy from the blocks that each task skips.
    ///
    /// - Parameters:
    ///   - skipped: for each task the skipped blocks, counted from 1 as in the publications.
    ///   - blocks: number of blocks L.
    /// - Precondition: every skipped block is within 1...L.
    public init(skipped: [Set<Int>], blocks: Int) {
        precondition(skipped.allSatisfy { $0.allSatisfy { (1...blocks).contains($0) } }, "block outside 1...\(blocks)")
        select = skipped.map { skips in (1...blocks).map { !skips.contains($0) } }
    }

    public var taskCount: Int { select.count }
    public var blockCount: Int { select.first?.count ?? 0 }

    /// Checks that there is one row per task and one decision per block.
    ///
    /// - Throws: `ArchitectureError` with what was found and expected.
    public func validate(for architecture: NetworkArchitecture) throws {
        guard taskCount == architecture.tasks.count else {
            throw ArchitectureError.policyTaskCount(found: taskCount, expected: architecture.tasks.count)
        }
        for (row, task) in zip(select, architecture.tasks) where row.count != architecture.blocks.count {
            throw ArchitectureError.policyBlockCount(
                task: task.name, found: row.count, expected: architecture.blocks.count,
                backbone: architecture.backbone.rawValue)
        }
    }

    /// Every task selects every block.
    public static func hardSharing(tasks: Int, blocks: Int) -> DiscretePolicy {
        DiscretePolicy(select: Array(repeating: Array(repeating: true, count: blocks), count: tasks))
    }

    /// Every decision drawn on its own, selected with probability `density`.
    ///
    /// - Parameter density: probability of select, 0 to 1.
    /// - Precondition: `density` is within 0...1.
    public static func random(density: Double, tasks: Int, blocks: Int, seed: UInt64) -> DiscretePolicy {
        precondition((0...1).contains(density), "density \(density) outside 0...1")
        return sample(tasks: tasks, blocks: blocks, seed: seed) { _ in density }
    }

    /// As many selected decisions as `density` says, up to rounding, drawn at random; those of one seed are nested: what a
    /// sparser policy selects, a denser one selects too.
    ///
    /// - Precondition: `density` is within 0...1.
    public static func nested(density: Double, tasks: Int, blocks: Int, seed: UInt64) -> DiscretePolicy {
        precondition((0...1).contains(density), "density \(density) outside 0...1")
        var generator = SplitMix64(state: seed)
        let draws = (0..<(tasks * blocks)).map { _ in generator.nextUniform() }
        let order = draws.indices.sorted { (draws[$0], $0) < (draws[$1], $1) }
        let chosen = Set(order.prefix(Int((density * Double(draws.count)).rounded())))
        return DiscretePolicy(
            select: (0..<tasks).map { task in (0..<blocks).map { chosen.contains(task * blocks + $0) } })
    }

    /// Every decision drawn on its own, with keep probability 1 − 0.5·l/L, l = 1 … L from the bottom.
    public static func stochasticDepth(tasks: Int, blocks: Int, seed: UInt64) -> DiscretePolicy {
        sample(tasks: tasks, blocks: blocks, seed: seed) { 1 - 0.5 * Double($0) / Double(blocks) }
    }

    private static func sample(
        tasks: Int, blocks: Int, seed: UInt64, keep: (_ l: Int) -> Double
    ) -> DiscretePolicy {
        var generator = SplitMix64(state: seed)
        return DiscretePolicy(
            select: (0..<tasks).map { _ in (0..<blocks).map { generator.nextUniform() < keep($0 + 1) } })
    }
}

/// A small generator whose draws are a pure function of the seed.
///
/// - Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".
private struct SplitMix64 {
    var state: UInt64

    /// A number in [0, 1) with 53 random bits.
    mutating func nextUniform() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        return Double(z >> 11) * 0x1p-53
    }
}
