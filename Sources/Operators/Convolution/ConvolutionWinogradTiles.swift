import AdaShareDeviceLayer

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

    /// Of phases of 1 to 5 pixels.
    private static let placesOfPhases = [1, 3, 5, 6, 7]
}

/// How much of a Winograd pass is held at a time.
struct WinogradMemory: Hashable, Sendable {
    /// Bytes that transformed pixels may take, and transformed weights.
    var pixelBytes = 20 << 20
    var weightBytes = 8 << 20
    /// Bytes that sums of a weight gradient may take, before they are transformed back.
    var gradientBytes = 10 << 20
    /// Tiles that pay for transforming all weights again, whatever memory they take.
    var fewestTogether = 384

    /// The same pixels, weights in more slices.
    static let slim = WinogradMemory(weightBytes: 2 << 20)
    /// Half the pixels, at the cost of transforming weights as often again.
    static let frugal = WinogradMemory(pixelBytes: 10 << 20, weightBytes: 2 << 20, fewestTogether: 96)

    /// Of each the smaller.
    func limited(by other: WinogradMemory) -> WinogradMemory {
        WinogradMemory(
            pixelBytes: min(pixelBytes, other.pixelBytes), weightBytes: min(weightBytes, other.weightBytes),
            gradientBytes: min(gradientBytes, other.gradientBytes),
            fewestTogether: min(fewestTogether, other.fewestTogether))
    }
}

/// Tiles of one size and the pixels of an output they cover.
struct WinogradTiles {
    let rows, columns: WinogradAxis
    let dilation, batch: Int
    var memory = WinogradMemory()

    /// m of tiles there are transforms for, the best first where they multiply the same.
    static let sizes = [4, 5, 3, 2]

    /// Below, moving the transformed pixels takes longer than the products it saves.
    static let fewestChannels = 64
    static let fewest = 16

    /// An output in tiles of m×m.
    static func cover(_ output: Shape, dilation: Int, size: Int) -> [WinogradTiles] {
        let axis = { (extent: Int) in [WinogradAxis(extent: extent, dilation: dilation, outputs: size)] }
        return cover(output, dilation: dilation, rows: axis(output.height), columns: axis(output.width))
    }

    /// An output phase by phase; nil where phases are too long, or all as long as tiles of m×m are.
    static func phases(_ output: Shape, dilation: Int) -> [WinogradTiles]? {
        guard let rows = WinogradAxis.wholePhases(extent: output.height, dilation: dilation),
            let columns = WinogradAxis.wholePhases(extent: output.width, dilation: dilation)
        else { return nil }
        let cover = cover(output, dilation: dilation, rows: rows, columns: columns)
        let isSquare = cover.count == 1 && cover[0].rows.places == cover[0].columns.places
        return isSquare && sizes.contains(cover[0].rows.places - 2) ? nil : cover
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
    var part: WinogradWeights.Part { WinogradWeights.Part(rows: rows.places, columns: columns.places) }
    func options(_ family: KernelFamily) -> [String] { part.options(family) }
    var perImage: Int { rows.count * columns.count }
    var count: Int { batch * perImage }

    /// Dilation and `TILES` in the kernels.
    func location(of chunk: Range<Int>) -> [LaunchArgument] {
        [
            .int(dilation), .int(rows.tiles), .int(columns.tiles), .int(rows.phases.count),
            .int(columns.phases.count), .int(rows.phases.lowerBound), .int(columns.phases.lowerBound),
            .int(chunk.lowerBound), .int(chunk.count),
        ]
    }

    /// Tiles that are transformed together.
    ///
    /// - Parameter channels: of what is transformed, and held at the same time.
    func chunks(channels: Int) -> [Range<Int>] {
        let most = max(memory.fewestTogether, memory.pixelBytes / (places * channels * 4))
        let parts = (count + most - 1) / most
        return (0..<parts).map { count * $0 / parts..<count * ($0 + 1) / parts }
    }

    /// Channels whose weights are transformed together, in multiples of 32.
    ///
    /// - Parameter others: channels on the weights' other side.
    func slices(_ channels: Int, others: Int) -> [Range<Int>] {
        let most = max(32, memory.weightBytes / (places * others * 4) / 32 * 32)
        return stride(from: 0, to: channels, by: most).map { $0..<min(channels, $0 + most) }
    }

    /// Input and output channels whose weight gradients are summed together: as square as they can be, since each input
    /// channel's pixels are transformed once for every slice of output channels, and the other way round.
    func blocks(inputs: Int, outputs: Int) -> (inputs: [Range<Int>], outputs: [Range<Int>]) {
        let most = memory.gradientBytes / (places * 4)
        let side = Int(Double(most).squareRoot())
        func cut(_ channels: Int) -> [Range<Int>] {
            let limit = channels <= side ? channels : most / min(inputs, outputs, side)
            let parts = (channels + limit - 1) / limit
            let step = roundUp((channels + parts - 1) / parts, to: 32)
            return stride(from: 0, to: channels, by: step).map { $0..<min(channels, $0 + step) }
        }
        return (cut(inputs), cut(outputs))
    }

    /// Work-items of a transform of some tiles: each takes up to 128 channels on CPUs, a vector on GPUs.
    func grid(_ tiles: Int, channels: Int, _ library: KernelLibrary) -> WorkSize {
        switch library.family {
        case .cpu: library.grid(tiles, (channels + 127) / 128)
        case .gpu: part.groups(channels, tiles)
        }
    }

    /// Work-items of the adjoint, of weight gradients.
    func weightGradientGrid(outputs: Int, inputs: Int, _ library: KernelLibrary) -> WorkSize {
        switch library.family {
        case .cpu: library.grid(outputs / library.family.vectorWidth, inputs / 8)
        case .gpu: part.groups(outputs, inputs)
        }
    }
}
