import DeviceLayer

/// How one axis of an output is cut in tiles: phases of pixels a dilation apart, each in tiles of `outputs` pixels.
struct WinogradAxis: Hashable {
    /// Products per tile; as in the kernels, 1 and 3 are for whole phases, whose neighbours are all outside the image.
    let places: Int
    /// Tiles in each phase.
    let tiles: Int
    let phases: Range<Int>

    /// Pixels of a tile.
    var outputs: Int { places > 3 ? places - 2 : (places + 1) / 2 }
    var count: Int { tiles * phases.count }

    /// Tiles of `outputs` pixels, the same in all phases.
    init(extent: Int, dilation: Int, outputs: Int) {
        places = outputs + 2
        tiles = ((extent + dilation - 1) / dilation + outputs - 1) / outputs
        phases = 0..<dilation
    }

    private init(places: Int, phases: Range<Int>) {
        (self.places, self.phases, tiles) = (places, phases, 1)
    }

    /// Every phase as one tile of just its pixels; nil where a phase is too long for that. The first phases of an axis
    /// have a pixel more than the others.
    static func wholePhases(extent: Int, dilation: Int) -> [WinogradAxis]? {
        let (length, longer) = extent.quotientAndRemainder(dividingBy: dilation)
        guard (longer == 0 ? length : length + 1) <= placesOfPhases.count else { return nil }
        return [(length + 1, 0..<longer), (length, longer..<dilation)].filter { $0.0 > 0 && !$0.1.isEmpty }
            .map { WinogradAxis(places: placesOfPhases[$0.0 - 1], phases: $0.1) }
    }

    /// Of phases of 1, 2, 3 pixels.
    private static let placesOfPhases = [1, 3, 5]
}

/// Tiles of one size and the pixels of an output they cover.
struct WinogradTiles {
    let rows, columns: WinogradAxis
    let dilation, batch: Int

    /// m of tiles there are transforms for, the best first for large images.
    static let sizes = [4, 3, 2]

    /// Below, moving the transformed pixels takes longer than the products it saves.
    static let fewestChannels = 64
    static let fewest = 16
    /// Bytes that transformed pixels may take at a time, and transformed weights.
    private static let pixelBytes = 20 << 20
    private static let weightBytes = 5 << 20
    /// Bytes that sums of a weight gradient may take at a time, before they are transformed back.
    private static let gradientBytes = 10 << 20

    /// An output in tiles of m×m.
    static func cover(_ output: Shape, dilation: Int, size: Int) -> [WinogradTiles] {
        let axis = { (extent: Int) in [WinogradAxis(extent: extent, dilation: dilation, outputs: size)] }
        return cover(output, dilation: dilation, rows: axis(output.height), columns: axis(output.width))
    }

    /// An output phase by phase; nil where phases are too long, or all of three pixels, as tiles of 3×3 are.
    static func phases(_ output: Shape, dilation: Int) -> [WinogradTiles]? {
        guard let rows = WinogradAxis.wholePhases(extent: output.height, dilation: dilation),
            let columns = WinogradAxis.wholePhases(extent: output.width, dilation: dilation)
        else { return nil }
        let cover = cover(output, dilation: dilation, rows: rows, columns: columns)
        return cover.allSatisfy { $0.places == 25 } ? nil : cover
    }

    private static func cover(
        _ output: Shape, dilation: Int, rows: [WinogradAxis], columns: [WinogradAxis]
    ) -> [WinogradTiles] {
        rows.flatMap { row in
            columns.map { WinogradTiles(rows: row, columns: $0, dilation: dilation, batch: output.batch) }
        }
    }

    /// Places in a tile, one product each.
    var places: Int { rows.places * columns.places }
    var options: [String] { ["-DER=\(rows.places)", "-DEC=\(columns.places)"] }
    var perImage: Int { rows.count * columns.count }
    var count: Int { batch * perImage }

    /// Dilation and `TILES` in the kernels.
    func location(from tile: Int) -> [LaunchArgument] {
        [
            .int(dilation), .int(rows.tiles), .int(columns.tiles), .int(rows.phases.count),
            .int(columns.phases.count), .int(rows.phases.lowerBound), .int(columns.phases.lowerBound), .int(tile),
        ]
    }

