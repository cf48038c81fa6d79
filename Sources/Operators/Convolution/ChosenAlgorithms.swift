import Synchronization

/// What problems came to under choices that do not change.
final class ChosenAlgorithms: Sendable {
    private let known = Mutex<[KernelFamily: [ConvolutionProblem: ConvolutionAlgorithm]]>([:])

    /// The algorithm of a problem, chosen where it is asked for the first time.
    func algorithm(
        of problem: ConvolutionProblem, _ family: KernelFamily, choose: () -> ConvolutionAlgorithm
    ) -> ConvolutionAlgorithm {
        if let algorithm = known.withLock({ $0[family]?[problem] }) { return algorithm }
        let algorithm = choose()
        known.withLock { $0[family, default: [:]][problem] = algorithm }
        return algorithm
    }
}
