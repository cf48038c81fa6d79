import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport
import Foundation

/// What `tune` found; encodes to its JSON.
public struct TuningReport: Sendable, Encodable {
    /// One convolution.
    struct Row: Sendable, Encodable {
        let problem: ConvolutionProblem
        /// The winner.
        let algorithm: ConvolutionAlgorithm
        /// Of every candidate, the heuristic's first.
        let results: [AlgorithmSearch.Result]
        /// Whether that was measured now.
        let isNew: Bool
        let isUncertain: Bool
    }

    let device, driver, kernelFamily: String
    /// Convolutions of the step, those included that are not worth measuring.
    let convolutions: Int
    /// Where winners are kept; nil if the user has no cache folder.
    let folder: String?
    /// Of CLBlast's products; nil where there are none among the candidates.
    let clblastTile: MatrixProductTile?
    let rows: [Row]

    /// Creates a report.
    ///
    /// - Parameters:
    ///   - findings: of the convolutions that were worth measuring.
    ///   - convolutions: number of convolutions of the step.
    ///   - library: the kernels of the device.
    ///   - folder: where winners are kept; nil if nowhere.
    public init(_ findings: [AlgorithmTuner.Finding], of convolutions: Int, library: KernelLibrary, folder: URL?) {
        device = library.context.device.name
        driver = library.context.device.driverVersion
        kernelFamily = library.family.rawValue
        self.convolutions = convolutions
        self.folder = findings.contains(where: \.isKept) ? folder?.path : nil
        clblastTile =
            findings.contains { $0.results.contains { $0.algorithm == .clblast } } ? library.productTile : nil
        rows = findings.map {
            Row(
                problem: $0.problem, algorithm: $0.winner.algorithm, results: $0.results, isNew: $0.isNew,
                isUncertain: $0.isUncertain)
        }
    }

    /// The rows as a table, and what they come to.
    public var text: String {
        var table = Table(["convolution", "algorithm", "ms", "scatter", "error", "next best", "ms", ""])
        for row in rows {
            guard let winner = row.results.first(where: { $0.algorithm == row.algorithm }) else { continue }
            let others = row.results.filter { $0.algorithm != row.algorithm }
            let next = others.filter(\.isRight).min { $0.milliseconds < $1.milliseconds }
            let wrong = others.count { !$0.isRight }
            table.add([
                "\(row.problem)", "\(row.algorithm)", readable(winner.milliseconds), percent(winner.scatter),
                String(format: "%.0e", winner.error), next.map { "\($0.algorithm)" } ?? Table.none,
                next.map { readable($0.milliseconds) } ?? Table.none,
                [row.isNew ? nil : "known", row.isUncertain ? "uncertain" : nil, wrong > 0 ? "\(wrong) wrong" : nil]
                    .compactMap { $0 }.joined(separator: ", "),
            ])
        }
        var lines = rows.isEmpty ? [] : [table.text]
        lines.append(
            "\(rows.count) of \(convolutions) convolutions are measured; the others are too small to matter or have "
                + "one "
                + "algorithm")
        if let clblastTile { lines.append("CLBlast's products run in tiles of \(clblastTile.rawValue)") }
        let uncertain = rows.count(where: \.isUncertain)
        if uncertain > 0 {
            lines.append(
                "\(uncertain) uncertain: something else kept the machine busy; `tune` measures those again when it is "
                    + "run again"
            )
        }
        if let folder { lines.append("kept in \(folder)") }
        return lines.joined(separator: "\n")
    }

    /// Writes the rows as JSON, whole or not at all.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws {
        try AtomicFile.write(Data((try JSONText.pretty(self) + "\n").utf8), to: url)
    }
}
