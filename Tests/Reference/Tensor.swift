/// A dense row-major array of float64 values; activations are [N, H, W, C].
public struct Tensor: Equatable, Sendable {
    /// Extent of every axis, slowest first.
    public var shape: [Int]
    /// All elements, the last axis contiguous.
    public var values: [Double]

    /// Wraps existing values.
    ///
    /// - Precondition: as many values as the shape has elements.
    public init(shape: [Int], values: [Double]) {
        let count = shape.reduce(1, *)
        precondition(values.count == count, "shape \(shape) has \(count) elements, found \(values.count) values")
        self.shape = shape
        self.values = values
    }

    /// Widens float32 values, as read back from a device.
    public init(shape: [Int], floats: [Float]) {
        self.init(shape: shape, values: floats.map(Double.init))
    }

    /// A tensor whose elements are all `value`.
    public static func filled(shape: [Int], with value: Double) -> Tensor {
        Tensor(shape: shape, values: Array(repeating: value, count: shape.reduce(1, *)))
    }

    /// A tensor of zeros.
    public static func zeros(shape: [Int]) -> Tensor {
        filled(shape: shape, with: 0)
    }

    /// Uniform values in [-scale, scale), the same for the same seed.
    ///
    /// Every value is exactly a float32, so a device given `floats` sees the very same input.
    public static func random(shape: [Int], seed: UInt64, scale: Double = 1) -> Tensor {
        var generator = SplitMix64(state: seed)
        let values = (0..<shape.reduce(1, *)).map { _ in
            let unit = Double(generator.next() >> 40) / Double(1 << 23) - 1
            return Double(Float(unit * scale))
        }
        return Tensor(shape: shape, values: values)
    }

    /// Uniform values in (0, 1) of the form (k + ½)·2⁻²³, the same for the same seed.
    public static func randomUniforms(shape: [Int], seed: UInt64) -> Tensor {
        var generator = SplitMix64(state: seed)
        let values = (0..<shape.reduce(1, *)).map { _ in
            Reference.uniform(bits: UInt32(truncatingIfNeeded: generator.next() >> 32))
        }
        return Tensor(shape: shape, values: values)
    }

    /// Number of elements.
    public var count: Int { values.count }

    /// The values rounded to float32, as given to a device.
    public var floats: [Float] { values.map { Float($0) } }

    /// Largest absolute value; zero for an empty tensor.
    public var maximumMagnitude: Double { values.reduce(0) { max($0, abs($1)) } }

    /// The flat position of an element.
    ///
    /// - Precondition: one index per axis, each inside it.
    public func offset(_ indices: [Int]) -> Int {
        precondition(indices.count == shape.count, "shape \(shape) needs \(shape.count) indices, found \(indices)")
        var position = 0
        for (index, extent) in Swift.zip(indices, shape) {
            precondition(index >= 0 && index < extent, "index \(indices) lies outside shape \(shape)")
            position = position * extent + index
        }
        return position
    }

    /// The element at the given indices.
    public subscript(_ indices: Int...) -> Double {
        get { values[offset(indices)] }
        set { values[offset(indices)] = newValue }
    }

    /// The same values under another shape of equal element count.
    public func reshaped(_ newShape: [Int]) -> Tensor {
        Tensor(shape: newShape, values: values)
    }

    /// Applies a function to every element.
    public func map(_ transform: (Double) -> Double) -> Tensor {
        Tensor(shape: shape, values: values.map(transform))
    }

    /// Combines two tensors of equal shape element by element.
    public func zip(_ other: Tensor, _ combine: (Double, Double) -> Double) -> Tensor {
        precondition(shape == other.shape, "shapes \(shape) and \(other.shape) differ")
        return Tensor(shape: shape, values: Swift.zip(values, other.values).map { combine($0, $1) })
    }

    /// Sum of products of two tensors of equal shape.
    public func dot(_ other: Tensor) -> Double {
        zip(other, *).values.reduce(0, +)
    }
}

/// The same type under a name that stays unambiguous beside another module's `Tensor`.
public typealias ReferenceTensor = Tensor

/// A small deterministic generator for test inputs.
///
/// - Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
