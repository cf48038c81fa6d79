import Foundation

/// Which learning rate, optimiser and phase a parameter belongs to.
public enum ParameterGroup: String, Sendable, Hashable, CaseIterable, Codable {
    /// Convolutions, scales and shifts of the backbone.
    case backbone
    case heads
    /// Logits.
    case policy
    /// Running statistics and counters: state, not trained.
    case batchNormState
}

/// How a parameter's first value is made.
public enum Initializer: Hashable, Sendable {
    /// N(mean, std²).
    case normal(mean: Double, std: Double)
    /// Uniform on ±bound.
    case uniform(bound: Double)
    case constant(Double)
    /// One constant per column of a matrix.
    case columns([Double])
}

/// How a parameter lies on disk and on the device.
public enum ParameterLayout: String, Sendable, Hashable, CaseIterable {
    /// Disk [K, C, R, S], device [R][S][C][K].
    case convolution
    /// [C] on both sides.
    case vector
    /// Logits, [L, 2] on both sides.
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
    public let layout: ParameterLayout
    public let group: ParameterGroup
    public let initializer: Initializer
    /// Whether an optimiser moves it.
    public let isTrainable: Bool

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

    public var elementCount: Int { diskShape.reduce(1, *) }

    /// Shape on the device: [R, S, C, K] for convolutions, [1, 1, in, out] for linear layers, else as on disk.
    public var deviceShape: [Int] {
        switch layout {
        case .convolution: [diskShape[2], diskShape[3], diskShape[1], diskShape[0]]
        case .linear: [1, 1, diskShape[1], diskShape[0]]
        case .vector, .matrix, .counter: diskShape
        }
    }
}

/// How the logits start.
public enum PolicyInitial: Sendable, Hashable {
    /// Both columns the same value, so that α = 0.5; the default value is 0.5.
    case equal(Double)
    /// N(0, std²); published with std 1e-3.
    case normal(std: Double)
    /// (0, skip) with a negative skip logit: "all chosen".
    case allChosen(skip: Double)

    /// The initialiser of a logits matrix [L, 2].
    public var initializer: Initializer {
        switch self {
        case .equal(let value): .constant(value)
        case .normal(let std): .normal(mean: 0, std: std)
        case .allChosen(let skip): .columns([0, skip])
        }
    }
}

/// Every tensor of a network's checkpoint, in a stable order: stem, blocks, projections, heads, logits.
///
/// Backbone convolutions start at N(0, 0.01²), batch norms at γ = 1, β = 0, mean 0, variance 1, heads uniformly within
/// ±1/sqrt(fan_in), weights and biases alike.
///
/// - Source: names and initial values as in the code published with Sun, Panda, Feris, Saenko 2020
///   (github.com/sunxm2357/AdaShare), so that its checkpoints fit.
public struct ParameterCatalog: Sendable, Hashable {
    public let specs: [ParameterSpec]
    private let positions: [String: Int]

    /// Lists the tensors of a network.
    ///
    /// - Parameters:
    ///   - architecture: the network.
    ///   - policyInitial: how the logits start.
    public init(_ architecture: NetworkArchitecture, policyInitial: PolicyInitial = .equal(0.5)) {
        var specs: [ParameterSpec] = []
        func addBackbone(_ convolution: ConvolutionSpec, _ batchNorm: String) {
            specs.append(Self.weight(of: convolution, group: .backbone, initializer: .normal(mean: 0, std: 0.01)))
            specs += Self.batchNorm(batchNorm, channels: convolution.outputChannels)
        }
        addBackbone(architecture.stem, architecture.stemBatchNorm)
        for block in architecture.blocks {
            for (convolution, batchNorm) in zip(block.convolutions, block.batchNorms) {
                addBackbone(convolution, batchNorm)
            }
        }
        for projection in architecture.blocks.compactMap(\.projection) {
            addBackbone(projection.convolution, projection.batchNorm)
        }
        for task in architecture.tasks.indices {
            for convolution in architecture.headBranches(task: task).joined() {
                specs += Self.head(convolution, linear: architecture.classification)
            }
        }
        for task in architecture.tasks.indices {
            specs.append(
                ParameterSpec(
                    name: architecture.logitsParameter(task: task), diskShape: [architecture.blocks.count, 2],
                    layout: .matrix, group: .policy, initializer: policyInitial.initializer, isTrainable: true))
        }
        self.specs = specs
        positions = Dictionary(uniqueKeysWithValues: specs.enumerated().map { ($1.name, $0) })
    }

    /// The tensor of that name, nil if the network has none.
    public subscript(name: String) -> ParameterSpec? { positions[name].map { specs[$0] } }

    private static func weight(
        of convolution: ConvolutionSpec, group: ParameterGroup, initializer: Initializer, linear: Bool = false
    ) -> ParameterSpec {
        let matrix = [convolution.outputChannels, convolution.inputChannels]
        return ParameterSpec(
            name: "\(convolution.parameter).weight",
            diskShape: linear ? matrix : matrix + [convolution.kernelHeight, convolution.kernelWidth],
            layout: linear ? .linear : .convolution, group: group, initializer: initializer, isTrainable: true)
    }

    private static func head(_ convolution: ConvolutionSpec, linear: Bool) -> [ParameterSpec] {
        let initializer = Initializer.uniform(bound: 1 / Double(convolution.fanIn).squareRoot())
        return [
            weight(of: convolution, group: .heads, initializer: initializer, linear: linear),
            ParameterSpec(
                name: "\(convolution.parameter).bias", diskShape: [convolution.outputChannels], layout: .vector,
                group: .heads, initializer: initializer, isTrainable: true),
        ]
    }

    private static func batchNorm(_ prefix: String, channels: Int) -> [ParameterSpec] {
        func vector(_ name: String, _ value: Double, _ group: ParameterGroup) -> ParameterSpec {
            ParameterSpec(
                name: "\(prefix).\(name)", diskShape: [channels], layout: .vector, group: group,
                initializer: .constant(value), isTrainable: group == .backbone)
        }
        return [
            vector("weight", 1, .backbone),
            vector("bias", 0, .backbone),
            vector("running_mean", 0, .batchNormState),
            vector("running_var", 1, .batchNormState),
            ParameterSpec(
                name: "\(prefix).num_batches_tracked", diskShape: [], layout: .counter, group: .batchNormState,
                initializer: .constant(0), isTrainable: false),
        ]
    }
}
