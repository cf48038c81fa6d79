import AdaShareOperators

/// Which learning rate, optimiser and phase a parameter belongs to: any name that a network gives it.
public struct ParameterGroup: RawRepresentable, Hashable, Sendable, Codable, ExpressibleByStringLiteral {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
    public init(stringLiteral name: String) { rawValue = name }

    /// Of a network that makes no difference.
    public static let `default`: Self = "default"
    /// Running statistics and counters: state, not trained.
    public static let batchNormState: Self = "batchNormState"
}

/// How a parameter's first value is made.
public enum Initializer: Hashable, Sendable {
    /// N(mean, std²).
    case normal(mean: Double, std: Double)
    /// Uniform on ±bound.
    case uniform(bound: Double)
    /// The same everywhere.
    case constant(Double)
    /// One constant per column of a matrix.
    case columns([Double])
    /// One constant per row of a matrix.
    case rows([Double])
    /// Each element's own, in disk order.
    case values([Double])
    /// A 1×1 convolution that multiplies each channel by a constant.
    case diagonal(Double)

    /// 0 everywhere.
    public static let zeros = Initializer.constant(0)
    /// 1 everywhere.
    public static let ones = Initializer.constant(1)
}

/// How a parameter lies on disk and on the device.
public enum ParameterLayout: String, Sendable, Hashable, CaseIterable {
    /// Disk [K, C, R, S], device [R][S][C][K].
    case convolution
    /// [C] on both sides.
    case vector
    /// [L, C] on both sides.
    case matrix
    /// Disk [out, in], device a 1×1 convolution [1][1][in][out].
    case linear
    /// `num_batches_tracked`: an I64 scalar on disk.
    case counter
}

/// One tensor of a checkpoint.
public struct ParameterSpec: Sendable, Hashable {
    /// Published name, such as `backbone.blocks.0.1.conv1.weight`.
    public let name: String
    /// Shape on disk; empty for a scalar.
    public let diskShape: [Int]
    /// How it lies on disk and on the device.
    public let layout: ParameterLayout
    /// Which learning rate and optimiser it belongs to.
    public let group: ParameterGroup
    /// How its first value is made.
    public let initializer: Initializer
    /// Whether an optimiser moves it.
    public let isTrainable: Bool

    /// Creates the description; `Scope.parameter` does for layers.
    public init(
        name: String, diskShape: [Int], layout: ParameterLayout, group: ParameterGroup, initializer: Initializer,
        isTrainable: Bool
    ) {
        self.name = name
        self.diskShape = diskShape
        self.layout = layout
        self.group = group
        self.initializer = initializer
        self.isTrainable = isTrainable
    }

    /// Elements on disk, and logical ones on the device.
    public var elementCount: Int { diskShape.reduce(1, *) }

    /// Shape on the device: [R, S, C, K] for convolutions, [1, 1, in, out] for linear layers, else as on disk.
    public var deviceShape: [Int] {
        switch layout {
        case .convolution: [diskShape[2], diskShape[3], diskShape[1], diskShape[0]]
        case .linear: [1, 1, diskShape[1], diskShape[0]]
        case .vector, .matrix, .counter: diskShape
        }
    }

    /// Shape of the value that carries it.
    public var storedShape: Shape { layout == .counter ? Shape([1], compact: true) : Shape(deviceShape) }
}
