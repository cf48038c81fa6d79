import AdaShareOperators
import AdaShareSupport
import Testing

@testable import AdaShareModels

@Suite struct ArchitectureTests {
    private func network(
        _ backbone: BackboneKind, width: Double = 1, head: HeadKind = .fourRate, isPooled: Bool = false
    ) throws -> NetworkArchitecture {
        try NetworkArchitecture(
            backbone: backbone, width: width, head: head, tasks: [TaskHead(name: "depth", channels: 1)],
            isPooled: isPooled)
    }

    @Test(arguments: zip(BackboneKind.allCases, [8, 16, 16, 33]))
    func blockCounts(backbone: BackboneKind, count: Int) throws {
        let network = try network(backbone)
        #expect(network.blocks.count == count)
        #expect(network.blocks.map(\.index) == Array(0..<count))
        // Every block's first convolution reads what the block before it, or the stem, put out.
        var channels = network.stem.channels
        for block in network.blocks {
            let own = network.branches.filter { $0.name.hasPrefix(block.name + ".") }
            #expect(own.count == (block.isBottleneck ? 3 : 2))
            #expect(own.first?.input.channels == channels && own.last?.output.channels == block.outputChannels)
            channels = block.outputChannels
        }
        #expect(channels == 512 * backbone.expansion)
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
        func pooled(_ network: NetworkArchitecture) throws -> [Int] {
            let first = try #require(network.convolutions(height: 224, width: 224).dropFirst().first)
            return Array(first.input.dimensions[1...2])
        }
        #expect(try pooled(network(.resnet18)) == [57, 57])
        #expect(try pooled(network(.resnet18, isPooled: true)) == [56, 56])
    }

    @Test func classificationFeatureSizes() throws {
        #expect(try network(.resnet34, isPooled: true).featureSize(height: 224, width: 224) == (7, 7))
    }

    @Test(arguments: BackboneKind.allCases, [false, true])
    func projections(backbone: BackboneKind, isPooled: Bool) throws {
        let network = try network(backbone, isPooled: isPooled)
        let stages = network.blocks.filter { $0.projection != nil }.map(\.stage)
        #expect(stages == (backbone.isBottleneck ? [0, 1, 2, 3] : [1, 2, 3]))
        #expect(network.blocks.allSatisfy { $0.projection == nil || $0.position == 0 })
        let convolutions = network.convolutions()
        for block in network.blocks {
            guard let name = block.projection else { continue }
            #expect(name == "backbone.ds.\(block.stage)")
            let projection = try #require(convolutions.first { $0.name == "\(name).0" })
            let branch = try #require(convolutions.last { $0.name.hasPrefix(block.name + ".") })
            #expect(projection.output == branch.output && !projection.hasBias)
            #expect(projection.geometry == ConvolutionGeometry(kernelHeight: 1, kernelWidth: 1, stride: block.stride))
        }
        #expect(convolutions.count { $0.name.hasPrefix("backbone.ds.") } == stages.count)
    }

    /// Equal widths leave stride and dilation as the only reasons for a projection.
    @Test func projectionWithoutChannelChange() throws {
        let narrow = try network(.resnet18, width: 0.01)
        #expect(narrow.stages.map(\.outputChannels) == [16, 16, 16, 16])
        #expect(narrow.blocks.filter { $0.projection != nil }.map(\.stage) == [1, 2, 3])
    }

    @Test func strideAndDilation() throws {
        let basic = try network(.resnet18).branches.map(\.geometry)
        #expect(basic.map(\.stride) == [1, 1, 1, 1, 2, 1] + Array(repeating: 1, count: 10))
        #expect(basic.map(\.dilation) == [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4])
        #expect(basic.allSatisfy { $0.padding == $0.dilation })
        let bottleneck = try network(.resnet50).branches[9..<12]
        #expect(bottleneck.map(\.geometry.kernelHeight) == [1, 3, 1])
        #expect(bottleneck.map(\.geometry.stride) == [2, 1, 1])
        #expect(bottleneck.map(\.output.channels) == [128, 128, 512])
        #expect(bottleneck.map(\.name) == [1, 2, 3].map { "backbone.blocks.1.0.conv\($0)" })
        let ordinary = try network(.resnet34, isPooled: true)
        #expect(ordinary.stages.map(\.stride) == [1, 2, 2, 2])
        #expect(ordinary.stages.map(\.dilation) == [1, 1, 1, 1])
    }

