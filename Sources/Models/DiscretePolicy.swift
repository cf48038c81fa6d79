import AdaShareSupport

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

    /// Number of tasks K.
    public var taskCount: Int { select.count }
    /// Number of residual blocks L; 0 without tasks.
    public var blockCount: Int { select.first?.count ?? 0 }

    /// Checks that there is one row per task and one decision per block.
    ///
    /// - Throws: `InputError` with what was found and expected.
    public func validate(for architecture: NetworkArchitecture) throws {
        guard taskCount == architecture.tasks.count else {
            throw InputError.policyTaskCount(found: taskCount, expected: architecture.tasks.count)
        }
        for (row, task) in zip(select, architecture.tasks) where row.count != architecture.blocks.count {
            throw InputError.policyBlockCount(
                task: task.name, found: row.count, expected: architecture.blocks.count,
                backbone: architecture.backbone.rawValue)
        }
    }

    /// Every task selects every block.
    public static func hardSharing(tasks: Int, blocks: Int) -> DiscretePolicy {
        DiscretePolicy(select: Array(repeating: Array(repeating: true, count: blocks), count: tasks))
    }
}
