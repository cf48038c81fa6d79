/// How many work-items a launch has, and how they are grouped.
public struct WorkSize: Sendable, Hashable {
    /// Work-items per dimension, fastest first.
    public let global: [Int]
    /// Work-items of one group per dimension, or `nil` to leave the choice to the driver.
    public let local: [Int]?

    /// Describes a launch.
    ///
    /// - Precondition: one to three dimensions, all sizes positive, and each local size divides its global size.
    public init(global: [Int], local: [Int]? = nil) {
        precondition((1...3).contains(global.count), "\(global.count) dimensions, expected 1 to 3")
        precondition(global.allSatisfy { $0 > 0 }, "global size \(global) has an empty dimension")
        if let local {
            precondition(local.count == global.count, "local size \(local) for global size \(global)")
            precondition(
                zip(global, local).allSatisfy { $1 > 0 && $0.isMultiple(of: $1) },
                "local size \(local) does not divide global size \(global)")
        }
        self.global = global
        self.local = local
    }
}
