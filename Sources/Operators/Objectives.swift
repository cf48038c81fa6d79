import AdaShareDeviceLayer

/// Σ scaleᵢ · w[taskᵢ] · lossᵢ of scalars, added in order; inputs weights w [K] (compact), which the host sets with
/// each step and nothing differentiates, then the losses.
///
/// - Source: kernels `objective_weighted` and `objective_weighted_back` in `objective.cl`.
public struct TaskWeightedSum: DifferentiableOperator {
    /// Places of the losses in w.
    public let tasks: [Int]
    /// Constant factors of the losses.
    public let scales: [Double]

    /// - Precondition: as many scales as tasks.
    public init(tasks: [Int], scales: [Double]) {
        precondition(tasks.count == scales.count && !tasks.isEmpty, "\(tasks.count) tasks, \(scales.count) scales")
        (self.tasks, self.scales) = (tasks, scales)
    }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs.count == tasks.count + 1, "weights and \(tasks.count) losses, found \(inputs)")
        precondition(tasks.allSatisfy { $0 < inputs[0].count }, "weights \(inputs[0]) of tasks \(tasks)")
        return [.scalar]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        for i in tasks.indices {
            e.launch(
                "objective", "objective_weighted",
                [.input(i + 1), .input(0), .output(0), .int(tasks[i]), .float(scales[i]), .flag(i == 0)],
                e.library.grid(1))
        }
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        [nil]
            + tasks.indices.map { i in
                guard call.wanted[i + 1], let dy = call.gradients[0] else { return nil }
                return recorder.record(TaskWeightGradient(task: tasks[i], scale: scales[i]), [call.inputs[0], dy])[0]
            }
    }
}

/// Gradient of one loss in `TaskWeightedSum`; inputs w, dy.
struct TaskWeightGradient: Operator {
    let task: Int
    let scale: Double

    func outputShapes(_ inputs: [Shape]) -> [Shape] { [.scalar] }

    func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "objective", "objective_weighted_back", [.input(0), .input(1), .output(0), .int(task), .float(scale)],
            e.library.grid(1))
    }
}

/// A loss weighted by how uncertain its task is, factor · exp(−s) · loss + share · s/2; inputs loss, s = log σ² [1].
///
/// - Source: Kendall, Gal, Cipolla 2018; kernels `objective_uncertain` and `objective_uncertain_back`.
public struct UncertainLoss: DifferentiableOperator {
    /// ½ where errors are of numbers, 1 where they are of classes.
    public let factor: Double
    /// What is added of s/2: with the loss of a part of a batch, that part.
    public let share: Double

    /// Creates the operator.
    ///
    /// - Parameters:
    ///   - factor: ½ where errors are of numbers, 1 where they are of classes.
    ///   - share: what is added of s/2: with the loss of a part of a batch, that part.
    public init(factor: Double, share: Double = 1) { (self.factor, self.share) = (factor, share) }

    public func outputShapes(_ inputs: [Shape]) -> [Shape] {
        precondition(inputs.count == 2 && inputs.allSatisfy { $0.count == 1 }, "a loss and a scalar, found \(inputs)")
        return [.scalar]
    }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "objective", "objective_uncertain",
            [.input(0), .input(1), .output(0), .float(factor), .float(share / 2)], e.library.grid(1))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil, nil] }
        let gradients = recorder.record(UncertainLossGradient(factor: factor, share: share), call.inputs + [dy])
        return zip(call.wanted, gradients).map { $0 ? $1 : nil }
    }
}

/// Gradients of `UncertainLoss`; inputs loss, s, dy; outputs dloss, ds.
struct UncertainLossGradient: Operator {
    let factor, share: Double

    func outputShapes(_ inputs: [Shape]) -> [Shape] { [.scalar, .scalar] }

    func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "objective", "objective_uncertain_back",
            [.input(0), .input(1), .input(2), .output(0), .output(1), .float(factor), .float(share / 2)],
            e.library.grid(1))
    }
}

/// Geometric mean of the losses that are above 0; outputs it and how many they are.
///
/// A loss of 0, such as that of a batch in which nothing has a label, takes no part; 0 where none does.
///
/// - Source: kernels `objective_logs`, `objective_exp` and `objective_geometric_back` in `objective.cl`.
public struct GeometricMean: DifferentiableOperator {
    /// Creates the operator.
    public init() {}

    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [.scalar, .scalar] }

    public func encode(_ e: inout LaunchEncoder) throws {
        for i in e.inputs.indices {
            e.launch(
                "objective", "objective_logs", [.input(i), .output(0), .output(1), .flag(i == 0)], e.library.grid(1))
        }
        e.launch("objective", "objective_exp", [.output(0), .output(1)], e.library.grid(1))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return call.inputs.map { _ in nil } }
        return zip(call.wanted, call.inputs).map { isWanted, loss in
            isWanted ? recorder.record(GeometricMeanGradient(), [loss] + call.outputs + [dy])[0] : nil
        }
    }
}

/// Gradient of one loss in `GeometricMean`; inputs loss, both outputs, dy.
struct GeometricMeanGradient: Operator {
    func outputShapes(_ inputs: [Shape]) -> [Shape] { [.scalar] }

    func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "objective", "objective_geometric_back",
            [.input(0), .input(1), .input(2), .input(3), .output(0)], e.library.grid(1))
    }
}

/// Adds a loss to its task's running sum and count; inputs loss, sums [K, 2] (compact), non-finite flag.
///
/// - Source: kernel `objective_accumulate` in `objective.cl`.
public struct LossAccumulation: Operator {
    /// Row of the sums.
    public let task: Int

    /// Creates the operator.
    ///
    /// - Parameter task: row of the sums.
    public init(task: Int) { self.task = task }
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [] }
    public var mutatedInputs: [Int] { [1] }

    public func encode(_ e: inout LaunchEncoder) throws {
        e.launch(
            "objective", "objective_accumulate", [.input(0), .input(1), .input(2), .int(task)], e.library.grid(1))
    }
}
