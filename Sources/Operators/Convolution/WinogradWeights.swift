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
    }

    /// The same for all covers by tiles of these sizes, whatever the image and the batch.
    let parts: [Part]

    init(_ cover: [WinogradTiles]) {
        parts = cover.map { Part(rows: $0.rows.places, columns: $0.columns.places) }
    }

    /// Floats from one place of a tile to the next: a vector more than the data, so that places do not share cache sets.
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
                "convolution_winograd", "winograd_weights", options: ["-DER=\(part.rows)", "-DEC=\(part.columns)"],
                [
                    .input(0), .output(0), .int(offset), .int(weights[2]), .int(weights[3]), .int(0),
                    .int(Self.stride(inputs: weights[2], outputs: weights[3])), .flag(false),
                ], WinogradTiles.weightGrid(weights[3], by: weights[2], e.library))
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
