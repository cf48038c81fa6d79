import AdaShareDeviceLayer

/// Deals out a number in proportion to parts, without a remainder.
private struct WorkShare {
    private let total, all: Int
    private var done = 0

    /// - Parameter channels: products at each place of a tile.
    init(of total: Int, over cover: [WinogradTiles], channels: Int) {
        self.total = total
        all = cover.reduce(0) { $0 + $1.count * $1.places } * channels
    }

    /// The share of the next `part` of all.
    mutating func next(_ part: Int) -> Int {
        func upTo(_ done: Int) -> Int { all.dividingFullWidth(total.multipliedFullWidth(by: done)).quotient }
        defer { done += part }
        return upTo(done + part) - upTo(done)
    }
}

/// Three parts of a workspace with a tile's places each: what is multiplied, with what, and the products; in floats.
private struct WinogradLayout {
    /// From one place to the next: a vector more than its data, so that places do not share cache sets.
    let strides: [Int]
    let offsets: [Int]
    let count: Int

    init(places: Int, _ parts: Int...) {
        strides = parts.map { $0 + 16 }
        offsets = parts.indices.map { [strides] part in strides[..<part].reduce(0, +) * places }
        count = strides.reduce(0, +) * places
    }
}

/// The launches of a Winograd forward pass or input gradient (formulas in `convolution_winograd.cl`).
struct WinogradConvolution {
    let x, y: Shape
    let padding: Int
    /// The input gradient: taps reversed, channels exchanged.
    let flipped: Bool
    /// What covers y.
    let cover: [WinogradTiles]
    /// Whether weights come transformed, by `WinogradWeights`.
    var readsTransforms = false

    /// One part of the cover, with its memory.
    private struct Part {
        let tiles: WinogradTiles
        let chunks, slices: [Range<Int>]
        let layout: WinogradLayout

        init(_ tiles: WinogradTiles, _ pass: WinogradConvolution) {
            self.tiles = tiles
            slices = tiles.slices(pass.y.channels, others: pass.x.channels)
            chunks = tiles.chunks(channels: max(pass.x.channels, slices[0].count))
            let (most, slice) = (chunks.map(\.count).max() ?? 0, slices[0].count)
            layout = WinogradLayout(
                places: tiles.places, most * (pass.x.channels + 16), pass.readsTransforms ? 0 : slice * pass.x.channels,
                most * slice)
        }
    }

    private var parts: [Part] { cover.map { Part($0, self) } }

    var workspaceByteCount: Int { 4 * (parts.map(\.layout.count).max() ?? 0) }

    /// - Precondition: the shared zeros cover a pixel.
    /// - Parameters:
    ///   - weights: of that shape: canonical, or transformed.
    ///   - multiplyAccumulates: of the direct sum; the products count as those.
    func encode(
        _ e: inout LaunchEncoder, weights: LaunchArgument, of shape: Shape, epilogue: ConvolutionEpilogue,
        multiplyAccumulates: Int
    ) throws {
        let canonical = shape
        var work = WorkShare(of: multiplyAccumulates, over: cover, channels: y.channels)
        let stride = WinogradWeights.stride(inputs: x.channels, outputs: y.channels)
        let offsets = WinogradWeights.offsets(cover.map(\.places), inputs: x.channels, outputs: y.channels)
        for (part, offset) in zip(parts, offsets) {
            let (tiles, at, strides) = (part.tiles, part.layout.offsets, part.layout.strides)
            for chunk in part.chunks {
                e.launch(
                    "convolution_winograd", "winograd_input", options: tiles.options(e.library.family),
                    [
                        .input(0), .zeros, .workspace, .int(at[0]), .int(x.height), .int(x.width), .int(x.channels),
                        .int(0), .int(x.channels), .int(padding),
                    ] + tiles.location(of: chunk) + [.int(strides[0]), .flag(false)],
                    tiles.grid(chunk.count, channels: x.channels, e.library))
                for slice in part.slices {
                    if !readsTransforms, chunk.lowerBound == 0 || part.slices.count > 1 {
                        e.launch(
                            "convolution_winograd", "winograd_weights", options: tiles.options(e.library.family),
                            [
                                weights, .workspace, .int(at[1]), .int(canonical[2]), .int(canonical[3]),
                                .int(slice.lowerBound), .int(strides[1]), .flag(flipped),
                            ], tiles.part.weightGrid(slice.count, by: x.channels, e.library))
                    }
                    let transforms: [LaunchArgument] =
                        readsTransforms
                        ? [weights, .int(offset + slice.lowerBound * x.channels), .int(stride)]
                        : [.workspace, .int(at[1]), .int(strides[1])]
                    try encodeProducts(
                        &e, part, transforms, tiles: chunk.count, channels: slice.count,
                        multiplyAccumulates: work.next(chunk.count * tiles.places * slice.count))
                    e.launch(
                        "convolution_winograd", "winograd_output", options: tiles.options(e.library.family),
                        [.workspace, .int(at[2])] + epilogue.operands + [
                            .output(0), .int(y.height), .int(y.width), .int(y.channels), .int(slice.lowerBound),
                            .int(slice.count),
                        ] + tiles.location(of: chunk) + [.int(strides[2]), epilogue.flags],
                        tiles.grid(chunk.count, channels: slice.count, e.library))
                }
            }
        }
    }

