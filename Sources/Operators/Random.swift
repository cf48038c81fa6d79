import AdaShareDeviceLayer

/// ReLU and dropout: y = max(x, 0) / (1 − p), zeroed with probability p; inputs x and the step buffer.
///
/// The mask depends on seed, phase, step, `name` and an element's place in the batch alone. What passed is what is
/// positive in y, so the gradient needs neither x nor the mask.
///
/// - Source: Srivastava et al. 2014; kernels `dropout` and `dropout_backward` in `random.cl`.
public struct ReLUDropout: DifferentiableOperator {
    /// p in [0, 1).
    public let probability: Double
    /// Stable name of the operation: task, branch, layer.
    public let name: String
    /// Stored elements of the batch's images before those of x, where x is a part of a batch.
    public let before: Int

    /// Creates the operator.
    ///
    /// - Parameters:
    ///   - probability: p.
    ///   - name: stable name of the operation.
    ///   - before: stored elements of the batch's images before those of x.
    /// - Precondition: the probability is in [0, 1), and whole vectors come before.
    public init(probability: Double, name: String, before: Int = 0) {
        precondition((0..<1).contains(probability), "dropout probability \(probability) outside [0, 1)")
        precondition(before >= 0 && before % 16 == 0, "\(before) elements before a tensor")
        self.probability = probability
        self.name = name
        self.before = before
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }
    public func inPlaceInputs(output: Int) -> [Int] { [0] }
    public var recomputation: Recomputation { .whenAsked }

    public func encode(_ e: inout LaunchEncoder) throws {
        // Groups of 64 elements may run past the tensor; memory of values is padded far enough
        // (`MemoryPlan.alignment`).
        let groups = roundUp(before % 64 + e.inputs[0].storedCount, to: 64) / (4 * e.library.family.vectorWidth)
        let (low, high) = nameWords(name)
        e.launch(
            "random", "dropout",
            [
                .input(0), .output(0), .input(1), .uint(low), .uint(high), .float(probability), .int(groups),
                .uint(UInt32(before / 64)), .int(before % 64), .int(e.inputs[0].storedCount),
            ],
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
    /// What the first row is of a taller array.
    public let firstRow: Int

    /// Creates the operator.
    ///
    /// - Parameters:
    ///   - rows: of the noise.
    ///   - columns: of the noise.
    ///   - name: stable name of the operation.
    ///   - firstRow: what the first row is of a taller array, whose rows these are.
    public init(rows: Int, columns: Int, name: String, firstRow: Int = 0) {
        self.rows = rows
        self.columns = columns
        self.name = name
        self.firstRow = firstRow
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [Shape([rows, columns])] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let (low, high) = nameWords(name)
        e.launch(
            "random", "uniform",
            [
                .output(0), .input(0), .uint(low), .uint(high), .int(columns), .int(e.outputs[0].storedChannels),
                .int(firstRow),
            ],
            e.library.grid(rows))
    }
}

private func nameWords(_ name: String) -> (UInt32, UInt32) {
    let hash = Philox.nameHash(name)
    return (UInt32(truncatingIfNeeded: hash), UInt32(truncatingIfNeeded: hash >> 32))
}
