import AdaShareDeviceLayer

/// The results that a direct sum makes at a time.
public enum ConvolutionTile: Hashable, Sendable {
    /// On CPUs: so many pixels of a row, in registers.
    case pixels(Int)
    /// On GPUs: a work-group's rows and columns of the matrix product.
    case block(rows: Int, columns: Int)
}

/// What matrix units multiply.
public enum MatrixOperands: String, Sendable, CaseIterable {
    /// float32 with 10 bits of mantissa.
    case tf32
    /// float32 with 7 bits of mantissa, stored in 16 bits.
    case bfloat16
}

/// How convolutions may round.
public enum ConvolutionArithmetic: String, Sendable, Codable {
    /// As the plain sum of float32 products does.
    case exact
    /// By any algorithm that computes in float32.
    case float32
    /// Operands of the matrix units of NVIDIA's processors have 10 bits of mantissa; sums, and everything that is
    /// computed elsewhere, are float32.
    case tf32
    /// Operands of the matrix units have 7 bits of mantissa; activations and their gradients are stored so. Sums,
    /// weights and their gradients, statistics, predictions, and everything that is computed elsewhere, are float32.
    case bfloat16

    /// What matrix units multiply; nil where they do not.
    public var operands: MatrixOperands? { MatrixOperands(rawValue: rawValue) }

    /// What activations are stored as.
    public var activations: ElementType { self == .bfloat16 ? .bfloat16 : .float32 }

    /// - Throws: `DecodingError` for a name that is not known.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let known = Self(rawValue: name) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no arithmetic \(name)")
        }
        self = known
    }
}

/// How a pass of a convolution is computed.
public enum ConvolutionAlgorithm: Hashable, Sendable {
    /// The sum over taps and channels as it is written, in tiles of that size, nil for those that suit the shape. Every
    /// tile gives the same bits, for finite weights.
    case direct(ConvolutionTile? = nil)
    /// Winograd's F(m×m, 3×3) with tiles of m×m results: for m = 4 a quarter of the multiplications and two to three
    /// times the rounding error, for m = 5 a fifth and five to ten times; for m = 3 and 2 less of both.
    case winograd(tile: Int)
    /// Winograd's minimal filtering of whole phases of a dilated convolution, where they have at most five pixels: one
    /// tile each, of just its size, without products for the padding around it.
    case winogradPhases
    /// A 1×1 convolution as one product of the CLBlast library.
    case clblast
    /// The direct sum on matrix units, in work-group tiles of that size.
    case matrixUnits(MatrixOperands, rows: Int, columns: Int)

    /// Whether results round as the plain sum does.
    var isExact: Bool { if case .direct = self { true } else { false } }

    var isWinograd: Bool {
        switch self {
        case .winograd, .winogradPhases: true
        case .direct, .matrixUnits, .clblast: false
        }
    }

    /// Whether weights are read as they are: Winograd's transforms take a slice at a time, all of them at once would be
    /// up to five times as large.
    var readsCanonicalWeights: Bool { isWinograd || self == .clblast }

    /// Deviations from float64 above this, in parts of the output's range, rule an algorithm out; those of rounding
    /// what is stored in bfloat16 are not counted.
    public var largestError: Double {
        switch self {
        case .matrixUnits: 1e-3
        case .direct, .winograd, .winogradPhases, .clblast: 3e-5
        }
    }

    /// What its matrix units multiply; nil without them.
    var operands: MatrixOperands? { if case .matrixUnits(let operands, _, _) = self { operands } else { nil } }

    /// Requires that activations are stored as the algorithm reads and writes them.
    func require(_ activations: [Shape]) {
        precondition(
            operands == .bfloat16 || activations.allSatisfy { $0.element == .float32 },
            "\(self) does not convolve \(activations)")
    }