    private func encodeProducts(
        _ e: inout LaunchEncoder, _ part: Part, _ transforms: [LaunchArgument], tiles: Int, channels: Int,
        multiplyAccumulates: Int
    ) throws {
        let (at, strides, places) = (part.layout.offsets, part.layout.strides, part.tiles.places)
        let arguments: [LaunchArgument] = [
            .workspace, transforms[0], .int(at[0]), transforms[1], .int(at[2]), .int(x.channels), .int(channels),
            .int(tiles), .int(strides[0]), transforms[2], .int(strides[2]),
        ]
        switch e.library.family {
        case .cpu:
            let pixels = Self.pixels(tiles, accumulators: e.library.accumulators)
            // On few registers, weights stay in a first-level cache for so many tiles, and those in the second for all
            // channels, as long as there are 32 work-items.
            let isWide = e.library.hasWideRegisters
            let span = isWide ? pixels : 16 * pixels
            let (blocks, columns) = ((tiles + span - 1) / span, channels / 32)
            let group = isWide ? 1 : max(1, min(columns, columns * blocks * places / 32))
            e.launch(
                "convolution_winograd_products_cpu", "winograd_products",
                options: ["-DPT=\(pixels)"] + (isWide ? [] : ["-DKR=1"]), arguments + [.int(span), .int(group)],
                e.library.grid(blocks, (columns + group - 1) / group, places),
                multiplyAccumulates: multiplyAccumulates)
        case .gpu:
            let tile = WorkGroupTile.suiting(rows: tiles, columns: channels, products: places)
            try e.launch(
                "convolution_winograd_products_gpu", "winograd_products", options: tile.options(e.library), arguments,
                tile.groups(alongRows: tiles, columns: channels, products: places),
                multiplyAccumulates: multiplyAccumulates)
        }
    }

    /// Tiles per work-item of the products: those that waste least, as in `RegisterTile`, and never more than there
    /// are.
    static func pixels(_ count: Int, accumulators: Int) -> Int {
        guard accumulators == RegisterTile.wideAccumulators else { return min(count, accumulators) }
        func cost(_ pixels: Int) -> Int { (count + pixels - 1) / pixels * (pixels + 2) }
        return [15, 14, 13, 12, 10, 8].filter { $0 <= count }.min { cost($0) < cost($1) } ?? count
    }
}

/// The launches of a Winograd weight gradient (formulas in `convolution_winograd.cl`).
struct WinogradWeightGradient {
    let x, dy: Shape
    let padding: Int
    /// What covers dy.
    let cover: [WinogradTiles]

    /// One part of the cover, with its memory.
    private struct Part {
        let tiles: WinogradTiles
        let chunks, inputs, outputs: [Range<Int>]
        let layout: WinogradLayout

        init(_ tiles: WinogradTiles, _ pass: WinogradWeightGradient) {
            self.tiles = tiles
            (inputs, outputs) = tiles.blocks(inputs: pass.x.channels, outputs: pass.dy.channels)
            let (depth, width) = (inputs[0].count, outputs[0].count)
            chunks = tiles.chunks(channels: depth + width)
            let most = chunks.map(\.count).max() ?? 0
            layout = WinogradLayout(places: tiles.places, most * depth, most * width, depth * width)
        }
    }

    private var parts: [Part] { cover.map { Part($0, self) } }

