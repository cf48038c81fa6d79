import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning
import Foundation

extension RunDirectory {
    /// The algorithms of the run's convolutions, as far as they apply to a device; nil where the run has no list of
    /// them. `Experiment.adopt` puts them to use.
    ///
    /// - Parameters:
    ///   - library: the kernels of the device.
    ///   - arithmetic: only algorithms that may round so can apply.
    /// - Throws: `InputError` naming file and entry if the list is damaged, or could not have been made on this device
    ///   though it says so.
    public func readAlgorithms(for library: KernelLibrary, arithmetic: ConvolutionArithmetic) throws
        -> RecordedAlgorithms?
    {
        guard FileManager.default.fileExists(atPath: algorithms.path) else { return nil }
        func error(_ found: String) -> InputError {
            InputError(
                file: algorithms.path, found: found,
                expected: "the list `train` wrote" + RecordedAlgorithms.withBadAlgorithms)
        }
        guard let data = try? Data(contentsOf: algorithms) else { throw error("a file that cannot be read") }
        do {
            var recorded = try JSONText.decode(RecordedAlgorithms.self, from: data)
            try recorded.keepApplicable(on: library, arithmetic: arithmetic, file: algorithms)
            return recorded
        } catch let failure as DecodingError {
            throw error(failure.summary)
        }
    }

    /// Records the algorithms the run is made with.
    func write(_ recorded: RecordedAlgorithms) throws {
        try AtomicFile.write(Data(JSONText.pretty(recorded).utf8), to: algorithms)
    }
}
