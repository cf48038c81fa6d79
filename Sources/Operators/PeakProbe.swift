import AdaShareDeviceLayer

/// Multiply-adds in registers and nothing else, to measure what a device can do; output one float per work-item.
///
/// - Source: kernel `fma_peak` in `peak.cl`.
public struct PeakProbe: Operator {
    /// Work-items.
    public let items: Int
    /// Passes over the chains of each.
    public let rounds: Int
    /// Independent sums of each, as in the kernel.
    private static let chains = 12

    /// Creates the operator.
    public init(items: Int, rounds: Int) {
        self.items = items
        self.rounds = rounds
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [Shape([items])] }

    /// Multiply-adds of one run on a kernel family.
    public func multiplyAdds(_ family: KernelFamily) -> Int { items * rounds * Self.chains * family.vectorWidth }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "peak", "fma_peak", [.output(0), .int(rounds), .float(0.999)],
            WorkSize(global: [items], local: [e.library.family == .cpu ? 1 : 64]))
    }
}
