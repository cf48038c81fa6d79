/// Extents of a tensor, outermost first, and what its elements are stored as; the last axis is the channel axis.
///
/// Storage is row-major. Unless `isCompact`, the channel axis is stored padded to a multiple of
/// `Shape.lanes`, pads hold zeros, so that kernels move whole vectors and need no guards.
public struct Shape: Hashable, Sendable, CustomStringConvertible {
    /// Channel padding in elements: the widest vector of any kernel family.
    public static let lanes = 16
    /// A single number.
    public static let scalar = Shape([1])

    /// Extents, two in each: the last axis in the lower half of the first, the axis before it in the upper half, and so
    /// on outwards; 1 for axes that are not there. Graphs copy and compare shapes by the ten thousand.
    private let last, first: UInt64
    private let axes: UInt8
    /// Stored without channel padding: images and labels as they come from the host.
    public let isCompact: Bool
    /// What is stored of each element.
    public let element: ElementType

    /// Most axes of a tensor.
    public static let maximumRank = 4

    /// - Precondition: one to four dimensions, all positive and below 2³².
    public init(_ dimensions: [Int], compact: Bool = false, element: ElementType = .float32) {
        precondition(dimensions.count <= Self.maximumRank, "\(dimensions): more than \(Self.maximumRank) axes")
        precondition(
            !dimensions.isEmpty && dimensions.allSatisfy { $0 > 0 && $0 <= Self.lower },
            "invalid dimensions \(dimensions)")
        let count = dimensions.count
        func extent(_ fromLast: Int) -> UInt64 { fromLast < count ? UInt64(dimensions[count - 1 - fromLast]) : 1 }
        last = extent(0) | extent(1) << 32
        first = extent(2) | extent(3) << 32
        axes = UInt8(count)
        isCompact = compact
        self.element = element
    }

    private init(_ other: Shape, compact: Bool, element: ElementType) {
        (last, first, axes) = (other.last, other.first, other.axes)
        isCompact = compact
        self.element = element
    }

    /// Number of axes.
    public var rank: Int { Int(axes) }
    /// Logical extent of the last axis.
    public var channels: Int { Int(last & Self.lower) }
    private static let lower = UInt64(UInt32.max)

    /// Extent of an axis, from 0 for the outermost.
    ///
    /// - Precondition: there is such an axis.
    public subscript(axis: Int) -> Int {
        precondition(axis >= 0 && axis < rank, "axis \(axis) of \(self)")
        let pair = rank - 1 - axis < 2 ? last : first
        return Int((rank - 1 - axis) & 1 == 0 ? pair & Self.lower : pair >> 32)
    }

    /// Extents, outermost first.
    public var dimensions: [Int] { (0..<rank).map { self[$0] } }
    /// Elements stored per row.
    public var storedChannels: Int { isCompact ? channels : roundUp(channels, to: Shape.lanes) }
    /// Product of all axes but the last.
    public var rows: Int { Int(last >> 32) * Int(first & Self.lower) * Int(first >> 32) }
    /// Elements stored, pads included.
    public var storedCount: Int { rows * storedChannels }
    /// Logical elements.
    public var count: Int { rows * channels }
    /// Bytes stored, pads included.
    public var byteCount: Int { storedCount * element.byteCount }

    /// The same extents, stored otherwise.
    public func stored(as element: ElementType) -> Shape { Shape(self, compact: isCompact, element: element) }
    /// The same extents, stored with channel padding.
    var withPads: Shape { Shape(self, compact: false, element: element) }

    /// Batch size, height and width of an NHWC tensor.
    var batch: Int { self[0] }
    var height: Int { self[1] }
    var width: Int { self[2] }

    public var description: String {
        "[" + dimensions.map(String.init).joined(separator: ", ") + "]" + (element == .bfloat16 ? " bfloat16" : "")
    }

    /// Expands logical values to stored order, filling pads with zeros.
    ///
    /// - Precondition: `values.count == count`.
    public func padded<T: Numeric>(_ values: [T]) -> [T] {
        precondition(values.count == count, "\(values.count) values for shape \(self)")
        guard storedChannels != channels else { return values }
        var result = [T](repeating: 0, count: storedCount)
        for row in 0..<rows {
            for c in 0..<channels { result[row * storedChannels + c] = values[row * channels + c] }
        }
        return result
    }

    /// Drops the pads of stored values.
    ///
    /// - Precondition: `stored.count >= storedCount`.
    public func unpadded<T>(_ stored: [T]) -> [T] {
        guard storedChannels != channels else { return Array(stored.prefix(count)) }
        return (0..<rows).flatMap { stored[($0 * storedChannels)..<($0 * storedChannels + channels)] }
    }
}

/// The smallest multiple of `step` that is at least `value`.
public func roundUp(_ value: Int, to step: Int) -> Int { (value + step - 1) / step * step }

/// One immutable tensor of a graph.
public struct Value: Hashable, Sendable {
    /// Extents and storage.
    public let shape: Shape
    private let number: Int32

    /// Creates a value; recorders do.
    public init(id: Int, shape: Shape) {
        number = Int32(id)
        self.shape = shape
    }

    /// Which value of its recorder it is.
    public var id: Int { Int(number) }
}
