import Foundation
import Operators

/// The algorithms a run is made with, `algorithms.json`: with them `--resume` gives the same bits, whatever has been
/// measured since.
struct RecordedAlgorithms: Codable {
    private struct Choice: Codable {
        let problem: ConvolutionProblem
        let algorithm: ConvolutionAlgorithm
    }

    /// Where they were chosen, for people.
    let device: String
    private let choices: [Choice]

    init(_ algorithms: [ConvolutionProblem: ConvolutionAlgorithm], device: String) {
        self.device = device
        choices = algorithms.map { Choice(problem: $0, algorithm: $1) }
            .sorted { $0.problem.description < $1.problem.description }
    }

    var algorithms: [ConvolutionProblem: ConvolutionAlgorithm] {
        Dictionary(choices.map { ($0.problem, $0.algorithm) }, uniquingKeysWith: { _, last in last })
    }
}

extension RunDirectory {
    /// The algorithms of the run's convolutions; nil in runs of older versions and before a run has chosen.
    ///
    /// - Throws: `FormatError` if the file is damaged.
    public func readAlgorithms() throws -> [ConvolutionProblem: ConvolutionAlgorithm]? {
        guard FileManager.default.fileExists(atPath: algorithms.path) else { return nil }
        guard let data = try? Data(contentsOf: algorithms),
            let recorded = try? JSONDecoder().decode(RecordedAlgorithms.self, from: data)
        else {
            throw FormatError(
                file: algorithms.path, found: "no readable list of algorithms", expected: "the file `train` wrote")
        }
        return recorded.algorithms
    }

    /// Records the algorithms the run is made with.
    func write(_ recorded: RecordedAlgorithms) throws {
        try AtomicFile.write(Data(JSONText.pretty(recorded).utf8), to: algorithms)
    }
}