    /// What suits a problem where nothing has been measured; a function of the shape alone. The batch decides tiles of
    /// direct sums only, which give the same bits, so that an image's results do not depend on the images beside it.
    /// Where Winograd wins on GPUs has not been measured.
    static func heuristic(
        for problem: ConvolutionProblem, family: KernelFamily, arithmetic: ConvolutionArithmetic
    ) -> Self {
        if let operands = arithmetic.operands, family == .gpu {
            return .matrixUnits(operands, .suiting(problem, among: WorkGroupTile.onMatrixUnits(operands)))
        }
        if arithmetic != .exact, family == .cpu, canUseWinograd(problem),
            min(problem.source.channels, problem.target.channels) >= WinogradTiles.fewestChannels,
            let best = winogradProducts(problem).first(where: { $0.tiles >= WinogradTiles.fewest }),
            3 * best.products <= 2 * directProducts(problem)
        {
            return best.algorithm
        }
        return .direct()
    }

    /// Every algorithm that computes a problem, what the heuristic takes first.
    public static func candidates(
        for problem: ConvolutionProblem, family: KernelFamily, arithmetic: ConvolutionArithmetic
    ) -> [Self] {
        let first = heuristic(for: problem, family: family, arithmetic: arithmetic)
        let onMatrixUnits = arithmetic.operands.map { operands in
            WorkGroupTile.onMatrixUnits(operands).map { Self.matrixUnits(operands, $0) }
        }
        // Nothing else takes activations of 16 bits.
        if arithmetic == .bfloat16, family == .gpu, let onMatrixUnits {
            return [first] + onMatrixUnits.filter { $0 != first }
        }
        var found: [Self] = [.direct()]
        if arithmetic != .exact, canUseWinograd(problem) {
            let sum = directProducts(problem)
            found += winogradProducts(problem).filter { $0.products < sum }.map(\.algorithm)
        }
        switch family {
        case .cpu where problem.pass != .weightGradient:
            found += RegisterTile.alternatives(for: problem).map { .direct(.pixels($0)) }
        case .cpu: break
        case .gpu:
            let suiting = WorkGroupTile.suiting(problem)
            found += WorkGroupTile.all.filter { $0 != suiting }.map {
                .direct(.block(rows: $0.rows, columns: $0.columns))
            }
            if arithmetic != .exact, canUseCLBlast(problem) { found.append(.clblast) }
            found += onMatrixUnits ?? []
        }
        return [first] + found.filter { $0 != first }
    }

    /// What Winograd multiplies per image and pair of channels, what should take least time first.
    private static func winogradProducts(
        _ problem: ConvolutionProblem
    ) -> [(algorithm: Self, tiles: Int, products: Int)] {
        let all: [Self] = WinogradTiles.sizes.map { .winograd(tile: $0) } + [.winogradPhases]
        return all.compactMap { algorithm in
            algorithm.cover(of: problem.target, problem.geometry).map { cover in
                let products = cover.reduce(0) { $0 + $1.perImage * $1.places }
                // Transforming a weight takes about as long as ten products; tiles of five have to pay for their
                // rounding.
                let cost = products + WinogradWeights.cost * cover.reduce(0) { $0 + $1.places }
                let isCoarse = cover.contains { max($0.rows.outputs, $0.columns.outputs) > 4 }
                return (
                    algorithm, cover.reduce(0) { $0 + $1.perImage }, products, isCoarse ? cost * 23 / 20 : cost
                )
            }
        }.enumerated().sorted { ($0.element.3, $0.offset) < ($1.element.3, $1.offset) }
            .map { ($0.element.0, $0.element.1, $0.element.2) }
    }

    /// The tiles of an output; nil where the algorithm has none, or cannot cover it.
    func cover(of output: Shape, _ geometry: ConvolutionGeometry) -> [WinogradTiles]? {
        switch self {
        case .direct, .matrixUnits, .clblast: nil
        case .winograd(let tile): WinogradTiles.cover(output, dilation: geometry.dilation, size: tile)
        case .winogradPhases:
            // Elsewhere pixels beyond a phase's ends are pixels of the image.
            geometry.padding == geometry.dilation ? WinogradTiles.phases(output, dilation: geometry.dilation) : nil
        }
    }

