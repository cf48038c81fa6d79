import AdaShareDeviceLayer

/// The launches of a weight gradient as the sum over pixels it is.
struct DirectWeightGradient {
    let geometry: ConvolutionGeometry
    let x, dy, weights: Shape
    let family: KernelFamily
    /// A direct sum, on matrix units or not.
    let algorithm: ConvolutionAlgorithm

    /// The most channels that a work-item of the CPU family has of either side: its sums and copies of pixels stay in a
    /// second-level cache.
    private static let mostChannels = 256
    /// The most pixels that are copied at a time: with 32 channels of dy, half of a small first-level cache.
    private static let mostPixels = 128
    /// Below, loading and storing sums takes too much of the time: rather fewer channels.
    private static let fewestPixels = 48

    private var taps: Int { geometry.kernelHeight * geometry.kernelWidth }
    /// Where kernel rows are taken as one tap, on CPUs all of them at once.
    private var row: KernelRow? { KernelRow(geometry, x: x) }

    /// Rows of dw for one tap, or for all where they are taken at once.
    private var depth: Int { row.map { geometry.kernelHeight * $0.count } ?? x.channels }

    /// Input and output channels of a CPU's work-item.
    private func channels(most: Int) -> (inputs: Int, outputs: Int) {
        let inputs = roundUp(depth, to: Shape.lanes)
        return (row == nil ? min(inputs, most) : inputs, min(weights.storedChannels, most))
    }

    /// Work-items along input channels, output channels, and taps.
    private func items(most: Int = mostChannels) -> [Int] {
        switch family {
        case .cpu:
            let (inputs, outputs) = channels(most: most)
            return [
                (depth + inputs - 1) / inputs, (weights.storedChannels + outputs - 1) / outputs, row == nil ? taps : 1,
            ]
        case .gpu:
            // Of the largest tile: the parts are the same for all of them, so that all give the same bits.
            let side = 128
            return [(gpuDepth + side - 1) / side, (weights.storedChannels + side - 1) / side, gpuTaps]
        }
    }

    /// Rows of the GPU family's products, one for each tap.
    private var gpuDepth: Int { row?.count ?? x.channels }
    private var gpuTaps: Int { row == nil ? taps : geometry.kernelHeight }

    /// Of the GPU family.
    func suitingTile(among tiles: [WorkGroupTile] = WorkGroupTile.all) -> WorkGroupTile {
        .suiting(rows: gpuDepth, columns: weights.storedChannels, products: gpuTaps * split.count, among: tiles)
    }

    /// Independent parts of the sum over pixels, fixed by the shape: 32 work-items of a CPU, two waves of a GPU's
    /// work-groups, if the pixels are enough for that.
    private var split: (span: Int, count: Int) {
        let items = self.items().reduce(1, *)
        guard family == .cpu else {
            // Two waves of a large device; each tap's own pixels are cut in that many parts, of at least 192.
            let wanted = (2 * WorkGroupTile.places + items - 1) / items
            return (dy.rows, max(1, min(wanted, dy.rows / 192)))
        }
        let units = dy.batch * dy.height
        let parts = max(1, min(units, 32 / items))
        let span = (units + parts - 1) / parts
        return (span, (units + span - 1) / span)
    }

    /// One set of sums for each part.
    var workspaceByteCount: Int { split.count == 1 ? 0 : 4 * split.count * weights.storedCount }

    func encode(_ e: inout LaunchEncoder, multiplyAccumulates: Int) throws {
        let split = split
        let target: LaunchArgument = split.count == 1 ? .output(0) : .workspace
        switch family {
        case .cpu: try encodeCPU(&e, target, split, multiplyAccumulates)
        case .gpu: try encodeGPU(&e, target, splits: split.count, multiplyAccumulates)
        }
        guard split.count > 1 else { return }
        let vectors = e.vectors(weights)
        e.launch(
            "reduction", "chunk_sum",
            [.workspace, .output(0), .int(vectors), .int(split.count)], e.library.range(vectors))
    }

    private func encodeCPU(
        _ e: inout LaunchEncoder, _ target: LaunchArgument, _ split: (span: Int, count: Int),
        _ multiplyAccumulates: Int
    ) throws {
        // The last tile of input channels may reach beyond the last pixel's.
        let slack = 4 * Shape.lanes
        /// From pixel to pixel of a copy, as `PITCH` in the kernel.
        func pitchBytes(_ channels: Int) -> Int { 4 * (channels / 16 | 1) * 16 }
        func fitting(_ most: Int) -> Int {
            let (inputs, outputs) = channels(most: most)
            return (e.library.localBytes - slack) / (pitchBytes(inputs) + pitchBytes(outputs))
        }
        let most = [Self.mostChannels, 128, 64].first { fitting($0) >= Self.fewestPixels } ?? 32
        let pixels = max(1, min(Self.mostPixels, fitting(most)))
        let ((inputs, outputs), items) = (channels(most: most), items(most: most))
        let arguments: [LaunchArgument] = [
            .input(0), .input(1), target, .local(pixels * pitchBytes(inputs) + slack),
            .local(pixels * pitchBytes(outputs)), .int(x.batch), .int(x.height), .int(x.width), .int(x.channels),
            .int(x.storedChannels), .int(dy.height),
            .int(dy.width),
            .int(dy.storedChannels), .int(geometry.kernelHeight), .int(geometry.kernelWidth), .int(geometry.stride),
            .int(geometry.dilation), .int(geometry.padding), .int(split.span), .int(inputs), .int(outputs),
            .int(pixels),
        ]
        let isWide = e.library.hasWideRegisters
        let vectors = isWide ? RegisterTile.width(channels: weights.storedChannels) / Shape.lanes : 1
        let tile = isWide ? 8 : min(e.library.accumulators, 6)
        let options = (row?.options ?? []) + ["-DCT=\(tile)", "-DKV=\(vectors)"]
        let size = WorkSize(global: [items[0], items[1], items[2] * split.count], local: [1, 1, 1])
        e.launch(
            "convolution_cpu_weights", "convolution_weights", options: options, arguments, size,
            multiplyAccumulates: multiplyAccumulates)
    }

    private func encodeGPU(
        _ e: inout LaunchEncoder, _ target: LaunchArgument, splits: Int, _ multiplyAccumulates: Int
    ) throws {
        let tile = WorkGroupTile(algorithm) ?? suitingTile()
        try e.launch(
            "convolution_gpu", "convolution_weights",
            options: tile.options(e.library) + KernelRow.gpuOptions(row, x: x, y: dy)
                + ConvolutionGather.known(divisor: 1, ConvolutionEpilogue(), algorithm),
            [
                .input(0), .input(1), target, .int(x.batch), .int(x.height), .int(x.width), .int(gpuDepth),
                .int(x.storedChannels), .int(dy.height), .int(dy.width), .int(dy.storedChannels),
                .int(geometry.kernelHeight), .int(row == nil ? geometry.kernelWidth : 1), .int(geometry.stride),
                .int(geometry.dilation), .int(geometry.padding), .int(splits),
            ], tile.groups(alongColumns: weights.storedChannels, rows: gpuDepth, products: gpuTaps * splits),
            multiplyAccumulates: multiplyAccumulates)
    }
}

extension DirectWeightGradient {
    /// Of a problem that is a weight gradient.
    init(_ problem: ConvolutionProblem, family: KernelFamily) {
        let g = problem.geometry
        self.init(
            geometry: g, x: problem.input, dy: problem.output,
            weights: Shape([g.kernelHeight, g.kernelWidth, problem.input.channels, problem.outputs]), family: family,
            algorithm: .direct())
    }
}
