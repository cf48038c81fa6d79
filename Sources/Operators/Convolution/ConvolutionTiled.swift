import AdaShareDeviceLayer

/// A work-group's share of a matrix product in the GPU family (tunables of `convolution_gpu.cl`).
struct WorkGroupTile: Hashable, Sendable {
    /// Results of the group, and of each work-item.
    let rows, columns: Int
    private let itemRows, itemColumns: Int
    /// How deep a step is.
    private let depth: Int
    /// What matrix units multiply; nil where items multiply float32.
    private var operands: MatrixOperands?
    /// Steps in local memory: one is multiplied while the others are brought.
    private var stages = 2

    /// The largest first: fewer loads for each multiply-accumulate, but more groups that are partly empty.
    static let all = [
        WorkGroupTile(rows: 128, columns: 128, itemRows: 8, itemColumns: 8, depth: 8),
        WorkGroupTile(rows: 128, columns: 64, itemRows: 8, itemColumns: 4, depth: 16),
        WorkGroupTile(rows: 64, columns: 64, itemRows: 4, itemColumns: 4, depth: 16),
        WorkGroupTile(rows: 32, columns: 32, itemRows: 4, itemColumns: 4, depth: 16),
    ]

    /// The same for matrix units: four warps of 32 items, with a quarter of the group's results each. Steps of bfloat16
    /// go to local memory without passing registers, as many as fit 48 kB.
    static func onMatrixUnits(_ operands: MatrixOperands) -> [WorkGroupTile] {
        [(128, 128, 8, 16, 2), (128, 64, 8, 8, 3), (64, 64, 4, 8, 4)].map {
            let isNarrow = operands == .bfloat16
            var tile = WorkGroupTile(
                rows: $0.0, columns: $0.1, itemRows: $0.2, itemColumns: $0.3, depth: isNarrow ? 32 : 16)
            tile.operands = operands
            if isNarrow { tile.stages = $0.4 }
            return tile
        }
    }

    /// Work-groups that a large device holds at once: two on each of 132 multiprocessors.
    static let places = 264
    /// Fewer leave a part of such a device idle.
    static let fewestGroups = 250

    /// The one that should take least time, of those of which there are enough, else the smallest; a function of the
    /// extents alone. Devices take groups in waves, each as long as a group: few groups of a large tile may end with a
    /// wave that is nearly empty. A model, not measured.
    ///
    /// - Parameters:
    ///   - products: independent products of that size.
    ///   - tiles: the largest first.
    static func suiting(
        rows: Int, columns: Int, products: Int = 1, among tiles: [WorkGroupTile] = all
    ) -> WorkGroupTile {
        func groups(_ tile: WorkGroupTile) -> Int {
            let counts = tile.counts(rows: rows, columns: columns)
            return counts.rows * counts.columns * products
        }
        func time(_ tile: WorkGroupTile) -> Int { (groups(tile) + places - 1) / places * tile.cost }
        let candidates = tiles.filter { $0.columns < columns + 32 && groups($0) >= fewestGroups }
        return candidates.min { time($0) < time($1) } ?? tiles[tiles.count - 1]
    }

    /// What a group takes, in multiply-adds: its products, and what it loads for them.
    private var cost: Int { rows * columns + 32 * (rows + columns) }

    /// The one that suits a problem.
    static func suiting(_ problem: ConvolutionProblem, among tiles: [WorkGroupTile] = all) -> WorkGroupTile {
        problem.pass == .weightGradient
            ? DirectWeightGradient(problem, family: .gpu).suitingTile(among: tiles)
            : suiting(rows: problem.target.rows, columns: problem.target.storedChannels, among: tiles)
    }

    /// The one of a direct sum; nil where it leaves that to the shape.
    init?(_ algorithm: ConvolutionAlgorithm) {
        let found: WorkGroupTile?
        switch algorithm {
        case .direct(.block(let rows, let columns)?):
            found = Self.all.first { ($0.rows, $0.columns) == (rows, columns) }
        case .matrixUnits(let operands, let rows, let columns):
            found = Self.onMatrixUnits(operands).first { ($0.rows, $0.columns) == (rows, columns) }
        default: return nil
        }
        guard let found else { return nil }
        self = found
    }

    private init(rows: Int, columns: Int, itemRows: Int, itemColumns: Int, depth: Int) {
        (self.rows, self.columns, self.depth) = (rows, columns, depth)
        (self.itemRows, self.itemColumns) = (itemRows, itemColumns)
    }

    /// Local memory that a group takes, as the kernels declare it.
    func localBytes(_ units: MatrixUnits) -> Int {
        let registers = operands != nil && units == .emulated ? 4 * items * (2 * itemRows + itemColumns) : 0
        return registers
            + (operands == .bfloat16
                ? 2 * stages * (rows * (depth + 8) + depth * (columns + 8))
                : 4 * stages * depth * (rows + columns + (operands == nil ? 4 : 16)))
    }

    /// Work-items of a group.
    var items: Int { rows * columns / (itemRows * itemColumns) }

    /// Work-groups along rows, columns and products.
    func groups(alongRows rows: Int, columns: Int, products: Int = 1) -> WorkSize {
        let counts = counts(rows: rows, columns: columns)
        return size(counts.rows, counts.columns, products)
    }

    /// Work-groups along columns, rows and products: neighbours share rows.
    func groups(alongColumns columns: Int, rows: Int, products: Int) -> WorkSize {
        let counts = counts(rows: rows, columns: columns)
        return size(counts.columns, counts.rows, products)
    }

