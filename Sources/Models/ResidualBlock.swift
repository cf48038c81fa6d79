/// One convolution: its parameter name and its geometry.
public struct ConvolutionSpec: Sendable, Hashable {
    /// Parameter prefix in the published names, such as `backbone.blocks.0.1.conv1`.
    public let parameter: String
    public let kernelHeight: Int
    public let kernelWidth: Int
    public let inputChannels: Int
    public let outputChannels: Int
    public let stride: Int
    public let dilation: Int
    /// Zero pixels on each of the four sides.
    public let padding: Int
    public let bias: Bool

    /// A convolution with a square kernel.
    public init(
        parameter: String, kernel: Int, inputChannels: Int, outputChannels: Int, stride: Int = 1, dilation: Int = 1,
        padding: Int = 0, bias: Bool = false
    ) {
        self.parameter = parameter
        kernelHeight = kernel
        kernelWidth = kernel
        self.inputChannels = inputChannels
        self.outputChannels = outputChannels
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
        self.bias = bias
    }

    /// Output size for an input of the given size:
    ///
    ///     ⌊(in + 2 · padding − dilation · (kernel − 1) − 1) / stride⌋ + 1
    ///
    /// - Precondition: the padded input holds the kernel at least once.
    public func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
        (outputLength(height, kernel: kernelHeight), outputLength(width, kernel: kernelWidth))
    }

    /// Multiply-accumulates for one image, taps in the padding included.
    public func macs(outputHeight: Int, outputWidth: Int) -> Int {
        outputHeight * outputWidth * outputChannels * inputChannels * kernelHeight * kernelWidth
    }

    /// Weights and bias.
    public var parameterCount: Int {
        outputChannels * inputChannels * kernelHeight * kernelWidth + (bias ? outputChannels : 0)
    }

    /// Input elements that one output element sums over: the fan-in of the default initialisation.
    public var fanIn: Int { inputChannels * kernelHeight * kernelWidth }

    private func outputLength(_ length: Int, kernel: Int) -> Int {
        let room = length + 2 * padding - dilation * (kernel - 1) - 1
        precondition(room >= 0, "\(parameter): input length \(length) is below the kernel's reach")
        return room / stride + 1
    }
}

/// One residual block: the branch F(x) and the residual path `res`.
///
///     select:  ReLU(res(x) + F(x))
///     skip:    res(x)
///     mixed:   v_select · ReLU(res(x) + F(x)) + v_skip · res(x)
///
/// The residual path is the identity, or the projection where there is one; a projection always runs.
public struct ResidualBlock: Sendable, Hashable {
    /// A 1×1 convolution with the block's stride, then batch norm.
    public struct Projection: Sendable, Hashable {
        /// Parameter `backbone.ds.<stage>.0`.
        public let convolution: ConvolutionSpec
        /// Parameter prefix `backbone.ds.<stage>.1`.
        public let batchNorm: String
    }

    /// Position l − 1 in the network, from 0 at the bottom.
    public let index: Int
    /// Stage, from 0.
    public let stage: Int
    /// Position within the stage, from 0.
    public let position: Int
    public let isBottleneck: Bool
    /// Convolutions of F in order, without bias; each is followed by the batch norm at the same place in `batchNorms`,
    /// and all but the last also by ReLU.
    public let convolutions: [ConvolutionSpec]
    /// Parameter prefixes such as `backbone.blocks.0.1.bn1`.
    public let batchNorms: [String]
    /// The residual path, nil for the identity.
    public let projection: Projection?

    /// Parameter prefix of the block, such as `backbone.blocks.0.1`.
    public var name: String { "backbone.blocks.\(stage).\(position)" }

    public var inputChannels: Int { convolutions[0].inputChannels }
    public var outputChannels: Int { convolutions[convolutions.count - 1].outputChannels }

    /// Lays out one block.
    ///
    /// A stage's first block has the stage's stride, and a projection if the stride is not 1, the channels change or the
    /// dilation is 2 or 4.
    init(index: Int, position: Int, stage: ResidualStage, inputChannels: Int, isBottleneck: Bool) {
        let isFirst = position == 0
        let stride = isFirst ? stage.stride : 1
        let dilation = stage.dilation
        let planes = stage.planes
        let prefix = "backbone.blocks.\(stage.index).\(position)"
        self.index = index
        self.stage = stage.index
        self.position = position
        self.isBottleneck = isBottleneck
        if isBottleneck {
            convolutions = [
                ConvolutionSpec(
                    parameter: "\(prefix).conv1", kernel: 1, inputChannels: inputChannels, outputChannels: planes,
                    stride: stride),
                ConvolutionSpec(
                    parameter: "\(prefix).conv2", kernel: 3, inputChannels: planes, outputChannels: planes,
                    dilation: dilation, padding: dilation),
                ConvolutionSpec(
                    parameter: "\(prefix).conv3", kernel: 1, inputChannels: planes,
                    outputChannels: stage.outputChannels),
            ]
        } else {
            convolutions = [
                ConvolutionSpec(
                    parameter: "\(prefix).conv1", kernel: 3, inputChannels: inputChannels, outputChannels: planes,
                    stride: stride, dilation: dilation, padding: dilation),
                ConvolutionSpec(
                    parameter: "\(prefix).conv2", kernel: 3, inputChannels: planes,
                    outputChannels: stage.outputChannels, dilation: dilation, padding: dilation),
            ]
        }
        batchNorms = convolutions.indices.map { "\(prefix).bn\($0 + 1)" }
        let changes = stride != 1 || inputChannels != stage.outputChannels || dilation == 2 || dilation == 4
        if isFirst && changes {
            projection = Projection(
                convolution: ConvolutionSpec(
                    parameter: "backbone.ds.\(stage.index).0", kernel: 1, inputChannels: inputChannels,
                    outputChannels: stage.outputChannels, stride: stride),
                batchNorm: "backbone.ds.\(stage.index).1")
        } else {
            projection = nil
        }
    }

    /// Output size for an input of the given size: the same on both paths.
    public func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
        convolutions.reduce((height: height, width: width)) { $1.outputSize(height: $0.height, width: $0.width) }
    }

    /// Multiply-accumulates of the branch F for one image, the projection left out.
    ///
    /// - Parameters:
    ///   - inputHeight: height of the block's input.
    ///   - inputWidth: width of the block's input.
    public func macs(inputHeight: Int, inputWidth: Int) -> Int {
        var size = (height: inputHeight, width: inputWidth)
        var total = 0
        for convolution in convolutions {
            size = convolution.outputSize(height: size.height, width: size.width)
            total += convolution.macs(outputHeight: size.height, outputWidth: size.width)
        }
        return total
    }
}
