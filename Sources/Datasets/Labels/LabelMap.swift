/// One label of one sample, as its reader found it.
public struct LabelMap: Sendable, Equatable {
    /// The values as they are kept.
    public enum Values: Sendable, Equatable {
        /// Classes of up to 255, or colours.
        case bytes([UInt8])
        /// Classes.
        case integers([Int32])
        /// Numbers.
        case numbers([Float])
    }

    /// Shape [height, width, channels] row-major, or [channels] for a label of the whole image.
    public let values: Values
    /// Values of a pixel or image.
    public let channels: Int
    /// The value that says that a pixel has no label, where that is another one than the format's.
    public let absent: Double?

    /// Creates a label.
    ///
    /// - Parameters:
    ///   - values: [height, width, channels] row-major, or [channels] for a label of the whole image.
    ///   - channels: values of a pixel or image.
    ///   - absent: the value that says that a pixel has no label; nil for the format's.
    public init(_ values: Values, channels: Int = 1, absent: Double? = nil) {
        self.values = values
        self.channels = channels
        self.absent = absent
    }

    /// Number of values.
    public var count: Int {
        switch values {
        case .bytes(let values): values.count
        case .integers(let values): values.count
        case .numbers(let values): values.count
        }
    }

    /// Host memory the values take, bytes.
    var byteCount: Int {
        if case .bytes(let values) = values { values.count } else { 4 * count }
    }
}