    /// Tiles that cover a matrix.
    private func counts(rows: Int, columns: Int) -> (rows: Int, columns: Int) {
        ((rows + self.rows - 1) / self.rows, (columns + self.columns - 1) / self.columns)
    }

    private func size(_ first: Int, _ second: Int, _ third: Int) -> WorkSize {
        WorkSize(global: [first * items, second, third], local: [items, 1, 1])
    }

    /// - Precondition: the device has matrix units, if the tile is for those.
    /// - Throws: `DeviceError` if the device could not be asked for them.
    func options(_ library: KernelLibrary) throws -> [String] {
        let sizes = ["-DTM=\(rows)", "-DTN=\(columns)", "-DTK=\(depth)", "-DRM=\(itemRows)", "-DRN=\(itemColumns)"]
        guard let operands else {
            return itemRows * itemColumns == 64 && library.limitsRegisters ? sizes + ["-cl-nv-maxrregcount=128"] : sizes
        }
        guard let units = try library.matrixUnits(operands) else { preconditionFailure("no matrix units") }
        return sizes + ["-DMMA=\(units == .instruction ? 1 : 2)"]
            + (operands == .bfloat16 ? ["-DOPERAND16=1", "-DSTAGES=\(stages)"] : [])
    }
}

/// Parts of an output axis in which the same taps count.
struct TapRegions {
    /// Start, count, first tap, taps; of up to three.
    let parts: [SIMD4<Int32>]
    /// From pixel to pixel of a part, and from tap to tap.
    let step, tapStep: Int

    private init(_ parts: [[Int]], step: Int = 1, tapStep: Int = 1) {
        self.parts = parts.filter { $0[1] > 0 }.map { SIMD4($0.map { Int32($0) }) }
        (self.step, self.tapStep) = (step, tapStep)
    }

    /// All pixels and taps.
    static func whole(_ extent: Int, taps: Int) -> TapRegions { TapRegions([[0, extent, 0, taps]]) }

    /// The parities of what a strided convolution's input gradient writes; nil where that is not it, or there are too
    /// many.
    static func parities(
        _ extent: Int, taps: Int, dilation: Int, padding: Int, divisor: Int
    ) -> TapRegions? {
        guard 2...3 ~= divisor else { return nil }
        // Taps of a parity are as far apart as it takes to come back to it.
        let tapStep = (1...divisor).first { $0 * dilation % divisor == 0 } ?? divisor
        let parts = (0..<divisor).map { parity in
            let inside = (0..<taps).filter { (parity + $0 * dilation - padding) % divisor == 0 }
            return [parity, (extent - parity + divisor - 1) / divisor, inside.first ?? 0, inside.count]
        }
        return TapRegions(parts, step: divisor, tapStep: tapStep)
    }

    /// Before the first of three taps is inside the image, between, and after the last one is; nil where a convolution
    /// is none of that kind.
    static func thirds(_ extent: Int, source: Int, taps: Int, dilation: Int, padding: Int) -> TapRegions? {
        guard taps == 3, padding == dilation, extent == source else { return nil }
        let (first, last) = (min(dilation, extent), max(0, extent - dilation))
        // Tap 0 counts from `first` on, tap 1 everywhere, tap 2 before `last`.
        let (low, high) = (min(first, last), max(first, last))
        let middle = first <= last ? [low, high - low, 0, 3] : [low, high - low, 1, 1]
        return TapRegions([[0, low, 1, 2], middle, [high, extent - high, 0, 2]])
    }

    var arguments: [LaunchArgument] {
        (0..<3).map { .int4($0 < parts.count ? parts[$0] : SIMD4(0, 0, 0, 0)) }
    }
}

/// How an output is cut for the GPU family's gather.
struct TiledGather {
    let rows, columns: TapRegions
    let tile: WorkGroupTile
    /// Tiles of all regions.
    let tiles: Int

    /// - Parameters:
    ///   - tile: nil for the one that suits the shape.
    ///   - isRowwise: a kernel row is one tap.
    init(
        _ geometry: ConvolutionGeometry, x: Shape, y: Shape, divisor: Int, padding: Int, tile: WorkGroupTile?,
        isRowwise: Bool
    ) {
        let tile = tile ?? .suiting(rows: y.rows, columns: y.storedChannels)
        let taps = (geometry.kernelHeight, isRowwise ? 1 : geometry.kernelWidth)
        let whole = (TapRegions.whole(y.height, taps: taps.0), TapRegions.whole(y.width, taps: taps.1))
        func cut(_ extent: Int, _ source: Int, _ taps: Int) -> TapRegions? {
            if divisor > 1 {
                return .parities(
                    extent, taps: taps, dilation: geometry.dilation, padding: padding, divisor: divisor)
            }
            if geometry.stride > 1 { return nil }
            return .thirds(extent, source: source, taps: taps, dilation: geometry.dilation, padding: padding)
        }
        /// Tiles, and the taps they go through.
        func cost(_ regions: (TapRegions, TapRegions)) -> (tiles: Int, taps: Int) {
            var (tiles, work) = (0, 0)
            for row in regions.0.parts {
                for column in regions.1.parts {
                    let count = (y.batch * Int(row.y) * Int(column.y) + tile.rows - 1) / tile.rows
                    tiles += count
                    work += count * Int(row.w) * Int(column.w)
                }
            }
            return (tiles, work)
        }
        var best = whole
        if !isRowwise, let rows = cut(y.height, x.height, taps.0), let columns = cut(y.width, x.width, taps.1),
            cost((rows, columns)).taps < cost(whole).taps
        {
            best = (rows, columns)
        }
        (rows, columns) = best
        self.tile = tile
        tiles = cost(best).tiles
    }
}
