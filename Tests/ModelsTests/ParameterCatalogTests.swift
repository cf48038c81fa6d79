import AdaShareLayers
import Testing

@testable import AdaShareModels

@Suite struct ParameterCatalogTests {
    private let tasks = [TaskHead(name: "segmentation", channels: 40), TaskHead(name: "normals", channels: 3)]

    private func catalog(
        _ backbone: BackboneKind, head: HeadKind = .fourRate, isPooled: Bool = false,
        policyInitial: PolicyInitial = .equal(0.5)
    ) throws -> ParameterCatalog {
        let network = try NetworkArchitecture(
            backbone: backbone, head: head, tasks: tasks, isPooled: isPooled)
        return ParameterCatalog(network, policyInitial: policyInitial)
    }

    /// The torchvision networks without their last layer, by backbone.
    @Test(arguments: zip(BackboneKind.allCases, [11_176_512, 21_284_672, 23_508_032, 42_500_160]))
    func backboneParameters(backbone: BackboneKind, count: Int) throws {
        #expect(try catalog(backbone).trainableCount(.backbone) == count)
    }

    @Test func headAndPolicyParameters() throws {
        let branch = (512 * 9 + 1) * 1024 + 1025 * 1024
        #expect(try catalog(.resnet18).trainableCount(.heads) == 4 * (2 * branch + 1025 * 43))
        #expect(try catalog(.resnet18).trainableCount(.policy) == 2 * 8 * 2)
        #expect(try catalog(.resnet18).trainableCount(.batchNormState) == 0)
        #expect(try catalog(.resnet18, head: .light).trainableCount(.heads) == 513 * 43)
    }

    @Test func resnet18Names() throws {
        let catalog = try catalog(.resnet18)
        let names = catalog.specs.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(
            Array(names.prefix(7)) == [
                "backbone.conv1.weight", "backbone.bn1.weight", "backbone.bn1.bias", "backbone.bn1.running_mean",
                "backbone.bn1.running_var", "backbone.bn1.num_batches_tracked", "backbone.blocks.0.0.conv1.weight",
            ])
        // 1 + 16 + 3 convolutions with batch norm, 2 tasks × 4 branches × 3 layers, 2 logits.
        #expect(names.count == 20 * 6 + 2 * 4 * 3 * 2 + 2)
        #expect(catalog["backbone.conv1.weight"]?.diskShape == [64, 3, 7, 7])
        #expect(catalog["backbone.blocks.1.0.conv1.weight"]?.diskShape == [128, 64, 3, 3])
        #expect(catalog["backbone.ds.1.0.weight"]?.diskShape == [128, 64, 1, 1])
        #expect(catalog["backbone.ds.3.1.running_var"]?.diskShape == [512])
        #expect(catalog["backbone.ds.0.0.weight"] == nil)
        #expect(catalog["backbone.blocks.0.0.conv3.weight"] == nil)
        #expect(catalog["task1_fc1_c0.conv1.weight"]?.diskShape == [1024, 512, 3, 3])
        #expect(catalog["task2_fc1_c3.conv2.weight"]?.diskShape == [1024, 1024, 1, 1])
        #expect(catalog["task1_fc1_c3.conv3.weight"]?.diskShape == [40, 1024, 1, 1])
        #expect(catalog["task2_fc1_c3.conv3.bias"]?.diskShape == [3])
        #expect(catalog["task3_fc1_c0.conv1.weight"] == nil)
        #expect(Array(names.suffix(2)) == ["task1_logits", "task2_logits"])
        #expect(catalog["task2_logits"]?.diskShape == [8, 2])
    }

    @Test func resnet50Names() throws {
        let catalog = try catalog(.resnet50)
        #expect(catalog["backbone.ds.0.0.weight"]?.diskShape == [256, 64, 1, 1])
        #expect(catalog["backbone.ds.2.0.weight"]?.diskShape == [1024, 512, 1, 1])
        #expect(catalog["backbone.blocks.0.1.conv1.weight"]?.diskShape == [64, 256, 1, 1])
        #expect(catalog["backbone.blocks.2.5.conv3.weight"]?.diskShape == [1024, 256, 1, 1])
        #expect(catalog["backbone.blocks.2.5.bn3.bias"]?.diskShape == [1024])
        #expect(catalog["backbone.blocks.2.6.conv1.weight"] == nil)
        #expect(catalog["task1_fc1_c1.conv1.weight"]?.diskShape == [1024, 2048, 3, 3])
        #expect(catalog["task1_logits"]?.diskShape == [16, 2])
    }

    @Test func lightAndLinearHeads() throws {
        let light = try catalog(.resnet18, head: .light)
        #expect(light["task1_head.weight"]?.diskShape == [40, 512, 1, 1])
        #expect(light["task1_head.weight"]?.layout == .convolution)
        #expect(light["task2_head.bias"]?.diskShape == [3])
        let linear = try catalog(.resnet34, isPooled: true)
        #expect(linear["task1_linear.weight"]?.diskShape == [40, 512])
        #expect(linear["task1_linear.weight"]?.deviceShape == [1, 1, 512, 40])
        #expect(linear["task1_linear.weight"]?.layout == .linear)
        #expect(linear["task1_linear.bias"]?.diskShape == [40])
        #expect(linear["task1_fc1_c0.conv1.weight"] == nil)
    }

