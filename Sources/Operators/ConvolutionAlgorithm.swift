/// The results that a direct sum makes at a time.
public enum ConvolutionTile: Hashable, Sendable {
    /// On CPUs: so many pixels of a row, in registers.
    case pixels(Int)
    /// On GPUs: a work-group's rows and columns of the matrix product.
    case block(rows: Int, columns: Int)
}

/// How a pass of a convolution is computed.
public enum ConvolutionAlgorithm: Hashable, Sendable {
    /// The sum over taps and channels as it is written, in tiles of that size, nil for those that suit the shape. Every tile
    /// gives the same bits, for finite weights.
    case direct(ConvolutionTile? = nil)
    /// Winograd's F(m×m, 3×3) with tiles of m×m results: for m = 4 a quarter of the multiplications, rounding errors some
    /// ten times larger; for m = 3 and 2 less of both.
    case winograd(tile: Int)
    /// Winograd's minimal filtering of whole phases of a dilated convolution, where they have at most three pixels: one tile
    /// each, of just its size, without products for the padding around it.
    case winogradPhases

    /// Of a direct sum, where it was chosen.
    var tile: ConvolutionTile? { if case .direct(let tile) = self { tile } else { nil } }

    /// Whether results round as the plain sum does.
    var isExact: Bool { if case .direct = self { true } else { false } }

    /// What suits a problem where nothing has been measured; a function of the shape alone and never of the batch, so that
    /// an image's results do not depend on the images beside it. Where Winograd wins on GPUs has not been measured.
    static func heuristic(for problem: ConvolutionProblem, family: KernelFamily, isExact: Bool) -> Self {
        if !isExact, family == .cpu, canUseWinograd(problem),
            min(problem.source.channels, problem.target.channels) >= WinogradTiles.fewestChannels,
            let best = winogradProducts(problem).first(where: { $0.tiles >= WinogradTiles.fewest }),
            3 * best.products <= 2 * directProducts(problem)
        {
            return best.algorithm
        }
        return .direct()
    }

    /// Every algorithm that computes a problem, what the heuristic takes first.
    ///
    /// - Parameter isExact: only those that round as the plain sum does.
    public static func candidates(for problem: ConvolutionProblem, family: KernelFamily, isExact: Bool) -> [Self] {
        let first = heuristic(for: problem, family: family, isExact: isExact)
        var found: [Self] = [.direct()]
        if !isExact, canUseWinograd(problem) {
            let sum = directProducts(problem)
            found += winogradProducts(problem).filter { $0.products < sum }.map(\.algorithm)
        }
        switch family {
        case .cpu where problem.pass != .weightGradient:
            found += RegisterTile.alternatives(for: problem).map { .direct(.pixels($0)) }
        case .cpu: break
        case .gpu:
            found += WorkGroupTile.alternatives(for: problem).map {
                .direct(.block(rows: $0.rows, columns: $0.columns))
            }
        }
        return [first] + found.filter { $0 != first }
    }

    /// What Winograd multiplies per image and pair of channels, the least first.
    private static func winogradProducts(
        _ problem: ConvolutionProblem
    ) -> [(algorithm: Self, tiles: Int, products: Int)] {
        let all: [Self] = WinogradTiles.sizes.map { .winograd(tile: $0) } + [.winogradPhases]
        return all.compactMap { algorithm in
            algorithm.cover(of: problem.target, problem.geometry).map { cover in
                (
                    algorithm, cover.reduce(0) { $0 + $1.perImage },
                    cover.reduce(0) { $0 + $1.perImage * $1.places }
                )
            }
        }.enumerated().sorted { ($0.element.products, $0.offset) < ($1.element.products, $1.offset) }.map(\.element)
    }

    /// The tiles of an output; nil where the algorithm has none, or cannot cover it.
    func cover(of output: Shape, _ geometry: ConvolutionGeometry) -> [WinogradTiles]? {
        switch self {
        case .direct: nil
        case .winograd(let tile): WinogradTiles.cover(output, dilation: geometry.dilation, size: tile)
        case .winogradPhases:
            // Elsewhere pixels beyond a phase's ends are pixels of the image.
            geometry.padding == geometry.dilation ? WinogradTiles.phases(output, dilation: geometry.dilation) : nil
        }
    }

