import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport
import Foundation

/// Results of algorithm searches on disk, one small file per problem, shared by processes.
///
/// Entries belong to a device, driver, kernel family and kernel sources; what belongs to others, or is damaged, is as
/// if it were not there. Files appear whole or not at all, so a reader needs no lock and of two writers the later one
/// wins.
public struct AlgorithmDatabase: Sendable {
    /// Of this device's entries.
    public let folder: URL
    package let owner: String
    private let productTile: MatrixProductTile
    private let family: KernelFamily
    private let arithmetic: ConvolutionArithmetic

    /// Changes when entries of older versions must not be used: their form, or what the names of algorithms mean.
    private static let version = 2

    /// `adashare/algorithms` in the user's cache directory; nil if the user has none, or others can write to it.
    public static var defaultRoot: URL? {
        UserCache.root?.appendingPathComponent("algorithms", isDirectory: true)
    }

    /// The entries of a device, kernel family and rounding under a folder.
    ///
    /// - Parameters:
    ///   - root: the folder of all devices, such as `defaultRoot`.
    ///   - library: whose device, kernels and products the entries hold for.
    ///   - arithmetic: entries of searches among algorithms that may round so.
    public init(root: URL, library: KernelLibrary, arithmetic: ConvolutionArithmetic) {
        family = library.family
        productTile = library.productTile
        self.arithmetic = arithmetic
        let parts =
            ["version \(Self.version)"] + Self.identity(of: library.context.device) + [
                family.rawValue, arithmetic.rawValue, family == .gpu ? MatrixProduct.library ?? "no CLBlast" : "",
                ContentHash.text(Data(KernelLibrary.sources.utf8)),
            ]
        owner = parts.joined(separator: ", ")
        folder = root.appendingPathComponent(ContentHash.text(Data(owner.utf8)), isDirectory: true)
    }

    /// What tells a device, with what it may use, from others.
    static func identity(of device: Device) -> [String] {
        [
            device.platformName, device.version, device.name, device.driverVersion,
            "\(device.usableComputeUnits) units",
        ]
    }

    private struct Entry: Codable {
        let owner: String
        let problem: ConvolutionProblem
        /// The heuristic's first.
        let results: [AlgorithmSearch.Result]
    }

    /// What was measured for a problem, with a winner; nil without a usable entry.
    public func results(for problem: ConvolutionProblem) -> [AlgorithmSearch.Result]? {
        guard let entry = Self.read(Entry.self, from: file(problem)), entry.owner == owner(of: problem),
            entry.problem == problem, AlgorithmSearch.winner(of: entry.results) != nil
        else { return nil }
        let candidates = candidates(problem)
        return entry.results.allSatisfy { candidates.contains($0.algorithm) } ? entry.results : nil
    }

    /// Stores what was measured, replacing what is there.
    ///
    /// - Throws: `InputError` if the folder cannot be made or written.
    public func store(_ results: [AlgorithmSearch.Result], for problem: ConvolutionProblem) throws {
        try Self.write(Entry(owner: owner(of: problem), problem: problem, results: results), to: file(problem))
    }

    /// An entry with the hash of its text, so that a digit that a disk has changed is no measurement.
    private struct Sealed<Entry: Codable>: Codable {
        let entry: Entry
        let hash: String

        init(_ entry: Entry) throws { (self.entry, hash) = (entry, try Self.hash(entry)) }

        var isWhole: Bool { (try? Self.hash(entry)) == hash }

        private static func hash(_ entry: Entry) throws -> String {
            ContentHash.text(Data(try JSONText.line(entry).utf8))
        }
    }

    /// Writes an entry in a folder that is made, for this user alone, where there is none.
    ///
    /// - Throws: `InputError` if the folder cannot be made or written, or is not this user's alone.
    package static func write(_ entry: some Codable, to file: URL) throws {
        let folder = file.deletingLastPathComponent()
        if let problem = PrivateFolder.make(folder) {
            // Where there can be none, this says why.
            try AtomicFile.makeFolder(folder)
            throw InputError(
                file: folder.path, found: "a folder that is not used (\(problem))",
                expected: "one that this user alone can write to")
        }
        AtomicFile.removeLeftovers(in: folder, olderThan: 3600)
        try AtomicFile.write(Data((JSONText.line(Sealed(entry)) + "\n").utf8), to: file)
    }

    /// The entry in a file; nil where there is none, it is damaged, or somebody else could have written it.
    package static func read<Entry: Codable>(_: Entry.Type, from file: URL) -> Entry? {
        guard PrivateFolder.problem(file.deletingLastPathComponent().path) == nil,
            let data = PrivateFolder.contents(file),
            let sealed = try? JSONText.decode(Sealed<Entry>.self, from: data), sealed.isWhole
        else { return nil }
        return sealed.entry
    }

    private func candidates(_ problem: ConvolutionProblem) -> [ConvolutionAlgorithm] {
        ConvolutionAlgorithm.candidates(for: problem, family: family, arithmetic: arithmetic)
    }

    /// Where CLBlast competes, its tile is part of what was measured.
    private func owner(of problem: ConvolutionProblem) -> String {
        candidates(problem).contains(.clblast) ? "\(owner), tile \(productTile.rawValue)" : owner
    }

    private func file(_ problem: ConvolutionProblem) -> URL {
        let name = problem.description.map { $0 == " " ? "_" : $0 }
        return folder.appendingPathComponent(String(name) + ".json")
    }
}