    /// As the code published for DomainNet names them: tasks of batch norms are counted from 0.
    @Test func batchNormsPerTask() throws {
        let tasks = (0..<2).map { TaskHead(name: "t\($0)", channels: 4, source: $0) }
        let network = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, tasks: tasks, isPooled: true, hasTaskBatchNorm: true)
        let catalog = ParameterCatalog(network)
        let common = ParameterCatalog(
            try NetworkArchitecture(backbone: .resnet18, width: 0.25, tasks: tasks, isPooled: true))
        let names = catalog.specs.map(\.name)
        #expect(Set(names).count == names.count)
        // 20 convolutions, as many batch norms of 5 tensors for each task, a linear layer and logits of each.
        #expect(names.count == 20 + 2 * 20 * 5 + 2 * 2 + 2)
        for name in [
            "backbone.task0_bn1.weight", "backbone.task1_bn1.running_mean", "backbone.blocks.0.1.task1_bn2.bias",
            "backbone.blocks.3.0.task0_bn1.num_batches_tracked", "backbone.task1_ds.2.1.running_var",
            "backbone.ds.2.0.weight", "backbone.blocks.0.1.conv2.weight", "task1_linear.weight", "task2_logits",
        ] {
            #expect(catalog[name] != nil, "\(name)")
        }
        for name in ["backbone.bn1.weight", "backbone.task2_bn1.weight", "backbone.ds.2.1.weight"] {
            #expect(catalog[name] == nil && !catalog.mayHold(name), "\(name)")
        }
        // Files repeat the one convolution with each task's batch norm.
        let projection = try #require(catalog["backbone.ds.2.0.weight"])
        #expect(catalog.fileNames(of: projection) == (0..<2).map { "backbone.task\($0)_ds.2.0.weight" })
        #expect(catalog.mayHold("backbone.task1_ds.2.0.weight") && !catalog.mayHold("backbone.ds.2.0.weight"))
        #expect(common.fileNames(of: projection) == ["backbone.ds.2.0.weight"])
        #expect(common.mayHold("backbone.ds.2.0.weight") && !common.mayHold("backbone.task1_ds.2.0.weight"))
        // What each batch norm may begin from is a tensor of the common network, and of its shape.
        let own = catalog.specs.filter { catalog.commonName(of: $0) != nil }
        #expect(own.count == 2 * 20 * 5)
        #expect(
            own.allSatisfy { spec in
                catalog.commonName(of: spec).flatMap { common[$0] }.map {
                    ($0.diskShape, $0.initializer) == (spec.diskShape, spec.initializer)
                } ?? false
            })
        #expect(common.specs.allSatisfy { common.commonName(of: $0) == nil })
    }

    @Test func layoutsAndGroups() throws {
        let catalog = try catalog(.resnet18)
        #expect(catalog["backbone.blocks.1.0.conv1.weight"]?.deviceShape == [3, 3, 64, 128])
        #expect(catalog["backbone.bn1.num_batches_tracked"]?.layout == .counter)
        #expect(catalog["backbone.bn1.num_batches_tracked"]?.diskShape == [])
        #expect(catalog["backbone.bn1.num_batches_tracked"]?.elementCount == 1)
        #expect(catalog["task1_logits"]?.layout == .matrix)
        for spec in catalog.specs {
            let isState =
                spec.name.contains("running_") || spec.name.hasSuffix("num_batches_tracked")
            #expect(spec.isTrainable == !isState)
            #expect((spec.group == .batchNormState) == isState)
            if spec.name.hasPrefix("backbone.") && !isState { #expect(spec.group == .backbone) }
            #expect(spec.deviceShape.reduce(1, *) == spec.elementCount)
        }
    }

    @Test func initializers() throws {
        let catalog = try catalog(.resnet18)
        #expect(catalog["backbone.ds.1.0.weight"]?.initializer == .normal(mean: 0, std: 0.01))
        #expect(catalog["backbone.bn1.weight"]?.initializer == .constant(1))
        #expect(catalog["backbone.bn1.bias"]?.initializer == .constant(0))
        #expect(catalog["backbone.bn1.running_mean"]?.initializer == .constant(0))
        #expect(catalog["backbone.bn1.running_var"]?.initializer == .constant(1))
        let bound = 1 / Double(512 * 9).squareRoot()
        #expect(catalog["task1_fc1_c0.conv1.weight"]?.initializer == .uniform(bound: bound))
        #expect(catalog["task1_fc1_c0.conv1.bias"]?.initializer == .uniform(bound: bound))
        #expect(catalog["task1_fc1_c0.conv3.bias"]?.initializer == .uniform(bound: 1.0 / 32))
        #expect(catalog["task1_logits"]?.initializer == .constant(0.5))
        #expect(
            try self.catalog(.resnet18, policyInitial: .normal(std: 1e-3))["task1_logits"]?.initializer
                == .normal(mean: 0, std: 1e-3))
        #expect(
            try self.catalog(.resnet18, policyInitial: .allChosen(skip: -10))["task1_logits"]?.initializer
                == .columns([0, -10]))
    }
}
