import DeviceLayer

/// The launches of a weight gradient as the sum over pixels it is.
struct DirectWeightGradient {
    let geometry: ConvolutionGeometry
    let x, dy, weights: Shape
    let family: KernelFamily
    /// Whether pixels are first copied into panels of the channels that a work-item reads: rows of many channels lie far
    /// apart and share few cache sets. CPU family only.
    let isBlocked: Bool

    /// Whether x can be in panels: whole ones only.
    static func canBlock(_ x: Shape) -> Bool { !x.isCompact && x.channels % inputTile == 0 }

    /// Floats that panels may take: no more than devices give in one piece.
    static let mostCopied = 1 << 27

    /// Input channels per tile of wide registers, and of narrow ones.
    private static let inputTile = 8
    private static let narrowInputTile = 4

    /// Pixels that a work-item sums over before it goes to the next tile: with 32 channels of dy, half of a small
    /// first-level cache.
    private static let pixelsAtATime = 128

    private var taps: Int { geometry.kernelHeight * geometry.kernelWidth }
    private var inputPixels: Int { x.rows }
    private var outputPixels: Int { dy.rows }

    /// What a work-item of the CPU family sums in registers: a kernel row or some input channels, times output channels.
    private struct Tile {
        let row: KernelRow?
        let inputs, outputs: Int

        init(_ gradient: DirectWeightGradient, accumulators: Int) {
            let isNarrow = accumulators < RegisterTile.wideAccumulators
            row = KernelRow(gradient.geometry, x: gradient.x, accumulators: accumulators)
            inputs = row?.count ?? min(isNarrow ? narrowInputTile : inputTile, gradient.x.channels)
            group = gradient.isBlocked || row != nil ? 1 : max(1, 128 / inputs)
            outputs =
                row != nil || isNarrow ? Shape.lanes : RegisterTile.width(channels: gradient.weights.storedChannels)
        }

        /// Tiles of input channels that a work-item goes through: 128 channels. One of panels, which are read best from one
        /// end to the other.
        let group: Int

        /// Work-items along input channels, output channels, and taps.
        func items(_ gradient: DirectWeightGradient) -> [Int] {
            let along = gradient.weights.storedChannels / outputs
            guard row == nil else { return [1, along, gradient.geometry.kernelHeight] }
            let channels = group * inputs
            return [(gradient.x.channels + channels - 1) / channels, along, gradient.taps]
        }
    }

    /// Floats of the workspace's parts: partial sums, panels of x, panels of dy.
    private var parts: (sums: Int, x: Int, dy: Int) {
        let count = split.count
        return (
            count == 1 ? 0 : count * weights.storedCount, isBlocked ? x.storedCount : 0,
            isBlocked ? dy.storedCount : 0
        )
    }

    var workspaceByteCount: Int { 4 * (parts.sums + parts.x + parts.dy) }

    /// Work-items along input channels, output channels, and taps; on CPUs those of wide registers, so that sums are split
    /// alike on all of them.
    private var items: [Int] {
        switch family {
        case .cpu: Tile(self, accumulators: RegisterTile.wideAccumulators).items(self)
        case .gpu: [(x.channels + 63) / 64, (weights.storedChannels + 63) / 64, taps]
        }
    }

    /// Independent parts of the sum over pixels: enough work-items for the smallest layers, fixed by the shape.
    private var split: (span: Int, count: Int) {
        let (units, wanted) = family == .cpu ? (dy.batch * dy.height, 64) : (dy.rows, 512)
        let parts = max(1, min(units, wanted / items.reduce(1, *)))
        var span = (units + parts - 1) / parts
        if family == .gpu { span = max(256, roundUp(span, to: 16)) }
        return (span, (units + span - 1) / span)
    }

    func encode(_ e: inout LaunchEncoder, multiplyAccumulates: Int) throws {
        let split = split
        let target: LaunchArgument = split.count == 1 ? .output(0) : .workspace
        switch family {
        case .cpu: try encodeCPU(&e, target, split, multiplyAccumulates)
        case .gpu:
            let arguments: [LaunchArgument] = [
                .input(0), .input(1), target, .int(x.batch), .int(x.height), .int(x.width), .int(x.channels),
                .int(x.storedChannels), .int(dy.height), .int(dy.width), .int(dy.storedChannels),
                .int(geometry.kernelHeight), .int(geometry.kernelWidth), .int(geometry.stride),
                .int(geometry.dilation), .int(geometry.padding), .int(split.span),
            ]
            let size = WorkSize(global: [items[1] * 16, items[0] * 16, taps * split.count], local: [16, 16, 1])
            try e.launch(
                "convolution_gpu", "convolution_weights", arguments, size, multiplyAccumulates: multiplyAccumulates)
        }
        guard split.count > 1 else { return }
        let vectors = e.vectors(weights)
        try e.launch(
            "reduction", "chunk_sum",
            [.workspace, .output(0), .int(vectors), .int(split.count)], e.library.range(vectors))
    }

    private func encodeCPU(
        _ e: inout LaunchEncoder, _ target: LaunchArgument, _ split: (span: Int, count: Int),
        _ multiplyAccumulates: Int
    ) throws {
        let tile = Tile(self, accumulators: e.library.accumulators)
        let (xAt, dyAt) = isBlocked ? (parts.sums, parts.sums + parts.x) : (0, 0)
        if isBlocked {
            try ConvolutionPanels(input: 0, shape: x, width: tile.inputs, offset: xAt).encode(&e)
            try ConvolutionPanels(input: 1, shape: dy, width: tile.outputs, offset: dyAt).encode(&e)
        }
        let arguments: [LaunchArgument] = [
            isBlocked ? .workspace : .input(0), isBlocked ? .workspace : .input(1), target, .int(xAt), .int(dyAt),
            .int(x.batch), .int(x.height), .int(x.width), .int(tile.row == nil ? x.channels : tile.inputs),
            .int(isBlocked ? tile.inputs : x.storedChannels), .int(isBlocked ? inputPixels : 1), .int(dy.height),
            .int(dy.width), .int(isBlocked ? tile.outputs : dy.storedChannels), .int(isBlocked ? outputPixels : 1),
            .int(dy.storedChannels), .int(geometry.kernelHeight), .int(tile.row == nil ? geometry.kernelWidth : 1),
            .int(geometry.stride), .int(geometry.dilation), .int(geometry.padding), .int(split.span),
            .int(tile.group), .int(max(1, Self.pixelsAtATime / dy.width)),
        ]
        let options =
            (tile.row?.options ?? []) + ["-DCT=\(tile.inputs)", "-DKV=\(tile.outputs / 16)", "-DPT=1"]
        let items = tile.items(self)
        let size = WorkSize(global: [items[0], items[1], items[2] * split.count], local: [1, 1, 1])
        try e.launch(
            "convolution_cpu", "convolution_weights", options: options, arguments, size,
            multiplyAccumulates: multiplyAccumulates)
    }
}
