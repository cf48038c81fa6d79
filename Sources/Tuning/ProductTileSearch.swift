import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport
import Foundation

/// Measures the tiles of CLBlast's products on a device, once for all of its convolutions.
///
/// What was found is kept in one file per device beside the algorithms.
struct ProductTileSearch {
    let library: KernelLibrary
    /// Of the algorithms' database; nil keeps nothing.
    let root: URL?
    /// What is tried.
    let tiles: [MatrixProductTile]
    /// Milliseconds that one run takes.
    let clock: (OperatorRun) throws -> Double

    /// - Parameter tiles: nil for those of the device.
    init(
        library: KernelLibrary, root: URL?, tiles: [MatrixProductTile]? = nil,
        clock: @escaping (OperatorRun) throws -> Double = { try $0.once() }
    ) {
        (self.library, self.root, self.clock) = (library, root, clock)
        self.tiles = tiles ?? Self.tiles(of: library.context.device)
    }

    /// What one tile came to.
    struct Result: Sendable, Codable, Hashable {
        let tile: MatrixProductTile
        /// Of all products that were measured, the best of a few runs of each; nil where it cannot be used.
        let milliseconds: Double?
        /// Why it cannot be used.
        var reason: String?

        /// Such as `64x64 12.3`.
        var description: String {
            "\(tile.rawValue) " + (milliseconds.map { readable($0) } ?? "not used (\(reason ?? "unknown"))")
        }
    }

    /// The time of one product, or why there is none.
    typealias Measurement = (milliseconds: Double?, reason: String?)

    /// What was measured on which products.
    struct Finding: Sendable, Codable, Hashable {
        let products: [ConvolutionProblem]
        let results: [Result]
    }

    private struct Entry: Codable {
        let owner: String
        let finding: Finding
    }

    /// Products that are measured, the largest ones.
    private static let mostProducts = 6
    private static let rounds = 5
    /// Another tile than the initial one has to be better by this much, so that noise does not decide.
    private static let margin = 0.03

    /// What is worth trying: on CPUs, whose compilers take half a minute for each, these kernels are checked but not
    /// used.
    static func tiles(of device: Device) -> [MatrixProductTile] {
        device.type == .cpu ? [.initial] : MatrixProductTile.allCases
    }

    private var owner: String {
        let parts =
            ["version 1"] + AlgorithmDatabase.identity(of: library.context.device) + [
                MatrixProduct.library ?? "no CLBlast", tiles.map(\.rawValue).joined(separator: " "),
            ]
        return parts.joined(separator: ", ")
    }

    private var file: URL? {
        root?.appendingPathComponent("clblast-" + ContentHash.text(Data(owner.utf8)) + ".json")
    }

    /// The fastest tile that can be used, the initial one if it is about as fast or none can be.
    static func winner(of results: [Result]) -> MatrixProductTile {
        let first = results.first { $0.tile == .initial }?.milliseconds ?? .infinity
        let best = results.min { ($0.milliseconds ?? .infinity) < ($1.milliseconds ?? .infinity) }
        guard let best, let milliseconds = best.milliseconds, milliseconds < (1 - margin) * first else {
            return .initial
        }
        return best.tile
    }

    /// What was measured on this device; nil where nothing was.
    func known() -> Finding? {
        guard let file, let data = try? Data(contentsOf: file),
            let entry = try? JSONText.decode(Entry.self, from: data), entry.owner == owner
        else { return nil }
        return entry.finding
    }

    /// Times each tile on some problems.
    ///
    /// - Parameter known: an earlier finding; of the same products the best of both is kept, since others on the
    ///   machine only ever make a run longer.
    /// - Precondition: CLBlast computes each of the problems.
    func finding(for problems: [ConvolutionProblem], known: Finding? = nil) -> Finding {
        let previous = library.productTile
        defer { library.productTile = previous }
        let largest = Array(
            problems.sorted { $0.multiplyAccumulates > $1.multiplyAccumulates }.prefix(Self.mostProducts))
        let measured = tiles.map { tile in
            library.productTile = tile
            return (tile: tile, products: largest.map(measure))
        }
        let earlier = known?.products == largest ? known?.results : nil
        return Finding(products: largest, results: Self.results(of: measured, known: earlier ?? []))
    }

    /// What the times of the same products in each tile come to. A product that no tile computes, for want of memory,
    /// counts for none.
    static func results(of measured: [(tile: MatrixProductTile, products: [Measurement])], known: [Result]) -> [Result]
    {
        let count = measured.first?.products.count ?? 0
        let counted = (0..<count).filter { index in measured.contains { $0.products[index].milliseconds != nil } }
        return measured.map { tile, products in
            let times = counted.map { products[$0].milliseconds }
            guard !times.isEmpty, !times.contains(nil) else {
                return Result(tile: tile, milliseconds: nil, reason: products.compactMap(\.reason).first)
            }
            let sum = times.reduce(0) { $0 + ($1 ?? 0) }
            let earlier = known.first { $0.tile == tile }?.milliseconds
            return Result(tile: tile, milliseconds: min(sum, earlier ?? .infinity))
        }
    }

    /// One product in the library's present tile.
    private func measure(_ problem: ConvolutionProblem) -> Measurement {
        do {
            let run = try OperatorRun(
                OperatorCase(problem), choices: AlgorithmChoices(measured: [problem: .clblast]), library: library)
            try run.spoil()
            try run.executor.run(run.plan)
            let samples = try ConvolutionSamples(problem, run.executor.store)
            let error = samples.error(
                of: try run.executor.read(OperatorCase.output(problem.pass), of: run.plan), storedAs: .float32)
            guard error <= ConvolutionAlgorithm.clblast.largestError else { return (nil, "wrong: \(problem)") }
            return (try (0..<Self.rounds).map { _ in try clock(run) }.min(), nil)
        } catch {
            let lines = "\(error)".split(separator: "\n")
            return (nil, lines.first.map(String.init) ?? "an error")
        }
    }

    /// Keeps what was measured.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    func store(_ finding: Finding) throws {
        if let file { try AlgorithmDatabase.write(Entry(owner: owner, finding: finding), to: file) }
    }
}
