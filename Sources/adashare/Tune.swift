import ArgumentParser
import DeviceLayer
import Foundation
import Operators
import Training

struct Tune: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure which algorithm computes each convolution fastest.",
        discussion: """
            For the training step of a configuration: its batch and crop. Each candidate is checked against float64 before
            it may win. `train` finds the winners in the user's cache folder and measures only what is missing.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var device: DeviceOptions
    @Flag(help: "Measure again what is known already.") var again = false

    func run() throws {
        let experiment = try Experiment(options.load())
        let context = try device.makeContext()
        let library = try KernelLibrary(context: context, family: device.kernelFamily)
        let progress = ProgressPrinter()
        progress.line("device \(context.device.name) (\(context.device.selector))")
        let root = AlgorithmDatabase.defaultRoot
        let tuner = AlgorithmTuner(library: library, mode: again ? .searchAgain(root: root) : .search(root: root)) {
            progress.line($0)
        }
        let shape = experiment.trainingShape
        let problems = experiment.convolutionProblems(shape, family: library.family)
        let isExact = experiment.configuration.training.exactConvolutions
        var table = Table(["convolution", "algorithm", "ms", "error", "others"])
        let findings = try tuner.findings(for: problems, isExact: isExact) { finding in
            progress.line("\(finding.problem): \(finding.algorithm)" + (finding.results.isEmpty ? ", known" : ""))
        }
        for finding in findings {
            let winner = finding.results.first { $0.algorithm == finding.algorithm }
            let others = finding.results.filter { $0.algorithm != finding.algorithm }
            table.add([
                "\(finding.problem)", "\(finding.algorithm)", winner.map { readable($0.milliseconds) } ?? "known",
                winner.map { String(format: "%.1e", $0.error) } ?? "",
                others.map { "\($0.algorithm) \(readable($0.milliseconds))" + ($0.isRight ? "" : " (wrong)") }
                    .joined(separator: ", "),
            ])
        }
        print(table.text)
        print(
            "\(findings.count) of \(problems.count) convolutions are measured; the others are too small to matter or have "
                + "one algorithm")
        guard let root else { return }
        let folder = AlgorithmDatabase(root: root, library: library, isExact: isExact).folder.path
        if FileManager.default.fileExists(atPath: folder) { print("kept in \(folder)") }
    }
}
