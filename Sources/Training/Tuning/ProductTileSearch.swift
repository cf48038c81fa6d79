import DeviceLayer
import Foundation
import Operators

/// Measures the tiles of CLBlast's products on a device, once for all of its convolutions.
///
/// The winner is kept in one file per device beside the algorithms, which belong to it.
struct ProductTileSearch {
    let library: KernelLibrary
    /// Of the algorithms' database; nil keeps nothing.
    let root: URL?

    /// What one tile came to.
    struct Result: Sendable, Codable, Hashable {
        let tile: MatrixProductTile
        /// Of all products that were measured, the best of a few runs of each.
        let milliseconds: Double
    }

    private struct Entry: Codable {
        let owner: String
        let results: [Result]
    }

    /// Products that are measured, the largest ones.
    private static let mostProducts = 6
    private static let rounds = 5

    /// What is tried: compilers of CPUs, where these kernels are checked but not used, take many seconds for each.
    private var tiles: [MatrixProductTile] {
        library.context.device.type == .cpu ? [.tile32x32, .unstaged64x64] : MatrixProductTile.allCases
    }

    private var owner: String {
        let device = library.context.device
        return [
            "version 1", device.platformName, device.version, device.name, device.driverVersion,
            MatrixProduct.library ?? "no CLBlast",
        ].joined(separator: ", ")
    }

    private var file: URL? {
        root?.appendingPathComponent("clblast-" + ContentHash.text(Data(owner.utf8)) + ".json")
    }

    /// What was measured on this device, the fastest first; empty where nothing was.
    func known() -> [Result] {
        guard let file, let data = try? Data(contentsOf: file),
            let entry = try? JSONDecoder().decode(Entry.self, from: data), entry.owner == owner
        else { return [] }
        return entry.results.sorted { $0.milliseconds < $1.milliseconds }
    }

    /// Times each tile on some problems, leaving out those that do not run here or are wrong.
    ///
    /// - Precondition: CLBlast computes each of the problems.
    /// - Returns: the fastest first.
    /// - Throws: `DeviceError` or `PlanError` if none runs.
    func results(for problems: [ConvolutionProblem]) throws -> [Result] {
        let previous = library.productTile
        defer { library.productTile = previous }
        let largest = problems.sorted { $0.multiplyAccumulates > $1.multiplyAccumulates }.prefix(Self.mostProducts)
        var failure: (any Error)?
        var found: [Result] = []
        for tile in tiles {
            library.productTile = tile
            do {
                let times = try largest.map { try milliseconds($0) }
                if !times.contains(nil) {
                    found.append(Result(tile: tile, milliseconds: times.reduce(0) { $0 + ($1 ?? 0) }))
                }
            } catch {
                failure = error
            }
        }
        if found.isEmpty, let failure { throw failure }
        return found.sorted { $0.milliseconds < $1.milliseconds }
    }

    /// nil if the product is wrong.
    private func milliseconds(_ problem: ConvolutionProblem) throws -> Double? {
        let run = try OperatorRun(
            OperatorCase(problem), choices: AlgorithmChoices(measured: [problem: .clblast]), library: library)
        try run.spoil()
        try run.executor.run(run.plan)
        let samples = try ConvolutionSamples(problem, run.executor.store, arithmetic: .float32)
        let error = samples.error(
            of: try run.executor.read(OperatorCase.output(problem.pass), of: run.plan), storedAs: .float32)
        guard error <= ConvolutionAlgorithm.clblast.largestError else { return nil }
        return try (0..<Self.rounds).map { _ in try run.once() }.min()
    }

    /// Keeps what was measured.
    ///
    /// - Throws: `RunError` if the file cannot be written.
    func store(_ results: [Result]) throws {
        guard let root, let file else { return }
        do {
            try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        } catch {
            throw RunError(path: root.path, found: "a folder that cannot be made", expected: "a place for algorithms")
        }
        try AtomicFile.write(Data(JSONText.pretty(Entry(owner: owner, results: results)).utf8), to: file)
    }
}
