import AdaShareDeviceLayer

/// Gradient of y = max(x, 0), which other kernels compute on their way: dx = dy where y > 0; inputs y, dy.
///
/// - Source: kernel `relu_backward` in `elementwise.cl`.
public struct ReLUGradient: Operator {
    /// Creates the operator, which has no attributes.
    public init() {}
    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0].element == inputs[1].element, "y \(inputs[0]) and dy \(inputs[1]) are stored otherwise")
        return [inputs[0]]
    }
    public func inPlaceInputs(output: Int) -> [Int] { [1, 0] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.wideVectors(e.inputs[0])
        let arguments: [LaunchArgument] = [.input(0), .input(1), .output(0), .int(n)]
        e.launch("elementwise", "relu_backward", arguments, e.library.range(n))
    }
}

/// Sum of two or more tensors of one shape, added in order.
public struct Sum: DifferentiableOperator {
    /// Creates the operator, which has no attributes.
    public init() {}
    /// With the convolutions that it may be fused into.
    public var recomputation: Recomputation { .whenAsked }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs.count >= 2 && inputs.allSatisfy { $0 == inputs[0] }, "cannot add \(inputs)")
        return [inputs[0]]
    }

    /// Later inputs are read after the output is first written, so only the first few may be overwritten.
    public func inPlaceInputs(output: Int) -> [Int] { [0, 1] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.wideVectors(e.outputs[0])
        let size = e.library.range(n)
        var position = 0
        while position < e.inputs.count {
            let carried = position == 0 ? 0 : 1
            let taken = min(e.inputs.count - position, 4 - carried)
            let terms = (position..<(position + taken)).map(LaunchArgument.input)
            let operands = (carried == 1 ? [.output(0)] : []) + terms
            e.launch("elementwise", "sum\(operands.count)", operands + [.output(0), .int(n)], size)
            position += taken
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        call.wanted.map { $0 ? call.gradients[0] : nil }
    }
}

/// The gradients of two parts of a batch together, x + y: as soon as both are there, since two take the memory of one
/// from then on.
public struct GradientSum: Operator {
    /// Creates the operator, which has no attributes.
    public init() {}
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { Sum().outputShapes(inputs) }
    public func inPlaceInputs(output: Int) -> [Int] { Sum().inPlaceInputs(output: output) }
    public var isEager: Bool { true }
    public func encode(_ e: inout LaunchEncoder) throws { try Sum().encode(&e) }
}

/// y = factor · x.
public struct Scale: DifferentiableOperator {
    /// What every element is multiplied by.
    public let factor: Double
    /// Creates the operator.
    public init(_ factor: Double) { self.factor = factor }
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }
    public func inPlaceInputs(output: Int) -> [Int] { [0] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.wideVectors(e.inputs[0])
        e.launch("elementwise", "scale", [.input(0), .output(0), .float(factor), .int(n)], e.library.range(n))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        [call.gradients[0].map { recorder.record(Scale(factor), [$0])[0] }]
    }
}

/// A constant tensor: `value` on every logical element.
public struct Fill: Operator {
    /// Of the tensor.
    public let shape: Shape
    /// Of every element.
    public let value: Double

    /// Creates the operator.
    ///
    /// - Precondition: the shape is of float32 elements.
    public init(_ shape: Shape, value: Double) {
        precondition(shape.element == .float32, "a constant is float32")
        self.shape = shape
        self.value = value
    }

    /// What is no number whether it is read as float32 or as bfloat16, over so many bytes.
    public static func poison(byteCount: Int) -> Fill {
        Fill(
            Shape([byteCount / (4 * Shape.lanes), Shape.lanes]), value: Double(Float(bitPattern: 0x7fc0_7fc0)))
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [shape] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let arguments: [LaunchArgument] = [
            .output(0), .float(value), .int(shape.channels), .int(shape.storedChannels), .int(shape.storedCount),
        ]
        e.launch("elementwise", "fill", arguments, e.library.range(shape.storedCount))
    }
}
