import AdaShareDeviceLayer

/// The one launch behind the forward pass and the input gradient (index formula in `convolution_cpu.cl`).
struct ConvolutionGather {
    let geometry: ConvolutionGeometry
    /// 1 forward; the stride in the input gradient, where only whole source positions count.
    let divisor: Int
    let padding: Int
    /// A direct sum, on matrix units or not.
    let algorithm: ConvolutionAlgorithm

    /// Multiply-accumulates of each result that make a work-item worth its start.
    private static let fewestTerms = 512

    func encode(
        _ e: inout LaunchEncoder, x: Shape, packed: LaunchArgument, epilogue: ConvolutionEpilogue,
        multiplyAccumulates: Int
    ) throws {
        precondition(x.channels <= KernelLibrary.zeroCount, "more channels than the shared zeros cover")
        // A batch of pixels that do not see each other is one long row.
        let (x, y) = geometry.isPointwise ? (x.flattened, e.outputs[0].flattened) : (x, e.outputs[0])
        switch e.library.family {
        case .cpu: try encodeCPU(&e, x: x, y: y, packed, epilogue, multiplyAccumulates)
        case .gpu: try encodeGPU(&e, x: x, y: y, packed, epilogue, multiplyAccumulates)
        }
    }

    private var isForward: Bool { divisor == 1 }
    /// Of the sum over source positions.
    private var stride: Int { isForward ? geometry.stride : 1 }

    private func encodeCPU(
        _ e: inout LaunchEncoder, x: Shape, y: Shape, _ packed: LaunchArgument, _ epilogue: ConvolutionEpilogue,
        _ multiplyAccumulates: Int
    ) throws {
        let row = isForward ? KernelRow(geometry, x: x) : nil
        let width = RegisterTile.width(channels: y.storedChannels)
        let sizes: [LaunchArgument] = [
            .int(x.height), .int(x.width), .int(x.channels), .int(x.storedChannels), .int(y.height), .int(y.width),
            .int(y.storedChannels), .int(geometry.kernelHeight), .int(geometry.kernelWidth), .int(stride),
            .int(geometry.dilation), .int(padding), .int(divisor), epilogue.flags,
        ]
        let across = y.storedChannels / width
        let terms = geometry.kernelHeight * geometry.kernelWidth * x.channels
        if row == nil, !e.library.hasWideRegisters {
            let hasOneTap = geometry.kernelHeight * geometry.kernelWidth == 1 && padding == 0 && divisor == 1
            let panel = PixelPanel(
                pixels: y.rows, tiles: across, width: width, depth: x.channels, hasOneTap: hasOneTap,
                accumulators: e.library.accumulators)
            e.launch(
                "convolution_cpu_panels", "convolution_panels", options: panel.options,
                [.input(0), packed] + epilogue.operands + [.output(0)] + sizes + [
                    .int(panel.group), .int(panel.span), .int(y.rows),
                ], e.library.grid(panel.groups, panel.spans), multiplyAccumulates: multiplyAccumulates)
            return
        }
        // Few sums are no work-item's worth: then one takes several tiles of channels.
        let group = max(1, min(across, Self.fewestTerms / terms))
        let groups = (across + group - 1) / group
        var pixels: Int?
        if case .direct(.pixels(let chosen)?) = algorithm { pixels = chosen }
        let tile = RegisterTile(
            columns: y.width, divisor: divisor, storedChannels: y.storedChannels, inputs: x.storedChannels,
            accumulators: e.library.accumulators, pixels: pixels)
        let weightBytes = 4 * terms * y.storedChannels
        let isOuter = weightBytes > e.library.cachedWeightBytes
        let tiles = y.height * tile.tiles * divisor
        let size =
            isOuter
            ? WorkSize(global: [tiles, y.batch, across], local: [1, 1, 1])
            : WorkSize(global: [groups, tiles, y.batch], local: [1, 1, 1])
        e.launch(
            "convolution_cpu", "convolution_gather",
            options: (isOuter ? ["-DWEIGHTS_OUTER=1"] : []) + tile.options + (row?.options ?? []),
            [.input(0), packed, .zeros] + epilogue.operands + [.output(0)] + sizes + [.int(isOuter ? 1 : group)],
            size, multiplyAccumulates: multiplyAccumulates)
    }

