import AdaShareDeviceLayer

/// Which of Winograd's transforms of weights are kept from step to step, where weights stay as they are.
public enum KeptTransforms: Hashable, Sendable {
    /// None: every pass transforms its weights, a slice at a time.
    case none
    /// Those that would be a large part of their convolution's time, as with small images or few of them; the others
    /// are two to seven times as large as the weights and save little.
    case whereWorthIt
    /// All.
    case all
}

/// The weights of a 3×3 convolution as Winograd's products read them, for every part of a cover; input w [3, 3, C, K].
///
/// - Source: kernel `winograd_weights` in `convolution_winograd.cl`.
struct WinogradWeights: Operator {
    /// Products per tile of a part, along both axes.
    struct Part: Hashable {
        let rows, columns: Int

        var places: Int { rows * columns }

        /// Of the kernels that transform such tiles.
        func options(_ family: KernelFamily) -> [String] {
            ["-DER=\(rows)", "-DEC=\(columns)"]
                + (family == .gpu && vectorWidth != family.vectorWidth ? ["-DVECTOR=\(vectorWidth)"] : [])
        }

        /// Floats of a GPU's vectors: an item has a vector of each place, and no more than 255 registers.
        private var vectorWidth: Int {
            places < 30 ? KernelFamily.gpu.vectorWidth : KernelFamily.gpu.vectorWidth / 2
        }

        /// A GPU's work-items, a vector of channels each: eight neighbours are 128 bytes of memory, or half as many.
        func groups(_ channels: Int, _ others: Int) -> WorkSize {
            WorkSize(global: [roundUp(channels / vectorWidth, to: 8), roundUp(others, to: 8)], local: [8, 8])
        }

        /// Work-items of a transform of weights.
        func weightGrid(_ channels: Int, by others: Int, _ library: KernelLibrary) -> WorkSize {
            switch library.family {
            case .cpu: library.grid(channels / library.family.vectorWidth, others / library.family.vectorWidth)
            case .gpu: groups(channels, others)
            }
        }
    }

    /// The same for all covers by tiles of these sizes, whatever the image and the batch.
    let parts: [Part]

    init(_ cover: [WinogradTiles]) {
        parts = cover.map(\.part)
    }

    /// Floats from one place of a tile to the next: a vector more than the data, so that places do not share cache
    /// sets.
    static func stride(inputs: Int, outputs: Int) -> Int { inputs * outputs + Shape.lanes }

    /// Where each part begins, in floats, and behind them the end of all.
    static func offsets(_ places: [Int], inputs: Int, outputs: Int) -> [Int] {
        places.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1 * stride(inputs: inputs, outputs: outputs)) }
    }

    private func offsets(_ weights: Shape) -> [Int] {
        Self.offsets(parts.map(\.places), inputs: weights[2], outputs: weights[3])
    }

    func outputShapes(_ inputs: [Shape]) -> [Shape] {
        [Shape([(offsets(inputs[0]).last ?? 0) / Shape.lanes, Shape.lanes])]
    }

    func encode(_ e: inout LaunchEncoder) throws {
        let weights = e.inputs[0]
        for (part, offset) in zip(parts, offsets(weights)) {
            e.launch(
                "convolution_winograd", "winograd_weights", options: part.options(e.library.family),
                [
                    .input(0), .output(0), .int(offset), .int(weights[2]), .int(weights[3]), .int(0),
                    .int(Self.stride(inputs: weights[2], outputs: weights[3])), .flag(false),
                ], part.weightGrid(weights[3], by: weights[2], e.library))
        }
    }
}

extension WinogradWeights {
    /// What transforming a weight takes, in products.
    static let cost = 10
    /// One part in so many of a convolution's time is worth the memory.
    private static let worth = 10
    /// Bytes of one convolution's transformed weights at most: devices allocate less than all of their memory at once.
    private static let mostBytes = 1 << 28

    /// Whether transformed weights are kept for a convolution with that cover.
    static func areKept(_ kept: KeptTransforms, for cover: [WinogradTiles], weights: Shape) -> Bool {
        let transforms = cover.reduce(0) { $0 + $1.places * cost }
        let products = cover.reduce(0) { $0 + $1.places * $1.count }
        let bytes = WinogradWeights(cover).outputShapes([weights])[0].byteCount
        return switch kept {
        case .none: false
        case .whereWorthIt: worth * transforms >= products + transforms && bytes <= mostBytes
        case .all: true
        }
    }
}
