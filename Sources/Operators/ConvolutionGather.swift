import DeviceLayer

/// The one launch behind the forward pass and the input gradient (index formula in `convolution_cpu.cl`).
struct ConvolutionGather {
    let geometry: ConvolutionGeometry
    /// 1 forward; the stride in the input gradient, where only whole source positions count.
    let divisor: Int
    let padding: Int
    /// Of a CPU's register tile; nil for those that waste least.
    let pixels: Int?

    func encode(
        _ e: inout LaunchEncoder, x: Shape, packed: LaunchArgument, epilogue: ConvolutionEpilogue,
        multiplyAccumulates: Int
    ) throws {
        let y = e.outputs[0]
        precondition(x.channels <= KernelLibrary.zeroCount, "more channels than the shared zeros cover")
        let sizes: [LaunchArgument] = [
            .output(0), .int(x.height), .int(x.width), .int(x.channels),
            .int(x.storedChannels), .int(y.height), .int(y.width), .int(y.storedChannels),
            .int(geometry.kernelHeight), .int(geometry.kernelWidth), .int(divisor == 1 ? geometry.stride : 1),
            .int(geometry.dilation), .int(padding), .int(divisor), epilogue.flags,
        ]
        let arguments = [.input(0), packed, .zeros] + epilogue.operands + sizes
        switch e.library.family {
        case .cpu:
            let tile = RegisterTile(
                columns: (y.width + divisor - 1) / divisor, storedChannels: y.storedChannels,
                inputs: x.storedChannels, accumulators: e.library.accumulators, pixels: pixels)
            let tilesPerRow = tile.tiles * divisor
            let across = y.storedChannels / tile.width
            let weightBytes = 4 * geometry.kernelHeight * geometry.kernelWidth * x.channels * y.storedChannels
            let isOuter = weightBytes > e.library.cachedWeightBytes
            let size = WorkSize(
                global: isOuter
                    ? [y.height * tilesPerRow, y.batch, across] : [across, y.height * tilesPerRow, y.batch],
                local: [1, 1, 1])
            let window = KernelRow(geometry, x: x, accumulators: e.library.accumulators)
            let options =
                (isOuter ? ["-DWEIGHTS_OUTER=1"] : []) + tile.options + ranges(tile, x: x, y: y)
                + (divisor == 1 ? window?.options ?? [] : [])
            try e.launch(
                "convolution_cpu", "convolution_gather", options: options, arguments, size,
                multiplyAccumulates: multiplyAccumulates)
        case .gpu:
            let size = WorkSize(
                global: [(y.rows + 63) / 64 * 16, (y.storedChannels + 63) / 64 * 16], local: [16, 16])
            try e.launch(
                "convolution_gpu", "convolution_gather", arguments + [.int(y.rows)], size,
                multiplyAccumulates: multiplyAccumulates)
        }
    }
}

extension ConvolutionGather {
    /// The ranges of a tile's pixels that taps find inside the image, as compile options; none with a stride.
    private func ranges(_ tile: RegisterTile, x: Shape, y: Shape) -> [String] {
        guard divisor == 1, geometry.stride == 1 else { return [] }
        var ranges: [Range<Int>] = []
        for start in stride(from: 0, to: y.width, by: tile.pixels) {
            let count = min(tile.pixels, y.width - start)
            for tap in 0..<geometry.kernelWidth {
                let column = start + tap * geometry.dilation - padding
                let (from, to) = (max(0, -column), min(count, x.width - column))
                guard from < to, (from, to) != (0, tile.pixels), !ranges.contains(from..<to) else { continue }
                ranges.append(from..<to)
            }
        }
        // One that no tap finds stands for none: the kernel tells "all inside or ranges" from "strided" by there being any.
        let compiled = ranges.isEmpty ? [0..<0] : Array(ranges.prefix(Self.maximumVariants))
        return ["-DVARIANTS=\(compiled.count)"]
            + compiled.enumerated().flatMap { ["-DF\($0 + 1)=\($1.lowerBound)", "-DT\($0 + 1)=\($1.upperBound)"] }
    }

