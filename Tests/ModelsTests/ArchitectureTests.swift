import Testing

@testable import Models

@Suite struct ArchitectureTests {
    private func network(
        _ backbone: BackboneKind, width: Double = 1, head: HeadKind = .fourRate, classification: Bool = false
    ) throws -> NetworkArchitecture {
        try NetworkArchitecture(
            backbone: backbone, width: width, head: head, tasks: [TaskHead(name: "depth", channels: 1)],
            classification: classification)
    }

    @Test(arguments: zip(BackboneKind.allCases, [8, 16, 16, 33]))
    func blockCounts(backbone: BackboneKind, count: Int) throws {
        let network = try network(backbone)
        #expect(network.blocks.count == count)
        #expect(network.blocks.map(\.index) == Array(0..<count))
        #expect(network.featureChannels == 512 * backbone.expansion)
        var channels = network.stem.outputChannels
        for block in network.blocks {
            #expect(block.inputChannels == channels)
            #expect(block.convolutions.count == block.batchNorms.count)
            channels = block.outputChannels
        }
        #expect(channels == network.featureChannels)
    }

    @Test(arguments: [
        (224, 224, 29, 29), (321, 321, 41, 41), (480, 640, 61, 81), (256, 512, 33, 65), (97, 129, 13, 17), (1, 1, 1, 1),
    ])
    func denseFeatureSizes(height: Int, width: Int, featureHeight: Int, featureWidth: Int) throws {
        for backbone in BackboneKind.allCases {
            #expect(
                try network(backbone).featureSize(height: height, width: width) == (featureHeight, featureWidth))
        }
    }

    @Test func poolRounding() throws {
        #expect(try network(.resnet18).pooledSize(height: 224, width: 224) == (57, 57))
        #expect(try network(.resnet18, classification: true).pooledSize(height: 224, width: 224) == (56, 56))
        // A second way: list the windows that start in the input or its left padding, whole ones and the partial last.
        for length in 1...40 {
            let starts = stride(from: -1, to: length, by: 2).map { $0 }
            let whole = starts.filter { $0 + 3 <= length + 1 }.count
            #expect(NetworkArchitecture.pooledLength(length, ceilMode: false) == whole)
            let partial = starts.count > whole ? 1 : 0
            #expect(NetworkArchitecture.pooledLength(length, ceilMode: true) == whole + partial)
        }
    }

    @Test func classificationFeatureSizes() throws {
        #expect(try network(.resnet34, classification: true).featureSize(height: 224, width: 224) == (7, 7))
    }

    @Test(arguments: BackboneKind.allCases, [false, true])
    func projections(backbone: BackboneKind, classification: Bool) throws {
        let network = try network(backbone, classification: classification)
        let stages = network.blocks.filter { $0.projection != nil }.map(\.stage)
        #expect(stages == (backbone.isBottleneck ? [0, 1, 2, 3] : [1, 2, 3]))
        for block in network.blocks {
            #expect(block.projection == nil || block.position == 0)
            guard let projection = block.projection else { continue }
            #expect(projection.convolution.parameter == "backbone.ds.\(block.stage).0")
            #expect(projection.batchNorm == "backbone.ds.\(block.stage).1")
            #expect(
                projection.convolution.outputSize(height: 57, width: 57) == block.outputSize(height: 57, width: 57))
            #expect(projection.convolution.outputChannels == block.outputChannels)
            #expect(!projection.convolution.bias)
        }
    }

    /// Equal widths leave stride and dilation as the only reasons for a projection.
    @Test func projectionWithoutChannelChange() throws {
        let narrow = try network(.resnet18, width: 0.01)
        #expect(narrow.stages.map(\.outputChannels) == [16, 16, 16, 16])
        #expect(narrow.blocks.filter { $0.projection != nil }.map(\.stage) == [1, 2, 3])
    }

    @Test func strideAndDilation() throws {
        let basic = try network(.resnet18).blocks
        #expect(basic.flatMap { $0.convolutions.map(\.stride) } == [1, 1, 1, 1, 2, 1] + Array(repeating: 1, count: 10))
        #expect(basic.map { $0.convolutions[1].dilation } == [1, 1, 1, 1, 2, 2, 4, 4])
        #expect(basic.allSatisfy { $0.convolutions.allSatisfy { $0.padding == $0.dilation } })
        let bottleneck = try network(.resnet50).blocks[3]
        #expect(bottleneck.convolutions.map(\.kernelHeight) == [1, 3, 1])
        #expect(bottleneck.convolutions.map(\.stride) == [2, 1, 1])
        #expect(bottleneck.convolutions.map(\.outputChannels) == [128, 128, 512])
        #expect(bottleneck.convolutions[1].parameter == "backbone.blocks.1.0.conv2")
        #expect(bottleneck.batchNorms.last == "backbone.blocks.1.0.bn3")
        let ordinary = try network(.resnet34, classification: true)
        #expect(ordinary.stages.map(\.stride) == [1, 2, 2, 2])
        #expect(ordinary.stages.map(\.dilation) == [1, 1, 1, 1])
    }

    @Test func widths() throws {
        let quarter = try network(.resnet18, width: 0.25)
        #expect(quarter.stem.outputChannels == 16)
        #expect(quarter.stages.map(\.planes) == [16, 32, 64, 128])
        #expect(quarter.headHidden == 256)
        #expect(try network(.resnet18, width: 0.3).stages.map(\.planes) == [16, 32, 80, 160])
    }

    @Test func heads() throws {
        let branches = try network(.resnet18).headBranches(task: 0)
        #expect(branches.map { $0[0].dilation } == [6, 12, 18, 24])
        #expect(branches.allSatisfy { $0.allSatisfy(\.bias) })
        for branch in branches {
            #expect(branch[0].outputSize(height: 13, width: 17) == (13, 17))
            #expect(branch.map(\.outputChannels) == [1024, 1024, 1])
        }
        #expect(
            try network(.resnet18, head: .light).headBranches(task: 0).map { $0.map(\.parameter) } == [["task1_head"]])
        #expect(
            try network(.resnet18, classification: true).headBranches(task: 0).map { $0.map(\.parameter) }
                == [["task1_linear"]])
    }

    @Test func badArguments() {
        let task = TaskHead(name: "depth", channels: 1)
        #expect(throws: ArchitectureError.badWidth(0)) {
            try NetworkArchitecture(backbone: .resnet18, width: 0, tasks: [task])
        }
        #expect(throws: ArchitectureError.self) {
            try NetworkArchitecture(backbone: .resnet18, width: .nan, tasks: [task])
        }
        #expect(throws: ArchitectureError.noTasks) { try NetworkArchitecture(backbone: .resnet18, tasks: []) }
        #expect(throws: ArchitectureError.duplicateTask("depth")) {
            try NetworkArchitecture(backbone: .resnet18, tasks: [task, task])
        }
        #expect(throws: ArchitectureError.emptyTaskName(index: 1)) {
            try NetworkArchitecture(backbone: .resnet18, tasks: [task, TaskHead(name: "", channels: 1)])
        }
        #expect(throws: ArchitectureError.badChannels(task: "a", found: 0)) {
            try NetworkArchitecture(backbone: .resnet18, tasks: [TaskHead(name: "a", channels: 0)])
        }
        #expect(throws: ArchitectureError.badHeadHidden(0)) {
            try NetworkArchitecture(backbone: .resnet18, tasks: [task], headHidden: 0)
        }
    }
}