    /// The tiles of an output; nil for what has none.
    ///
    /// - Precondition: the algorithm computes convolutions of this geometry.
    func requiredCover(
        of output: Shape, _ geometry: ConvolutionGeometry, _ memory: WinogradMemory
    ) -> [WinogradTiles]? {
        let cover = cover(of: output, geometry)
        precondition(!isWinograd || cover != nil, "\(self) does not compute \(geometry)")
        return cover?.map {
            var tiles = $0
            tiles.memory = memory
            return tiles
        }
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

    /// Where pixels see only themselves; an input gradient's pads are written only if there are none.
    private static func canUseCLBlast(_ problem: ConvolutionProblem) -> Bool {
        problem.geometry.isPointwise && !problem.input.isCompact
            && (problem.pass != .dataGradient || problem.target.channels % Shape.lanes == 0)
            && MatrixProduct.isAvailable
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
    private static let clblastName = "clblast"

    private static func matrixUnits(_ operands: MatrixOperands, _ tile: WorkGroupTile) -> Self {
        .matrixUnits(operands, rows: tile.rows, columns: tile.columns)
    }

    /// `direct`, `direct_10`, `direct_128x64`, `winograd_4x4`, `winograd_phases`, `tf32_128x64`, `bfloat16_128x64`,
    /// `clblast`.
    public var description: String {
        switch self {
        case .direct(nil): Self.directName
        case .direct(.pixels(let pixels)?): "\(Self.directName)_\(pixels)"
        case .direct(.block(let rows, let columns)?): "\(Self.directName)_\(rows)x\(columns)"
        case .winograd(let tile): "\(Self.winogradName)_\(tile)x\(tile)"
        case .winogradPhases: Self.phasesName
        case .clblast: Self.clblastName
        case .matrixUnits(let operands, let rows, let columns): "\(operands.rawValue)_\(rows)x\(columns)"
        }
    }

    public init?(_ description: String) {
        switch description {
        case Self.directName: self = .direct()
        case Self.phasesName: self = .winogradPhases
        case Self.clblastName: self = .clblast
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
            } else if let units = MatrixOperands.allCases.lazy.flatMap({ operands in
                WorkGroupTile.onMatrixUnits(operands).map { Self.matrixUnits(operands, $0) }
            }).first(where: { $0.description == description }) {
                self = units
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
    /// How convolutions may round.
    public var arithmetic: ConvolutionArithmetic { didSet { chosen = ChosenAlgorithms() } }
    /// What has been measured or was recorded; the heuristic decides the rest.
    public var measured: [ConvolutionProblem: ConvolutionAlgorithm] { didSet { chosen = ChosenAlgorithms() } }
    /// What problems have come to: every plan asks again.
    private var chosen = ChosenAlgorithms()
    /// How much Winograd's algorithms hold at a time: tests force many parts of small problems.
    var winogradMemory = WinogradMemory()
    /// Which transforms of weights are kept where nothing changes those.
    package var keptTransforms = KeptTransforms.whereWorthIt
    /// Whether less is held at a time where nothing changes parameters and the activations leave no room, and whether
    /// gradients are computed earlier than recorded where a step then takes less.
    package var fitsMemory = true

    /// Creates choices; without measurements the heuristic decides.
    public init(
        _ arithmetic: ConvolutionArithmetic = .float32, measured: [ConvolutionProblem: ConvolutionAlgorithm] = [:]
    ) {
        self.arithmetic = arithmetic
        self.measured = measured
    }

    public static func == (a: Self, b: Self) -> Bool {
        a.arithmetic == b.arithmetic && a.measured == b.measured && a.winogradMemory == b.winogradMemory
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(arithmetic)
        hasher.combine(measured)
        hasher.combine(winogradMemory)
    }

    /// The algorithm of a problem; never one that does not apply to it, whatever was recorded elsewhere.
    public func algorithm(for problem: ConvolutionProblem, family: KernelFamily) -> ConvolutionAlgorithm {
        chosen.algorithm(of: problem, family) { choose(problem, family) }
    }

    private func choose(_ problem: ConvolutionProblem, _ family: KernelFamily) -> ConvolutionAlgorithm {
        if let known = measured[problem] {
            if ConvolutionAlgorithm.candidates(for: problem, family: family, arithmetic: arithmetic).contains(known) {
                return known
            }
            // Another tile gives the same bits.
            if known.isExact, arithmetic != .bfloat16 { return .direct() }
        }
        return .heuristic(for: problem, family: family, arithmetic: arithmetic)
    }
}