    /// As many as the kernel has branches for; further ranges read zeros.
    private static let maximumVariants = 6
}

/// A kernel row over pixels without channel padding: its taps and their channels lie side by side.
struct KernelRow {
    let taps, channels: Int

    /// Nil where they do not, or where there are too many for registers.
    init?(_ geometry: ConvolutionGeometry, x: Shape, accumulators: Int) {
        guard x.isCompact, geometry.dilation == 1, geometry.kernelWidth > 1,
            geometry.kernelWidth * x.channels <= accumulators
        else { return nil }
        (taps, channels) = (geometry.kernelWidth, x.channels)
    }

    var count: Int { taps * channels }
    var options: [String] { ["-DWS=\(taps)", "-DWC=\(channels)"] }
}

/// The CPU family's register tile: `pixels` of one row times `width` channels.
struct RegisterTile {
    let pixels: Int
    /// Channels per tile, 16 or 32.
    let width: Int
    /// Tiles that cover a row.
    let tiles: Int

    /// Picks the tile that wastes least: a tile costs its pixels plus about two pixels' worth of loading weights, and few
    /// pixels do not fill the pipeline.
    ///
    /// - Parameters:
    ///   - inputs: stored channels of what is read.
    ///   - accumulators: of the library.
    ///   - pixels: a choice made elsewhere.
    init(columns: Int, storedChannels: Int, inputs: Int, accumulators: Int, pixels: Int? = nil) {
        width = Self.width(channels: storedChannels)
        self.pixels =
            pixels
            ?? (accumulators < Self.wideAccumulators
                ? accumulators * Shape.lanes / width
                : Self.ranked(columns: columns, width: width, inputs: inputs)[0])
        tiles = (columns + self.pixels - 1) / self.pixels
    }

    /// Sums of 16 floats that fit registers of as many: 28 of 32, 30 where they share their operands.
    static let wideAccumulators = 28

    private static func ranked(columns: Int, width: Int, inputs: Int) -> [Int] {
        func cost(_ pixels: Int) -> Int {
            let (full, rest) = columns.quotientAndRemainder(dividingBy: pixels)
            return full * (pixels + 2) + (rest == 0 ? 0 : max(rest, 4) + 2)
        }
        // Pixels of 4 kB lie in the same lines of a first-level cache, which holds eight to twelve of those.
        let most = inputs % 1024 == 0 ? 10 : 28
        // Ties keep their order; 14 divides more widths than 15.
        return (width == 32 ? [14, 15, 10, 7, 4] : [28, 20, 14, 7, 4]).enumerated()
            .sorted {
                ($0.element > most ? 1 : 0, cost($0.element), $0.offset) < (
                    $1.element > most ? 1 : 0, cost($1.element), $1.offset
                )
            }.map(\.element)
    }

    /// Tiles worth measuring beside the one that wastes least: the next best, and the next smaller one for devices with
    /// fewer registers.
    static func alternatives(for problem: ConvolutionProblem) -> [Int] {
        let target = problem.target
        let divisor = problem.pass == .dataGradient ? problem.geometry.stride : 1
        let ranked = ranked(
            columns: (target.width + divisor - 1) / divisor, width: width(channels: target.storedChannels),
            inputs: problem.source.storedChannels)
        let smaller = ranked.filter { $0 < min(ranked[0], ranked[1]) }.max()
        return [ranked[1]] + (smaller.map { [$0] } ?? [])
    }

    var options: [String] { ["-DPT=\(pixels)", "-DKV=\(width / 16)"] }

    /// Two vectors of output channels where they divide evenly, else one.
    static func width(channels stored: Int) -> Int { stored % 32 == 0 ? 32 : 16 }
}
