import AdaShareDeviceLayer

/// Multiply-adds in registers and nothing else, to measure what a device can do; output one float per work-item.
///
/// - Source: kernel `fma_peak` in `peak.cl`.
public struct PeakProbe: Operator {
    /// Work-items.
    public let items: Int
    /// Passes over the chains of each.
    public let rounds: Int
    /// Independent sums of each, one vector of the family: on CPUs two or three registers more have to hold operands.
    private static func chains(_ library: KernelLibrary) -> Int {
        library.family == .gpu ? 12 : min(12, library.accumulators)
    }

    /// Creates the operator.
    public init(items: Int, rounds: Int) {
        self.items = items
        self.rounds = rounds
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [Shape([items])] }

    /// Multiply-adds of one run.
    ///
    /// - Parameter library: the kernels that it runs with.
    public func multiplyAdds(_ library: KernelLibrary) -> Int {
        items * rounds * Self.chains(library) * library.family.vectorWidth
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "peak", "fma_peak", options: ["-DCHAINS=\(Self.chains(e.library))"],
            [.output(0), .int(rounds), .float(0.999)],
            WorkSize(global: [items], local: [e.library.family == .cpu ? 1 : 64]))
    }
}