    /// What the GPU family need not find out as it runs; weight gradients say what most gathers do, and share
    /// their programs. Without matrix units nothing is won by leaving the epilogue out, and registers are spilled.
    static func known(divisor: Int, _ epilogue: ConvolutionEpilogue, _ algorithm: ConvolutionAlgorithm) -> [String] {
        ["-DDIVISOR=\(divisor)"]
            + (algorithm.operands != nil && epilogue == ConvolutionEpilogue() ? ["-DPLAIN=1"] : [])
    }

    private func encodeGPU(
        _ e: inout LaunchEncoder, x: Shape, y: Shape, _ packed: LaunchArgument, _ epilogue: ConvolutionEpilogue,
        _ multiplyAccumulates: Int
    ) throws {
        let row = isForward ? KernelRow(geometry, x: x) : nil
        let tiled = TiledGather(
            geometry, x: x, y: y, divisor: divisor, padding: padding, tile: WorkGroupTile(algorithm),
            isRowwise: row != nil)
        try e.launch(
            "convolution_gpu", "convolution_gather",
            options: tiled.tile.options(e.library) + KernelRow.gpuOptions(row, x: x, y: y)
                + Self.known(divisor: divisor, epilogue, algorithm),
            [.input(0), packed] + epilogue.operands + [
                .output(0), .int(x.batch), .int(x.height), .int(x.width), .int(row?.count ?? x.channels),
                .int(x.storedChannels), .int(y.height), .int(y.width), .int(y.storedChannels),
                .int(row == nil ? geometry.kernelWidth : 1), .int(stride), .int(geometry.dilation), .int(padding),
                .int(divisor), epilogue.flags, .int(tiled.rows.step), .int(tiled.rows.tapStep),
            ] + tiled.rows.arguments + tiled.columns.arguments,
            tiled.tile.groups(alongRows: tiled.tiles * tiled.tile.rows, columns: y.storedChannels),
            multiplyAccumulates: multiplyAccumulates)
    }
}

extension ConvolutionGeometry {
    /// Whether a pixel's result depends on that pixel alone: then a batch is one long row, without remainders.
    var isPointwise: Bool { kernelHeight == 1 && kernelWidth == 1 && stride == 1 && padding == 0 }
}

extension Shape {
    /// [1, 1, N·H·W, C].
    fileprivate var flattened: Shape { Shape([1, 1, rows, channels], compact: isCompact, element: element) }
}

/// A kernel row over pixels without channel padding: its taps and their channels lie side by side.
struct KernelRow {
    let taps, channels, stride: Int

    /// Nil where they do not, or where there are too many for a work-item's copies.
    init?(_ geometry: ConvolutionGeometry, x: Shape) {
        guard x.isCompact, geometry.dilation == 1, geometry.kernelWidth > 1,
            geometry.kernelWidth * x.channels <= Self.most
        else { return nil }
        (taps, channels, stride) = (geometry.kernelWidth, x.channels, geometry.stride)
    }

    private static let most = 32

    var count: Int { taps * channels }
    var options: [String] { ["-DWS=\(taps)", "-DWC=\(channels)", "-DWT=\(stride)"] }

    /// How the GPU family reads x, by kernel rows where there are any, and how y, or dy, is stored.
    static func gpuOptions(_ row: KernelRow?, x: Shape, y: Shape) -> [String] {
        var options = row.map { ["-DROW=\($0.channels)"] } ?? (x.isCompact ? ["-DCOMPACT=1"] : [])
        let isNarrow = [x, y].map { $0.element == .bfloat16 }
        if isNarrow.contains(true) { options += ["-DX16=\(isNarrow[0] ? 1 : 0)", "-DY16=\(isNarrow[1] ? 1 : 0)"] }
        return options
    }
}

/// The work-items of the CPU family where registers hold fewer than 16 floats (`convolution_cpu_panels.cl`).
struct PixelPanel {
    /// The most pixels of a work-item, `PIXELS` in the kernel: what they copy stays in a second-level cache.
    private static let most = 96
    /// The most tiles of channels of a work-item whose sums wait, `TILES` in the kernel.
    private static let mostTiles = 8
    /// Work-items that a pass has, if there are as many.
    private static let fewest = 32

    /// Pixels of each work-item, and how many have others.
    let span, spans: Int
    /// Tiles of channels of each work-item, and how many have others.
    let group, groups: Int
    let options: [String]