    /// Tiles that are transformed together.
    ///
    /// - Parameter channels: of what is transformed, and held at the same time.
    func chunks(channels: Int) -> [Range<Int>] {
        let most = max(Self.fewest, Self.pixelBytes / (places * channels * 4))
        let parts = (count + most - 1) / most
        return (0..<parts).map { count * $0 / parts..<count * ($0 + 1) / parts }
    }

    /// Channels whose weights are transformed together, in multiples of 32.
    ///
    /// - Parameter others: channels on the weights' other side.
    func slices(_ channels: Int, others: Int) -> [Range<Int>] {
        let most = max(32, Self.weightBytes / (places * others * 4) / 32 * 32)
        return stride(from: 0, to: channels, by: most).map { $0..<min(channels, $0 + most) }
    }

    /// Input and output channels whose weight gradients are summed together: as square as they can be, since each input
    /// channel's pixels are transformed once for every slice of output channels, and the other way round.
    func blocks(inputs: Int, outputs: Int) -> (inputs: [Range<Int>], outputs: [Range<Int>]) {
        let most = Self.gradientBytes / (places * 4)
        let side = Int(Double(most).squareRoot())
        func cut(_ channels: Int) -> [Range<Int>] {
            let limit = channels <= side ? channels : most / min(inputs, outputs, side)
            let parts = (channels + limit - 1) / limit
            let step = roundUp((channels + parts - 1) / parts, to: 32)
            return stride(from: 0, to: channels, by: step).map { $0..<min(channels, $0 + step) }
        }
        return (cut(inputs), cut(outputs))
    }

    /// Work-items of a transform of some tiles: each takes up to 128 channels.
    static func grid(_ tiles: Int, channels: Int, _ library: KernelLibrary) -> WorkSize {
        library.grid(tiles, (channels + 127) / 128)
    }
}

/// Deals out a number in proportion to parts, without a remainder.
private struct WorkShare {
    private let total, all: Int
    private var done = 0