    /// The tiles of an output; nil for the direct sum only.
    ///
    /// - Precondition: the algorithm computes convolutions of this geometry.
    func requiredCover(of output: Shape, _ geometry: ConvolutionGeometry) -> [WinogradTiles]? {
        let cover = cover(of: output, geometry)
        precondition(isExact || cover != nil, "\(self) does not compute \(geometry)")
        return cover
    }

    /// What the direct sum multiplies per image and pair of channels: taps outside the image cost nothing.
    private static func directProducts(_ problem: ConvolutionProblem) -> Int {
        let g = problem.geometry
        func along(_ extent: Int, _ others: Int) -> Int {
            (0..<3).reduce(0) { sum, tap in
                let shift = tap * g.dilation - g.padding
                return sum + max(0, min(extent, others - shift) - max(0, -shift))
            }
        }
        let (x, y) = (problem.input, problem.output)
        return along(y.height, x.height) * along(y.width, x.width)
    }

    private static func canUseWinograd(_ problem: ConvolutionProblem) -> Bool {
        let g = problem.geometry
        return g.kernelHeight == 3 && g.kernelWidth == 3 && g.stride == 1
            && problem.source.channels % 16 == 0 && !problem.source.isCompact && problem.target.channels % 32 == 0
    }
}

extension ConvolutionAlgorithm: LosslessStringConvertible, Codable {
    private static let winogradName = "winograd"
    private static let phasesName = "winograd_phases"
    private static let directName = "direct"

    /// `direct`, `direct_10`, `direct_128x64`, `winograd_4x4`, `winograd_phases`.
    public var description: String {
        switch self {
        case .direct(nil): Self.directName
        case .direct(.pixels(let pixels)?): "\(Self.directName)_\(pixels)"
        case .direct(.block(let rows, let columns)?): "\(Self.directName)_\(rows)x\(columns)"
        case .winograd(let tile): "\(Self.winogradName)_\(tile)x\(tile)"
        case .winogradPhases: Self.phasesName
        }
    }

    public init?(_ description: String) {
        switch description {
        case Self.directName: self = .direct()
        case Self.phasesName: self = .winogradPhases
        default:
            let parts = description.split(separator: "_")
            if let tile = WinogradTiles.sizes.first(where: { "\(Self.winogradName)_\($0)x\($0)" == description }) {
                self = .winograd(tile: tile)
            } else if parts.count == 2, parts[0] == Self.directName, let pixels = Int(parts[1]) {
                self = .direct(.pixels(pixels))
            } else if let tile = WorkGroupTile.all.first(where: {
                "\(Self.directName)_\($0.rows)x\($0.columns)" == description
            }) {
                self = .direct(.block(rows: tile.rows, columns: tile.columns))
            } else {
                return nil
            }
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// - Throws: `DecodingError` for a name that is not known.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let known = Self(name) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no algorithm \(name)")
        }
        self = known
    }
}

/// Which algorithm computes each convolution of a run: fixed before its first step, recorded with it.
public struct AlgorithmChoices: Sendable, Hashable {
    /// Whether convolutions keep to algorithms that round as the plain sum does.
    public var isExact: Bool
    /// What has been measured or was recorded; the heuristic decides the rest.
    public var measured: [ConvolutionProblem: ConvolutionAlgorithm]

    public init(isExact: Bool = false, measured: [ConvolutionProblem: ConvolutionAlgorithm] = [:]) {
        self.isExact = isExact
        self.measured = measured
    }

    /// The algorithm of a problem; never one that does not apply to it, whatever was recorded elsewhere.
    public func algorithm(for problem: ConvolutionProblem, family: KernelFamily) -> ConvolutionAlgorithm {
        if let known = measured[problem] {
            if ConvolutionAlgorithm.candidates(for: problem, family: family, isExact: isExact).contains(known) {
                return known
            }
            // Another tile gives the same bits.
            if known.isExact { return .direct() }
        }
        return .heuristic(for: problem, family: family, isExact: isExact)
    }
}
