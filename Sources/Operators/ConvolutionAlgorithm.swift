/// How a pass of a convolution is computed.
public enum ConvolutionAlgorithm: Hashable, Sendable {
    /// The sum over taps and channels as it is written; on CPUs in tiles of that many pixels, nil for those that waste
    /// least. Every tile gives the same bits.
    case direct(pixels: Int? = nil)
    /// Winograd's F(m×m, 3×3) with tiles of m×m results: for m = 4 a quarter of the multiplications, rounding errors some
    /// ten times larger; for m = 3 and 2 less of both.
    case winograd(tile: Int)

    /// Of a direct tile, where it was chosen.
    var pixels: Int? { if case .direct(let pixels) = self { pixels } else { nil } }

    /// Whether results round as the plain sum does.
    var isExact: Bool { if case .winograd = self { false } else { true } }

    /// What suits a problem where nothing has been measured; a function of the shape alone and never of the batch, so that
    /// an image's results do not depend on the images beside it.
    static func heuristic(for problem: ConvolutionProblem, family: KernelFamily, isExact: Bool) -> Self {
        if !isExact, canUseWinograd(problem, family: family),
            min(problem.source.channels, problem.target.channels) >= WinogradTiles.fewestChannels,
            let best = winogradProducts(problem).first(where: { $0.tiles >= WinogradTiles.fewest }),
            3 * best.products <= 2 * directProducts(problem)
        {
            return .winograd(tile: best.tile)
        }
        return .direct()
    }

    /// Every algorithm that computes a problem, what the heuristic takes first.
    ///
    /// - Parameter isExact: only those that round as the plain sum does.
    public static func candidates(for problem: ConvolutionProblem, family: KernelFamily, isExact: Bool) -> [Self] {
        let first = heuristic(for: problem, family: family, isExact: isExact)
        var found: [Self] = [.direct()]
        if !isExact, canUseWinograd(problem, family: family) {
            let sum = directProducts(problem)
            found += winogradProducts(problem).filter { $0.products < sum }.map { .winograd(tile: $0.tile) }
        }
        if family == .cpu, problem.pass != .weightGradient {
            found += RegisterTile.alternatives(for: problem).map { .direct(pixels: $0) }
        }
        return [first] + found.filter { $0 != first }
    }

    /// What Winograd multiplies per image and pair of channels, by tile size, the least first.
    private static func winogradProducts(_ problem: ConvolutionProblem) -> [(tile: Int, tiles: Int, products: Int)] {
        WinogradTiles.sizes.map { size in
            let tiles = WinogradTiles(problem.target, dilation: problem.geometry.dilation, size: size)
            return (size, tiles.perImage, tiles.perImage * tiles.places)
        }.sorted { ($0.products, $1.tile) < ($1.products, $0.tile) }
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

    private static func canUseWinograd(_ problem: ConvolutionProblem, family: KernelFamily) -> Bool {
        let g = problem.geometry
        return family == .cpu && g.kernelHeight == 3 && g.kernelWidth == 3 && g.stride == 1
            && problem.source.channels % 16 == 0 && !problem.source.isCompact && problem.target.channels % 32 == 0
    }
}

extension ConvolutionAlgorithm: LosslessStringConvertible, Codable {
    private static let winogradName = "winograd"
    private static let directName = "direct"

    /// `direct`, `direct_10`, `winograd_4x4`.
    public var description: String {
        switch self {
        case .direct(nil): Self.directName
        case .direct(let pixels?): "\(Self.directName)_\(pixels)"
        case .winograd(let tile): "\(Self.winogradName)_\(tile)x\(tile)"
        }
    }

    public init?(_ description: String) {
        switch description {
        case Self.directName: self = .direct()
        default:
            let parts = description.split(separator: "_")
            if let tile = WinogradTiles.sizes.first(where: { "\(Self.winogradName)_\($0)x\($0)" == description }) {
                self = .winograd(tile: tile)
            } else if parts.count == 2, parts[0] == Self.directName, let pixels = Int(parts[1]) {
                self = .direct(pixels: pixels)
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
        if let known = measured[problem],
            ConvolutionAlgorithm.candidates(for: problem, family: family, isExact: isExact).contains(known)
        {
            return known
        }
        return .heuristic(for: problem, family: family, isExact: isExact)
    }
}
