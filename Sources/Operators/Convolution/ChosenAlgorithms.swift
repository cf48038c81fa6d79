import Synchronization

/// What problems came to under choices that do not change.
final class ChosenAlgorithms: Sendable {
    private let known = Mutex<[KernelFamily: [ConvolutionProblem: ConvolutionAlgorithm]]>([:])
    /// Problems of a family that are remembered: more than networks have, though not all that image sizes make of them.
    private static let most = 1 << 10

    /// The algorithm of a problem, chosen where it is asked for the first time.
    func algorithm(
        of problem: ConvolutionProblem, _ family: KernelFamily, choose: () -> ConvolutionAlgorithm
    ) -> ConvolutionAlgorithm {
        if let algorithm = known.withLock({ $0[family]?[problem] }) { return algorithm }
        let algorithm = choose()
        known.withLock { known in
            if known[family]?.count == Self.most { known[family] = nil }
            known[family, default: [:]][problem] = algorithm
        }
        return algorithm
    }
}
