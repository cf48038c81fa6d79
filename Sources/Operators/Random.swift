import AdaShareDeviceLayer

/// ReLU and dropout: y = max(x, 0) / (1 − p), zeroed with probability p; inputs x and the step buffer.
///
/// The mask depends on seed, phase, step and `name` alone. What passed is what is positive in y, so the gradient needs
/// neither x nor the mask.
///
/// - Source: Srivastava et al. 2014; kernels `dropout` and `dropout_backward` in `random.cl`.
public struct ReLUDropout: DifferentiableOperator {
    /// p in [0, 1).
    public let probability: Double
    /// Stable name of the operation: task, branch, layer.
    public let name: String

    /// Creates the operator.
    ///
    /// - Precondition: the probability is in [0, 1).
    public init(probability: Double, name: String) {
        precondition((0..<1).contains(probability), "dropout probability \(probability) outside [0, 1)")
        self.probability = probability
        self.name = name
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }
    public func inPlaceInputs(output: Int) -> [Int] { [0] }
    public var recomputation: Recomputation { .whenAsked }

    public func encode(_ e: inout LaunchEncoder) throws {
        // Groups of 64 elements may run past the tensor; memory of values is padded far enough
        // (`MemoryPlan.alignment`).
        let groups = roundUp(e.inputs[0].storedCount, to: 64) / (4 * e.library.family.vectorWidth)
        let (low, high) = nameWords(name)
        e.launch(
            "random", "dropout",
            [.input(0), .output(0), .input(1), .uint(low), .uint(high), .float(probability), .int(groups)],
            e.library.range(groups))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        [
            call.gradients[0].map {
                recorder.record(ReLUDropoutGradient(probability: probability), [call.outputs[0], $0])[0]
            }, nil,
        ]
    }
}

/// dx = dy / (1 − p) where y > 0, else 0; inputs y of `ReLUDropout`, dy.
public struct ReLUDropoutGradient: Operator {
    /// p in [0, 1).
    public let probability: Double

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs[0] == inputs[1], "y \(inputs[0]) and dy \(inputs[1]) differ")
        return [inputs[0]]
    }
    public func inPlaceInputs(output: Int) -> [Int] { [1, 0] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let n = e.vectors(e.inputs[0])
        e.launch(
            "random", "dropout_backward", [.input(0), .input(1), .output(0), .float(probability), .int(n)],
            e.library.range(n))
    }
}

/// Uniform noise in (0, 1), [rows, columns]; input: the step buffer.
public struct UniformNoise: Operator {
    /// Of the noise.
    public let rows, columns: Int
    /// Stable name of the operation: with seed, phase and step it decides about the noise.
    public let name: String

    /// Creates the operator.
    public init(rows: Int, columns: Int, name: String) {
        self.rows = rows
        self.columns = columns
        self.name = name
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [Shape([rows, columns])] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (low, high) = nameWords(name)
        e.launch(
            "random", "uniform",
            [.output(0), .input(0), .uint(low), .uint(high), .int(columns), .int(e.outputs[0].storedChannels)],
            e.library.grid(rows))
    }
}

private func nameWords(_ name: String) -> (UInt32, UInt32) {
    let hash = Philox.nameHash(name)
    return (UInt32(truncatingIfNeeded: hash), UInt32(truncatingIfNeeded: hash >> 32))
}