    var workspaceByteCount: Int { 4 * (parts.map(\.layout.count).max() ?? 0) }

    /// - Parameter multiplyAccumulates: of the direct sum; the products count as those.
    func encode(_ e: inout LaunchEncoder, multiplyAccumulates: Int) throws {
        var work = WorkShare(of: multiplyAccumulates, over: cover, channels: x.channels * dy.channels)
        for (index, part) in parts.enumerated() {
            let (tiles, at, strides) = (part.tiles, part.layout.offsets, part.layout.strides)
            for input in part.inputs {
                for output in part.outputs {
                    for chunk in part.chunks {
                        if output.lowerBound == 0 || part.chunks.count > 1 {
                            try transformInput(&e, part, chunk, input)
                        }
                        if input.lowerBound == 0 || part.outputs.count > 1 || part.chunks.count > 1 {
                            try transformGradient(&e, part, chunk, output)
                        }
                        try encodeProducts(
                            &e, part, tiles: chunk, inputs: input.count, outputs: output.count,
                            multiplyAccumulates: work.next(
                                chunk.count * tiles.places * input.count * output.count))
                    }
                    e.launch(
                        "convolution_winograd", "winograd_weight_gradient", options: tiles.options(e.library.family),
                        [
                            .workspace, .int(at[2]), .output(0), .int(x.channels), .int(dy.channels),
                            .int(input.lowerBound), .int(output.lowerBound), .int(output.count), .int(strides[2]),
                            .flag(index > 0),
                        ], tiles.weightGradientGrid(outputs: output.count, inputs: input.count, e.library))
                }
            }
        }
    }

    private func encodeProducts(
        _ e: inout LaunchEncoder, _ part: Part, tiles: Range<Int>, inputs: Int, outputs: Int, multiplyAccumulates: Int
    ) throws {
        let (at, strides, places) = (part.layout.offsets, part.layout.strides, part.tiles.places)
        let parts: [LaunchArgument] = [.workspace, .int(at[0]), .int(at[1]), .int(at[2])]
        let sizes: [LaunchArgument] = [
            .int(outputs), .int(tiles.count), .int(strides[0]), .int(strides[1]), .int(strides[2]),
            .flag(tiles.lowerBound > 0),
        ]
        switch e.library.family {
        case .cpu:
            e.launch(
                "convolution_winograd_products_cpu", "winograd_weight_products",
                options: e.library.hasWideRegisters ? [] : ["-DCB=4", "-DKR=1"], parts + sizes,
                e.library.grid(outputs / 32, inputs / 16, places), multiplyAccumulates: multiplyAccumulates)
        case .gpu:
            let tile = WorkGroupTile.suiting(rows: inputs, columns: outputs, products: places)
            try e.launch(
                "convolution_winograd_products_gpu", "winograd_weight_products", options: tile.options(e.library),
                parts + [.int(inputs)] + sizes,
                tile.groups(alongColumns: outputs, rows: inputs, products: places),
                multiplyAccumulates: multiplyAccumulates)
        }
    }

    private func transformInput(
        _ e: inout LaunchEncoder, _ part: Part, _ chunk: Range<Int>, _ channels: Range<Int>
    ) throws {
        e.launch(
            "convolution_winograd", "winograd_input", options: part.tiles.options(e.library.family),
            [
                .input(0), .zeros, .workspace, .int(part.layout.offsets[0]), .int(x.height), .int(x.width),
                .int(x.channels), .int(channels.lowerBound), .int(channels.count), .int(padding),
            ] + part.tiles.location(of: chunk) + [.int(part.layout.strides[0]), .flag(true)],
            part.tiles.grid(chunk.count, channels: channels.count, e.library))
    }

    private func transformGradient(
        _ e: inout LaunchEncoder, _ part: Part, _ chunk: Range<Int>, _ channels: Range<Int>
    ) throws {
        e.launch(
            "convolution_winograd", "winograd_output_gradient", options: part.tiles.options(e.library.family),
            [
                .input(1), .zeros, .workspace, .int(part.layout.offsets[1]), .int(dy.height), .int(dy.width),
                .int(dy.channels), .int(channels.lowerBound), .int(channels.count),
            ] + part.tiles.location(of: chunk) + [.int(part.layout.strides[1])],
            part.tiles.grid(chunk.count, channels: channels.count, e.library))
    }
}
