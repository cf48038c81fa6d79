import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport
import Foundation

/// The algorithms a run is made with, `algorithms.json`: with them `--resume` gives the same bits, whatever has been
/// measured since.
public struct RecordedAlgorithms: Codable, Sendable {
    private struct Choice: Codable {
        enum Source: String, Codable { case measured, shape }
        let problem: ConvolutionProblem
        let algorithm: ConvolutionAlgorithm
        let chosenBy: Source

        private enum CodingKeys: String, CodingKey {
            case problem, algorithm
            case chosenBy = "chosen_by"
        }
    }

    /// Where they were chosen.
    let device, kernelFamily: String
    /// How they may round; nil in lists that were written before that could differ.
    private let rounding: ConvolutionArithmetic?
    private var arithmetic: ConvolutionArithmetic { rounding ?? .float32 }
    private var choices: [Choice]
    /// The tile of CLBlast's products; nil where there are none.
    private let productTile: MatrixProductTile?
    /// How many were recorded that do not apply where this was read.
    private var leftOut = 0
    /// How those may round that can be used where this was read.
    private var wanted: ConvolutionArithmetic?
    /// Whether a library that some were chosen for is missing where this was read.
    private var lacksLibrary = false

    private enum CodingKeys: String, CodingKey {
        case device, choices
        case rounding = "arithmetic"
        case productTile = "clblast_tile"
        case kernelFamily = "kernel_family"
    }

    /// - Parameter problems: every convolution of the run.
    package init(_ made: AlgorithmChoices, for problems: [ConvolutionProblem], library: KernelLibrary) {
        device = library.context.device.name
        kernelFamily = library.family.rawValue
        rounding = made.arithmetic
        let choices = problems.map { problem in
            Choice(
                problem: problem, algorithm: made.algorithm(for: problem, family: library.family),
                chosenBy: made.measured[problem] == nil ? .shape : .measured)
        }
        self.choices = choices.sorted { $0.problem.description < $1.problem.description }
        productTile = choices.contains { $0.algorithm == .clblast } ? library.productTile : nil
    }

    /// The recorded algorithm of each convolution.
    public var algorithms: [ConvolutionProblem: ConvolutionAlgorithm] {
        Dictionary(choices.map { ($0.problem, $0.algorithm) }, uniquingKeysWith: { _, last in last })
    }

    /// Whether anything was measured; else all was chosen by shape.
    package var isMeasured: Bool { choices.contains { $0.chosenBy == .measured } }

    /// Such as `96 convolutions, 40 of them measured: direct 60, winograd_4x4 36`.
    package var summary: String {
        let counts = Dictionary(grouping: choices, by: \.algorithm.description).mapValues(\.count)
        let list = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }
        let measured = choices.count { $0.chosenBy == .measured }
        return "\(choices.count) convolutions, \(measured) of them measured: " + list.joined(separator: ", ")
            + (productTile.map { " (tile \($0.rawValue))" } ?? "")
    }

    /// The tile for the products among them; nil where there are none.
    package var tile: MatrixProductTile? { choices.contains { $0.algorithm == .clblast } ? productTile : nil }

    /// Leaves out what does not apply where it is to be used, if that is not where it was chosen, and everything if
    /// convolutions round otherwise there.
    ///
    /// - Throws: `InputError` naming a choice that could not have been made there.
    package mutating func keepApplicable(
        on library: KernelLibrary, arithmetic wanted: ConvolutionArithmetic, file: URL
    ) throws {
        let recorded = choices.count
        self.wanted = wanted
        if wanted != arithmetic { choices = [] }
        choices = try choices.filter { choice in
            let candidates = ConvolutionAlgorithm.candidates(
                for: choice.problem, family: library.family, arithmetic: wanted)
            if candidates.contains(choice.algorithm) { return true }
            if choice.algorithm == .clblast, !MatrixProduct.isAvailable {
                lacksLibrary = true
                return false
            }
            if isElsewhere(library) { return false }
            throw InputError(
                file: file.path, place: "\(choice.problem)", found: "algorithm \(choice.algorithm)",
                expected: "one of \(candidates.map(\.description).joined(separator: ", "))"
                    + Self.withBadAlgorithms)
        }
        leftOut = recorded - choices.count
        if choices.contains(where: { $0.algorithm == .clblast }), productTile == nil, !isElsewhere(library) {
            throw InputError(
                file: file.path, place: "clblast_tile", found: "no tile",
                expected: "one for the products of clblast" + Self.withBadAlgorithms)
        }
    }

    /// The way on for a run without a list.
    package static let withoutAlgorithms =
        "`train --resume --no-search` goes on with algorithms by shape, whose results may differ in their last bits"
    /// The way on for a run whose list cannot be used.
    package static let withBadAlgorithms = "; delete the file, and " + withoutAlgorithms

    /// Demands a choice for each of a run's convolutions, where this was chosen.
    ///
    /// - Throws: `InputError` naming one that is missing.
    package func requireAll(_ problems: [ConvolutionProblem], on library: KernelLibrary, file: URL) throws {
        let known = algorithms
        guard !isElsewhere(library), let missing = problems.first(where: { known[$0] == nil }) else { return }
        throw InputError(
            file: file.path, place: "\(missing)", found: "no algorithm",
            expected: "one for each of the run's \(problems.count) convolutions" + Self.withBadAlgorithms)
    }

    private func isElsewhere(_ library: KernelLibrary) -> Bool {
        (library.context.device.name, library.family.rawValue) != (device, kernelFamily)
            || wanted.map { $0 != arithmetic } == true || lacksLibrary
    }

    /// A line for people where this is used elsewhere than it was chosen, else nil.
    public func notice(on library: KernelLibrary) -> String? {
        guard isElsewhere(library) else { return nil }
        if let wanted, wanted != arithmetic {
            return
                "algorithms.json was made for \(arithmetic.rawValue) convolutions, here they are \(wanted.rawValue): "
                + "all \(leftOut) are chosen by shape"
        }
        if lacksLibrary {
            return "CLBlast (Debian package libclblast1), which algorithms.json names, is not installed: "
                + "\(leftOut) of its choices are made by shape"
        }
        return
            "algorithms.json was made on \(device) (\(kernelFamily) kernels), this is \(library.context.device.name) "
            + "(\(library.family.rawValue) kernels): "
            + (leftOut == 0
                ? "its choices apply here too" : "\(leftOut) of its choices do not apply and are made by shape")
    }
}