    /// - Parameters:
    ///   - pixels: of what is computed.
    ///   - tiles: of its channels.
    ///   - width: channels of a tile, 16 or 32.
    ///   - depth: channels of what is read.
    ///   - hasOneTap: whether each pixel is a sum over just one other.
    ///   - accumulators: of the library.
    init(pixels: Int, tiles: Int, width: Int, depth: Int, hasOneTap: Bool, accumulators: Int) {
        /// Extents of about the same size, of which none is above `most`.
        func even(_ extent: Int, most: Int) -> Int {
            let parts = (extent + most - 1) / most
            return (extent + parts - 1) / parts
        }
        span = min(Self.most, roundUp(even(pixels, most: Self.most), to: accumulators))
        spans = (pixels + span - 1) / span
        // What the kernel has copied serves all of them.
        let waits = !hasOneTap || depth > 256 * Shape.lanes / width
        group = even(tiles, most: max(1, min(waits ? Self.mostTiles : tiles, tiles * spans / Self.fewest)))
        groups = (tiles + group - 1) / group
        options = [
            "-DPIXELS=\(Self.most)", "-DTILES=\(Self.mostTiles)", "-DPT=\(accumulators)",
            "-DKV=\(width / Shape.lanes)",
        ]
    }
}

/// The CPU family's register tile: `pixels` of one row times `width` channels.
struct RegisterTile {
    let pixels: Int
    /// Channels per tile, 16 or 32.
    let width: Int
    /// Tiles that cover a row, or what one of `divisor` parities has of it.
    let tiles: Int

    /// Picks the tile that wastes least.
    ///
    /// - Parameters:
    ///   - columns: pixels of a row.
    ///   - divisor: every so manieth pixel of a row belongs to one tile.
    ///   - inputs: stored channels of what is read.
    ///   - accumulators: of the library.
    ///   - pixels: a choice made elsewhere.
    init(columns: Int, divisor: Int, storedChannels: Int, inputs: Int, accumulators: Int, pixels: Int? = nil) {
        width = Self.width(channels: storedChannels)
        let all = Self.ranked(
            columns: columns, divisor: divisor, width: width, inputs: inputs,
            most: accumulators < Self.wideAccumulators ? accumulators * Shape.lanes / width : nil)
        self.pixels = pixels.map { min($0, max(1, columns / divisor)) } ?? all[0]
        tiles = ((columns + divisor - 1) / divisor + self.pixels - 1) / self.pixels
    }

    /// Sums of 16 floats that fit registers of as many: 28 of 32, 30 where they share their operands.
    static let wideAccumulators = 28

    /// Sums of 16 floats that fit registers of so many floats, beside one vector of weights and a pixel's value.
    static func accumulators(vectorWidth: Int) -> Int {
        switch vectorWidth {
        case 16...: wideAccumulators
        case 8...: 6
        default:
            #if arch(arm64)
                6
            #else
                2
            #endif
        }
    }

    /// Tiles of at most a row's pixels, those that waste least first: a tile costs its pixels, but few do not fill the
    /// pipeline, plus about two pixels' worth of loading weights.
    private static func ranked(columns: Int, divisor: Int, width: Int, inputs: Int, most: Int?) -> [Int] {
        let (fewest, all) = (max(1, columns / divisor), (columns + divisor - 1) / divisor)
        // Pixels of 4 kB lie in the same lines of a first-level cache, which holds eight to twelve of those.
        let limit = most ?? (inputs % 1024 == 0 ? 10 : width == 32 ? 15 : 28)
        func cost(_ pixels: Int) -> Int { (all + pixels - 1) / pixels * (max(pixels, width == 32 ? 4 : 8) + 2) }
        return (1...min(limit, fewest)).reversed().map { ($0, cost($0)) }.sorted { ($0.1, -$0.0) < ($1.1, -$1.0) }
            .map(\.0)
    }

    /// Tiles worth measuring beside the one that wastes least: the next best, and the next smaller one for devices with
    /// fewer registers.
    static func alternatives(for problem: ConvolutionProblem) -> [Int] {
        let target = problem.target
        let ranked = ranked(
            columns: problem.geometry.isPointwise ? target.rows : target.width,
            divisor: problem.pass == .dataGradient ? problem.geometry.stride : 1,
            width: width(channels: target.storedChannels), inputs: problem.source.storedChannels, most: nil)
        let second = Array(ranked.dropFirst().prefix(1))
        return second + ranked.filter { $0 <= 2 * ranked[0] / 3 && !second.contains($0) }.prefix(1)
    }

    var options: [String] { ["-DPT=\(pixels)", "-DKV=\(width / 16)"] }

    /// Two vectors of output channels where they divide evenly, else one.
    static func width(channels stored: Int) -> Int { stored % 32 == 0 ? 32 : 16 }
}
