import DeviceLayer

/// The m×m tiles that cover an output, phase by phase of the dilation.
struct WinogradTiles {
    /// m.
    let size: Int
    /// Tiles along each axis of one phase.
    let down, across: Int
    let dilation, batch: Int

    /// Sizes there are transforms for, the best first for large images.
    static let sizes = [4, 3, 2]

    /// Below, moving the transformed pixels takes longer than the products it saves.
    static let fewestChannels = 64
    static let fewest = 16
    /// Bytes that transformed pixels may take at a time, and transformed weights.
    private static let pixelBytes = 20 << 20
    private static let weightBytes = 5 << 20

    init(_ output: Shape, dilation: Int, size: Int) {
        func along(_ extent: Int) -> Int { ((extent + dilation - 1) / dilation + size - 1) / size }
        self.size = size
        (down, across) = (along(output.height), along(output.width))
        self.dilation = dilation
        batch = output.batch
    }

    /// Places in a tile of pixels: m + 2 along each axis.
    var places: Int { (size + 2) * (size + 2) }
    var options: [String] { ["-DTILE=\(size)"] }
    var perImage: Int { down * across * dilation * dilation }
    var count: Int { batch * perImage }

    /// Tiles that are transformed together.
    ///
    /// - Parameter channels: the most of what is transformed.
    func chunks(channels: Int) -> [Range<Int>] {
        let most = max(Self.fewest, Self.pixelBytes / (places * channels * 4))
        let parts = (count + most - 1) / most
        return (0..<parts).map { count * $0 / parts..<count * ($0 + 1) / parts }
    }

    /// Channels whose weights are transformed together, `step` at a time.
    ///
    /// - Parameter others: channels on the weights' other side.
    func slices(_ channels: Int, others: Int, step: Int) -> [Range<Int>] {
        let most = max(step, Self.weightBytes / (places * others * 4) / step * step)
        return stride(from: 0, to: channels, by: most).map { $0..<min(channels, $0 + most) }
    }

    /// Work-items of a transform of some tiles: each takes up to 128 channels.
    static func grid(_ tiles: Int, channels: Int, _ library: KernelLibrary) -> WorkSize {
        library.grid(tiles, (channels + 127) / 128)
    }