    @Test func widths() throws {
        let quarter = try network(.resnet18, width: 0.25)
        #expect(quarter.stem.channels == 16)
        #expect(quarter.stages.map(\.planes) == [16, 32, 64, 128])
        #expect(quarter.headHidden == 256)
        #expect(try network(.resnet18, width: 0.3).stages.map(\.planes) == [16, 32, 80, 160])
    }

    @Test func heads() throws {
        func head(_ network: NetworkArchitecture) -> [RecordedConvolution] {
            network.convolutions().filter { $0.name.hasPrefix("task1_") }
        }
        let branches = head(try network(.resnet18))
        let names = (0..<4).flatMap { branch in (1...3).map { "task1_fc1_c\(branch).conv\($0)" } }
        #expect(branches.map(\.name) == names)
        #expect(branches.map(\.geometry.dilation) == [6, 1, 1, 12, 1, 1, 18, 1, 1, 24, 1, 1])
        #expect(branches.map(\.output.channels) == [1024, 1024, 1, 1024, 1024, 1, 1024, 1024, 1, 1024, 1024, 1])
        #expect(branches.allSatisfy { $0.hasBias && $0.output.dimensions[1...2] == [13, 17] })
        #expect(head(try network(.resnet18, head: .light)).map(\.name) == ["task1_head"])
        #expect(head(try network(.resnet18, isPooled: true)).map(\.name) == ["task1_linear"])
    }

    @Test func badArguments() {
        let task = TaskHead(name: "depth", channels: 1)
        #expect(throws: InputError.badWidth(0)) {
            try NetworkArchitecture(backbone: .resnet18, width: 0, tasks: [task])
        }
        #expect(throws: InputError.self) {
            try NetworkArchitecture(backbone: .resnet18, width: .nan, tasks: [task])
        }
        #expect(throws: InputError.noTasks) { try NetworkArchitecture(backbone: .resnet18, tasks: []) }
        #expect(throws: InputError.duplicateTask("depth")) {
            try NetworkArchitecture(backbone: .resnet18, tasks: [task, task])
        }
        #expect(throws: InputError.emptyTaskName(index: 1)) {
            try NetworkArchitecture(backbone: .resnet18, tasks: [task, TaskHead(name: "", channels: 1)])
        }
        #expect(throws: InputError.badChannels(task: "a", found: 0)) {
            try NetworkArchitecture(backbone: .resnet18, tasks: [TaskHead(name: "a", channels: 0)])
        }
        #expect(throws: InputError.badHeadHidden(0)) {
            try NetworkArchitecture(backbone: .resnet18, tasks: [task], headHidden: 0)
        }
    }

    /// Batch norms per task need images of its own for every task.
    @Test func batchNormsPerTaskNeedImages() throws {
        func network(_ sources: [Int], numbers: [Int?] = [nil, nil]) throws -> NetworkArchitecture {
            try NetworkArchitecture(
                backbone: .resnet18, width: 0.25,
                tasks: zip(["a", "b"], zip(numbers, sources)).map {
                    TaskHead(name: $0, channels: 2, number: $1.0, source: $1.1)
                }, isPooled: true, hasTaskBatchNorm: true)
        }
        #expect(throws: InputError.sharedImages(task: "b", other: "a")) { try network([3, 3]) }
        #expect(
            InputError.sharedImages(task: "b", other: "a").description.contains("images of its own"))
        #expect(try network([3, 1]).sources == [0, 1])
        // A part of a network leaves the batch norms of other tasks in the file, and no other tensor.
        let part = try network([0, 1], numbers: [2, 3])
        for name in [
            "backbone.task0_bn1.weight", "backbone.blocks.0.1.task4_bn2.bias", "backbone.task0_ds.1.1.weight",
            "task1_logits",
        ] {
            #expect(part.leavesOut(tensor: name), "\(name)")
        }
        for name in [
            "backbone.task1_bn1.weight", "backbone.blocks.0.1.task2_bn2.bias", "backbone.conv1.weight", "task2_logits",
            "backbone.blocks.0.0.conv1.weight",
        ] {
            #expect(!part.leavesOut(tensor: name), "\(name)")
        }
        #expect(try !network([0, 1]).leavesOut(tensor: "backbone.task4_bn1.weight"))
    }
}
