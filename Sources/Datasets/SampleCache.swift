import Synchronization

/// Decoded samples kept in host memory up to a limit.
///
/// Samples stay once they are in: training visits all samples in turn, so evicting any of them would evict one that is
/// needed again sooner than the one that replaces it.
final class SampleCache: Sendable {
    private struct State {
        var samples: [Int: Sample] = [:]
        var bytes = 0
    }

    private let state = Mutex(State())
    private let limit: Int

    /// Creates an empty cache.
    ///
    /// - Parameter limit: bytes of pixels to keep; 0 keeps none.
    init(limit: Int) {
        self.limit = limit
    }

    /// The cached sample, or the one `make` creates; two threads may create the same one at once, which is harmless.
    func sample(_ index: Int, make: () throws -> Sample) rethrows -> Sample {
        if let known = state.withLock({ $0.samples[index] }) { return known }
        let made = try make()
        state.withLock { state in
            guard state.samples[index] == nil, state.bytes + made.byteCount <= limit else { return }
            state.samples[index] = made
            state.bytes += made.byteCount
        }
        return made
    }
}