    /// The part of `total` that tiles `chunk` and `channels` of `all` channels stand for; parts add up to the whole.
    func share(of total: Int, chunk: Range<Int>, channels: Int, of all: Int) -> Int {
        let slice = total / all * channels
        let upTo = { (tile: Int) in tile == count ? slice : slice / count * tile }
        return upTo(chunk.upperBound) - upTo(chunk.lowerBound)
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
    private let tiles: WinogradTiles
    private let chunks, slices: [Range<Int>]
    private let layout: WinogradLayout

    init(x: Shape, y: Shape, tile: Int, dilation: Int, padding: Int, flipped: Bool) {
        (self.x, self.y, self.padding, self.flipped) = (x, y, padding, flipped)
        tiles = WinogradTiles(y, dilation: dilation, size: tile)
        chunks = tiles.chunks(channels: x.channels)
        slices = tiles.slices(y.channels, others: x.channels, step: 32)
        let (most, slice) = (chunks.map(\.count).max() ?? 0, slices[0].count)
        layout = WinogradLayout(places: tiles.places, most * (x.channels + 16), slice * x.channels, most * slice)
    }

    var workspaceByteCount: Int { layout.count * 4 }

    /// - Precondition: the shared zeros cover a pixel.
    /// - Parameters:
    ///   - weights: canonical, of that shape.
    ///   - multiplyAccumulates: of the direct sum; the products count as those.
    func encode(
        _ e: inout LaunchEncoder, weights: LaunchArgument, of shape: Shape, epilogue: ConvolutionEpilogue,
        multiplyAccumulates: Int
    ) throws {
        let (file, products) = ("convolution_winograd", "convolution_winograd_products")
        let (at, strides) = (layout.offsets, layout.strides)
        let canonical = shape.dimensions
        for chunk in chunks {
            try e.launch(
                file, "winograd_input", options: tiles.options,
                [
                    .input(0), .zeros, .workspace, .int(at[0]), .int(x.height),
                    .int(x.width), .int(x.channels), .int(0), .int(x.channels), .int(tiles.dilation), .int(padding),
                    .int(tiles.down), .int(tiles.across), .int(chunk.lowerBound), .int(strides[0]),
                ], WinogradTiles.grid(chunk.count, channels: x.channels, e.library))
            for slice in slices {
                if chunk.lowerBound == 0 || slices.count > 1 {
                    try e.launch(
                        file, "winograd_weights", options: tiles.options + ["-DFLIPPED=\(flipped ? 1 : 0)"],
                        [
                            weights, .workspace, .int(at[1]), .int(canonical[2]), .int(canonical[3]),
                            .int(slice.lowerBound), .int(strides[1]),
                        ], e.library.grid(slice.count / 16, x.channels / 16))
                }
                let pixels = Self.pixels(chunk.count, accumulators: e.library.accumulators)
                try e.launch(
                    products, "winograd_products", options: ["-DPT=\(pixels)"],
                    [
                        .workspace, .int(at[0]), .int(at[1]), .int(at[2]), .int(x.channels), .int(slice.count),
                        .int(chunk.count), .int(strides[0]), .int(strides[1]), .int(strides[2]),
                    ],
                    e.library.grid((chunk.count + pixels - 1) / pixels, slice.count / 32, tiles.places),
                    multiplyAccumulates: tiles.share(
                        of: multiplyAccumulates, chunk: chunk, channels: slice.count, of: y.channels))
                try e.launch(
                    file, "winograd_output", options: tiles.options,
                    [.workspace, .int(at[2])] + epilogue.operands + [
                        .output(0), .int(y.height), .int(y.width), .int(y.channels), .int(slice.lowerBound),
                        .int(slice.count), .int(tiles.dilation), .int(tiles.down), .int(tiles.across),
                        .int(chunk.lowerBound), .int(strides[2]), epilogue.flags,
                    ], WinogradTiles.grid(chunk.count, channels: slice.count, e.library))
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
    private let tiles: WinogradTiles
    private let chunks, slices: [Range<Int>]
    private let layout: WinogradLayout

    init(x: Shape, dy: Shape, tile: Int, dilation: Int, padding: Int) {
        (self.x, self.dy, self.padding) = (x, dy, padding)
        tiles = WinogradTiles(dy, dilation: dilation, size: tile)
        chunks = tiles.chunks(channels: dy.channels)
        slices = tiles.slices(x.channels, others: dy.channels, step: 16)
        let (most, slice) = (chunks.map(\.count).max() ?? 0, slices[0].count)
        layout = WinogradLayout(places: tiles.places, most * slice, most * dy.channels, slice * dy.channels)
    }

    var workspaceByteCount: Int { layout.count * 4 }

    /// - Parameter multiplyAccumulates: of the direct sum; the products count as those.
    func encode(_ e: inout LaunchEncoder, multiplyAccumulates: Int) throws {
        let (file, products) = ("convolution_winograd", "convolution_winograd_products")
        let (at, strides) = (layout.offsets, layout.strides)
        for slice in slices {
            for chunk in chunks {
                try e.launch(
                    file, "winograd_input", options: tiles.options + ["-DBLOCKED=1"],
                    [
                        .input(0), .zeros, .workspace, .int(at[0]), .int(x.height),
                        .int(x.width), .int(x.channels), .int(slice.lowerBound), .int(slice.count),
                        .int(tiles.dilation), .int(padding), .int(tiles.down), .int(tiles.across),
                        .int(chunk.lowerBound), .int(strides[0]),
                    ], WinogradTiles.grid(chunk.count, channels: slice.count, e.library))
                if slice.lowerBound == 0 || chunks.count > 1 {
                    try e.launch(
                        file, "winograd_output_gradient", options: tiles.options,
                        [
                            .input(1), .zeros, .workspace, .int(at[1]),
                            .int(dy.height), .int(dy.width), .int(dy.channels), .int(tiles.dilation),
                            .int(tiles.down), .int(tiles.across), .int(chunk.lowerBound), .int(strides[1]),
                        ], WinogradTiles.grid(chunk.count, channels: dy.channels, e.library))
                }
                try e.launch(
                    products, "winograd_weight_products",
                    options: e.library.accumulators == RegisterTile.wideAccumulators ? [] : ["-DCB=2"],
                    [
                        .workspace, .int(at[0]), .int(at[1]), .int(at[2]), .int(dy.channels), .int(chunk.count),
                        .int(strides[0]), .int(strides[1]), .int(strides[2]), .flag(chunk.lowerBound > 0),
                    ], e.library.grid(dy.channels / 32, slice.count / 8, tiles.places),
                    multiplyAccumulates: tiles.share(
                        of: multiplyAccumulates, chunk: chunk, channels: slice.count, of: x.channels))
            }
            try e.launch(
                file, "winograd_weight_gradient", options: tiles.options,
                [
                    .workspace, .int(at[2]), .output(0), .int(x.channels), .int(dy.channels), .int(slice.lowerBound),
                    .int(strides[2]),
                ], e.library.grid(dy.channels / 16, slice.count / 8))
        }
    }
}
