import DeviceLayer

/// How the forward pass and the input gradient of a convolution are computed.
public enum ConvolutionAlgorithm: Hashable, Sendable {
    /// The sum over taps and channels as it is written.
    case direct
    /// Winograd's F(4×4, 3×3): a quarter of the multiplications, rounding errors some ten times larger.
    case winograd

    /// What suits a shape; a function of the shape alone, never of the batch, so that results do not depend on it.
    ///
    /// - Parameters:
    ///   - geometry: of the forward pass.
    ///   - input: [N, H, W, C] of what is read: x, or dy of the input gradient.
    ///   - output: what is computed: y, or dx.
    ///   - weights: [R, S, C, K], canonical.
    static func suited(
        to geometry: ConvolutionGeometry, input: Shape, output: Shape, family: KernelFamily, isExact: Bool
    ) -> Self {
        guard !isExact, family == .cpu, geometry.kernelHeight == 3, geometry.kernelWidth == 3, geometry.stride == 1,
            input.channels % 16 == 0, !input.isCompact, output.channels % 32 == 0,
            min(input.channels, output.channels) >= WinogradConvolution.fewestChannels
        else { return .direct }
        let pixels = output.height * output.width
        let tiles = WinogradConvolution.tilesPerImage(output, dilation: geometry.dilation)
        return tiles >= WinogradConvolution.fewestTiles && 16 * tiles <= 2 * pixels ? .winograd : .direct
    }
}

/// The launches of one Winograd pass (formulas in `convolution_winograd.cl`).
struct WinogradConvolution {
    let x, y: Shape
    let dilation, padding: Int
    /// The input gradient: taps reversed, channels exchanged.
    let flipped: Bool

    /// Below, moving the transformed pixels takes longer than the products it saves.
    static let fewestChannels = 64
    static let fewestTiles = 16
    /// Bytes of transformed pixels and of transformed weights that are held at a time.
    private static let pixelBytes = 20 << 20
    private static let weightBytes = 10 << 20
    /// Places in a 6×6 tile.
    private static let places = 36

    static func tilesPerImage(_ y: Shape, dilation: Int) -> Int {
        tiles(y.height, dilation: dilation) * tiles(y.width, dilation: dilation) * dilation * dilation
    }

    /// Tiles of four pixels along an axis of one phase.
    private static func tiles(_ extent: Int, dilation: Int) -> Int {
        ((extent + dilation - 1) / dilation + 3) / 4
    }

    private var tileCount: Int { y.batch * Self.tilesPerImage(y, dilation: dilation) }

    /// Numbers of tiles that are transformed together.
    private var chunks: [Range<Int>] {
        let most = max(Self.fewestTiles, Self.pixelBytes / (Self.places * x.channels * 4))
        let count = (tileCount + most - 1) / most
        return (0..<count).map { tileCount * $0 / count..<tileCount * ($0 + 1) / count }
    }

    /// Output channels whose weights are transformed together.
    private var slice: Int {
        let most = Self.weightBytes / (Self.places * x.channels * 4) / 32 * 32
        return min(y.channels, max(32, most))
    }

    /// Where pixels, weights and products lie in the workspace, and from each place of a tile to the next, in floats.
    private struct Layout {
        let pixelStride, weightStride, productStride: Int
        var weights: Int { WinogradConvolution.places * pixelStride }
        var products: Int { weights + WinogradConvolution.places * weightStride }
        var count: Int { products + WinogradConvolution.places * productStride }

        init(tiles: Int, depth: Int, slice: Int) {
            pixelStride = tiles * (depth + 16) + 16
            weightStride = slice * depth + 16
            productStride = tiles * slice + 16
        }
    }

    private var layout: Layout {
        Layout(tiles: chunks.map(\.count).max() ?? 0, depth: x.channels, slice: slice)
    }

    var workspaceByteCount: Int { layout.count * 4 }

    /// - Parameters:
    ///   - weights: canonical.
    ///   - multiplyAccumulates: of the direct sum; the products count as those.
    func encode(
        _ e: inout LaunchEncoder, x operand: Operand, weights: Operand, bias: DeviceBuffer?, multiplyAccumulates: Int
    ) throws {
        let file = "convolution_winograd"
        let layout = layout
        let (down, across) = (Self.tiles(y.height, dilation: dilation), Self.tiles(y.width, dilation: dilation))
        func groups(_ channels: Int) -> Int { (channels + 127) / 128 }
        let chunks = chunks
        let slices = stride(from: 0, to: y.channels, by: slice).map { $0..<min(y.channels, $0 + slice) }
        for (number, chunk) in chunks.enumerated() {
            let tile = Self.tile(chunk.count)
            try e.launch(
                file, "winograd_input",
                [
                    .buffer(operand.buffer), .buffer(e.library.zeros), e.scratch, .int(0), .int(x.height),
                    .int(x.width), .int(x.channels), .int(dilation), .int(padding), .int(down), .int(across),
                    .int(chunk.lowerBound), .int(layout.pixelStride),
                ], e.library.grid(chunk.count, groups(x.channels)))
            for slice in slices {
                if number == 0 || slices.count > 1 {
                    let canonical = weights.shape.dimensions
                    try e.launch(
                        file, "winograd_weights", options: ["-DFLIPPED=\(flipped ? 1 : 0)"],
                        [
                            .buffer(weights.buffer), e.scratch, .int(layout.weights), .int(canonical[2]),
                            .int(canonical[3]), .int(slice.lowerBound), .int(layout.weightStride),
                        ], e.library.grid(slice.count / 16, x.channels / 16))
                }
                try e.launch(
                    file, "winograd_products", options: ["-DPT=\(tile)"],
                    [
                        e.scratch, .int(0), .int(layout.weights), .int(layout.products), .int(x.channels),
                        .int(slice.count), .int(chunk.count), .int(layout.pixelStride), .int(layout.weightStride),
                        .int(layout.productStride),
                    ], e.library.grid((chunk.count + tile - 1) / tile, slice.count / 32, Self.places),
                    multiplyAccumulates: share(
                        of: multiplyAccumulates, chunk: chunk, isLast: number == chunks.count - 1, slice: slice))
                try e.launch(
                    file, "winograd_output",
                    [
                        e.scratch, .int(layout.products), .buffer(bias ?? e.library.zeros), e.output(0),
                        .int(y.height), .int(y.width), .int(y.channels), .int(slice.lowerBound), .int(slice.count),
                        .int(dilation), .int(down), .int(across), .int(chunk.lowerBound), .int(layout.productStride),
                        .flag(bias != nil),
                    ], e.library.grid(chunk.count, groups(slice.count)))
            }
        }
    }

    /// The part of the pass that one launch of products stands for; parts add up to the whole.
    private func share(of total: Int, chunk: Range<Int>, isLast: Bool, slice: Range<Int>) -> Int {
        let all = total / y.channels * slice.count
        let before = all / tileCount * chunk.lowerBound
        return isLast ? all - before : all / tileCount * chunk.count
    }

    /// Tiles per work-item of the products: those that waste least, as in `RegisterTile`.
    private static func tile(_ count: Int) -> Int {
        func cost(_ tile: Int) -> Int { (count + tile - 1) / tile * (tile + 2) }
        return [15, 14, 13, 12, 10, 8].min { cost($0) < cost($1) } ?? 14
    }
}
