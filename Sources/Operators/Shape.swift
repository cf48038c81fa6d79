/// Extents of a tensor, outermost first, and what its elements are stored as; the last axis is the channel axis.
///
/// Storage is row-major. Unless `isCompact`, the channel axis is stored padded to a multiple of
/// `Shape.lanes`, pads hold zeros, so that kernels move whole vectors and need no guards.
public struct Shape: Hashable, Sendable, CustomStringConvertible {
    /// Channel padding in elements: the widest vector of any kernel family.
    public static let lanes = 16
    /// A single number.
    public static let scalar = Shape([1])

    /// Extents, outermost first.
    public let dimensions: [Int]
    /// Stored without channel padding: images and labels as they come from the host.
    public let isCompact: Bool
    /// What is stored of each element.
    public let element: ElementType

    /// - Precondition: at least one dimension, all positive.
    public init(_ dimensions: [Int], compact: Bool = false, element: ElementType = .float32) {
        precondition(!dimensions.isEmpty && dimensions.allSatisfy { $0 > 0 }, "invalid dimensions \(dimensions)")
        self.dimensions = dimensions
        self.isCompact = compact
        self.element = element
    }

    /// Logical extent of the last axis.
    public var channels: Int { dimensions[dimensions.count - 1] }
    /// Elements stored per row.
    public var storedChannels: Int { isCompact ? channels : roundUp(channels, to: Shape.lanes) }
    /// Product of all axes but the last.
    public var rows: Int { dimensions.dropLast().reduce(1, *) }
    /// Elements stored, pads included.
    public var storedCount: Int { rows * storedChannels }
    /// Logical elements.
    public var count: Int { rows * channels }
    /// Bytes stored, pads included.
    public var byteCount: Int { storedCount * element.byteCount }

    /// The same extents, stored otherwise.
    public func stored(as element: ElementType) -> Shape {
        Shape(dimensions, compact: isCompact, element: element)
    }

    /// Batch size, height and width of an NHWC tensor.
    var batch: Int { dimensions[0] }
    var height: Int { dimensions[1] }
    var width: Int { dimensions[2] }

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
    /// Which value of its recorder it is.
    public let id: Int
    /// Extents and storage.
    public let shape: Shape

    /// Creates a value; recorders do.
    public init(id: Int, shape: Shape) {
        self.id = id
        self.shape = shape
    }
}
