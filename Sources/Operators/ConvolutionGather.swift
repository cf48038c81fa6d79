import DeviceLayer

/// The one launch behind the forward pass and the input gradient (index formula in `convolution_cpu.cl`).
struct ConvolutionGather {
    let geometry: ConvolutionGeometry
    /// 1 forward; the stride in the input gradient, where only whole source positions count.
    let divisor: Int
    let padding: Int

    func encode(
        _ e: inout LaunchEncoder, x: Shape, bias: LaunchArgument?, packed: LaunchArgument, multiplyAccumulates: Int
    ) throws {
        let y = e.outputs[0]
        precondition(x.channels <= KernelLibrary.zeroCount, "more channels than the shared zeros cover")
        let arguments: [LaunchArgument] = [
            .input(0), packed, bias ?? .zeros, .zeros,
            .output(0), .int(x.height), .int(x.width), .int(x.channels),
            .int(x.storedChannels), .int(y.height), .int(y.width), .int(y.storedChannels),
            .int(geometry.kernelHeight), .int(geometry.kernelWidth), .int(divisor == 1 ? geometry.stride : 1),
            .int(geometry.dilation), .int(padding), .int(divisor), .flag(bias != nil),
        ]
        switch e.library.family {
        case .cpu:
            let tile = RegisterTile(columns: (y.width + divisor - 1) / divisor, storedChannels: y.storedChannels)
            let tilesPerRow = tile.tiles * divisor
            let size = WorkSize(
                global: [y.storedChannels / tile.width, y.height * tilesPerRow, y.batch], local: [1, 1, 1])
            let options = tile.options + ranges(tile, x: x, y: y)
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

/// The CPU family's register tile: `pixels` of one row times `width` channels.
struct RegisterTile {
    let pixels: Int
    /// Channels per tile, 16 or 32.
    let width: Int
    /// Tiles that cover a row.
    let tiles: Int

    /// Picks the tile that wastes least: a tile costs its pixels plus about two pixels' worth of loading weights, and few
    /// pixels do not fill the pipeline.
    init(columns: Int, storedChannels: Int) {
        width = Self.width(channels: storedChannels)
        let candidates = width == 32 ? [15, 14, 10, 7, 4] : [28, 20, 14, 7, 4]
        func cost(_ pixels: Int) -> Int {
            let (full, rest) = columns.quotientAndRemainder(dividingBy: pixels)
            return full * (pixels + 2) + (rest == 0 ? 0 : max(rest, 4) + 2)
        }
        let best = candidates.min { cost($0) < cost($1) } ?? 14
        pixels = best
        tiles = (columns + best - 1) / best
    }

    var options: [String] { ["-DPT=\(pixels)", "-DKV=\(width / 16)"] }

    /// Two vectors of output channels where they divide evenly, else one.
    static func width(channels stored: Int) -> Int { stored % 32 == 0 ? 32 : 16 }

    /// Input channels per tile of the weight gradient.
    static func weightChannels(_ channels: Int) -> Int { min(8, channels) }
}
