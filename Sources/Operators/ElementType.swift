/// What a tensor's elements are stored as.
public enum ElementType: Sendable, Hashable {
    /// 4 bytes: float32, or the integers of labels and counters.
    case float32
    /// 2 bytes: the upper half of a float32, 7 bits of mantissa and the same range. Kernels compute in float32.
    case bfloat16

    /// Bytes of an element.
    public var byteCount: Int { self == .float32 ? 4 : 2 }
}

/// The upper half of a float32.
public struct BFloat16: Hashable, Sendable, BitwiseCopyable {
    /// The upper 16 bits of the float32.
    public let bitPattern: UInt16

    /// Creates the number of these bits.
    public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

    /// The nearest one, ties to even; what is no number stays so. As `narrow` in `prelude.cl`.
    public init(_ value: Float) {
        let bits = value.bitPattern
        let rounded = value.isNaN ? bits >> 16 | 0x40 : (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
        bitPattern = UInt16(truncatingIfNeeded: rounded)
    }

    /// The same number, exactly.
    public var float: Float { Float(bitPattern: UInt32(bitPattern) << 16) }
}