    init(of total: Int, all: Int) { (self.total, self.all) = (total, all) }

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
                places: tiles.places, most * (pass.x.channels + 16), slice * pass.x.channels, most * slice)
        }
    }

    private var parts: [Part] { cover.map { Part($0, self) } }

    var workspaceByteCount: Int { 4 * (parts.map(\.layout.count).max() ?? 0) }

    /// - Precondition: the shared zeros cover a pixel.
    /// - Parameters:
    ///   - weights: canonical, of that shape.
    ///   - multiplyAccumulates: of the direct sum; the products count as those.
    func encode(
        _ e: inout LaunchEncoder, weights: LaunchArgument, of shape: Shape, epilogue: ConvolutionEpilogue,
        multiplyAccumulates: Int
    ) throws {
        let canonical = shape.dimensions
        var work = WorkShare(
            of: multiplyAccumulates, all: cover.reduce(0) { $0 + $1.count * $1.places } * y.channels)
        for part in parts {
            let (tiles, at, strides) = (part.tiles, part.layout.offsets, part.layout.strides)
            for chunk in part.chunks {
                try e.launch(
                    "convolution_winograd", "winograd_input", options: tiles.options,
                    [
                        .input(0), .zeros, .workspace, .int(at[0]), .int(x.height), .int(x.width), .int(x.channels),
                        .int(0), .int(x.channels), .int(padding),
                    ] + tiles.location(from: chunk.lowerBound) + [.int(strides[0])],
                    WinogradTiles.grid(chunk.count, channels: x.channels, e.library))
                for slice in part.slices {
                    if chunk.lowerBound == 0 || part.slices.count > 1 {
                        try e.launch(
                            "convolution_winograd", "winograd_weights",
                            options: tiles.options + (flipped ? ["-DFLIPPED=1"] : []),
                            [
                                weights, .workspace, .int(at[1]), .int(canonical[2]), .int(canonical[3]),
                                .int(slice.lowerBound), .int(strides[1]),
                            ], e.library.grid(slice.count / 16, x.channels / 16))
                    }
                    let pixels = Self.pixels(chunk.count, accumulators: e.library.accumulators)
                    try e.launch(
                        "convolution_winograd_products", "winograd_products", options: ["-DPT=\(pixels)"],
                        [
                            .workspace, .int(at[0]), .int(at[1]), .int(at[2]), .int(x.channels), .int(slice.count),
                            .int(chunk.count), .int(strides[0]), .int(strides[1]), .int(strides[2]),
                        ],
                        e.library.grid((chunk.count + pixels - 1) / pixels, slice.count / 32, tiles.places),
                        multiplyAccumulates: work.next(chunk.count * tiles.places * slice.count))
                    try e.launch(
                        "convolution_winograd", "winograd_output", options: tiles.options,
                        [.workspace, .int(at[2])] + epilogue.operands + [
                            .output(0), .int(y.height), .int(y.width), .int(y.channels), .int(slice.lowerBound),
                            .int(slice.count),
                        ] + tiles.location(from: chunk.lowerBound) + [.int(strides[2]), epilogue.flags],
                        WinogradTiles.grid(chunk.count, channels: slice.count, e.library))
                }
            }
        }
    }

    /// Tiles per work-item of the products: those that waste least, as in `RegisterTile`, and never more than there are.
    static func pixels(_ count: Int, accumulators: Int) -> Int {
        guard accumulators == RegisterTile.wideAccumulators else { return min(count, accumulators / 2) }
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
        var work = WorkShare(
            of: multiplyAccumulates,
            all: cover.reduce(0) { $0 + $1.count * $1.places } * x.channels * dy.channels)
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
                        try e.launch(
                            "convolution_winograd_products", "winograd_weight_products",
                            options: e.library.hasWideRegisters ? [] : ["-DCB=2"],
                            [
                                .workspace, .int(at[0]), .int(at[1]), .int(at[2]), .int(output.count),
                                .int(chunk.count), .int(strides[0]), .int(strides[1]), .int(strides[2]),
                                .flag(chunk.lowerBound > 0),
                            ], e.library.grid(output.count / 32, input.count / 8, tiles.places),
                            multiplyAccumulates: work.next(
                                chunk.count * tiles.places * input.count * output.count))
                    }
                    try e.launch(
                        "convolution_winograd", "winograd_weight_gradient", options: tiles.options,
                        [
                            .workspace, .int(at[2]), .output(0), .int(x.channels), .int(dy.channels),
                            .int(input.lowerBound), .int(output.lowerBound), .int(output.count), .int(strides[2]),
                            .flag(index > 0),
                        ], e.library.grid(output.count / 16, input.count / 8))
                }
            }
        }
    }

    private func transformInput(
        _ e: inout LaunchEncoder, _ part: Part, _ chunk: Range<Int>, _ channels: Range<Int>
    ) throws {
        try e.launch(
            "convolution_winograd", "winograd_input", options: part.tiles.options + ["-DBLOCKED=1"],
            [
                .input(0), .zeros, .workspace, .int(part.layout.offsets[0]), .int(x.height), .int(x.width),
                .int(x.channels), .int(channels.lowerBound), .int(channels.count), .int(padding),
            ] + part.tiles.location(from: chunk.lowerBound) + [.int(part.layout.strides[0])],
            WinogradTiles.grid(chunk.count, channels: channels.count, e.library))
    }

    private func transformGradient(
        _ e: inout LaunchEncoder, _ part: Part, _ chunk: Range<Int>, _ channels: Range<Int>
    ) throws {
        try e.launch(
            "convolution_winograd", "winograd_output_gradient", options: part.tiles.options,
            [
                .input(1), .zeros, .workspace, .int(part.layout.offsets[1]), .int(dy.height), .int(dy.width),
                .int(dy.channels), .int(channels.lowerBound), .int(channels.count),
            ] + part.tiles.location(from: chunk.lowerBound) + [.int(part.layout.strides[1])],
            WinogradTiles.grid(chunk.count, channels: channels.count, e.library))
    }
}
