import AdaShareSupport
import Foundation
import Testing

@testable import AdaShareModels

@Suite struct CostModelTests {
    /// The table of section 7 of the method, in units of 0.01 G.
    private static let published: [(PublishedPolicy, all: Int, selected: Int, shared: Int)] = [
        (PublishedPolicies.nyu2, 1971, 1848, 1812),
        (PublishedPolicies.cityscapes, 3706, 3335, 3275),
        (PublishedPolicies.nyu3, 5559, 5013, 4733),
        (PublishedPolicies.taskonomy, 9264, 8775, 8106),
    ]

    private func hundredths(_ macs: Int) -> Int { Int((Double(macs) / 1e7).rounded()) }

    @Test(arguments: published)
    func publishedTable(row: (PublishedPolicy, all: Int, selected: Int, shared: Int)) throws {
        let model = CostModel(try row.0.architecture(), height: 224, width: 224)
        let backbone = model.report(policy: row.0.policy).backbone
        #expect(hundredths(backbone.macsAll) == row.all)
        #expect(hundredths(backbone.macsSelected) == row.selected)
        #expect(hundredths(backbone.macsShared) == row.shared)
    }

    /// The comparison above must notice a policy one block off and maps of a floor-mode pool.
    @Test(arguments: published)
    func publishedTableNegativeControl(row: (PublishedPolicy, all: Int, selected: Int, shared: Int)) throws {
        let model = CostModel(try row.0.architecture(), height: 224, width: 224)
        let shifted = DiscretePolicy(select: row.0.policy.select.map { $0.dropFirst() + [true] })
        #expect(hundredths(model.parts.cost(of: shifted, .shared)) != row.shared)
        // 222 pixels give the 56×56 and 28×28 maps that 224 would give in floor mode.
        let floor = CostModel(try row.0.architecture(), height: 222, width: 222)
        #expect(hundredths(floor.parts.hardSharing(.passes)) != row.all)
    }

    @Test func parameters() throws {
        for (published, millions) in [(PublishedPolicies.nyu2, "11.18"), (PublishedPolicies.nyu3, "21.28")] {
            let network = try published.architecture()
            let model = CostModel(network, height: 224, width: 224)
            #expect(String(format: "%.2f", Double(model.backboneParameters) / 1e6) == millions)
            for head in model.heads {
                // 40 classes add 0.16 M to the 23.1 M of a task with one output.
                let outputs = try #require(network.tasks.first { $0.name == head.task }).channels
                #expect(String(format: "%.1f", Double(head.parameters - 4 * 1025 * outputs) / 1e6) == "23.1")
                #expect(abs(Double(head.macs) / 1e9 - 19.4) < 0.2)
            }
        }
    }

    /// Two ways to the same sums: the catalog's tensors and the cost model's blocks.
    @Test(arguments: BackboneKind.allCases, [HeadKind.fourRate, .light])
    func parametersAgreeWithTheCatalog(backbone: BackboneKind, head: HeadKind) throws {
        for isPooled in [false, true] {
            let network = try NetworkArchitecture(
                backbone: backbone, width: 0.5, head: head,
                tasks: [TaskHead(name: "a", channels: 5), TaskHead(name: "b", channels: 7)],
                isPooled: isPooled)
            let report = CostModel(network, height: 64, width: 96).report()
            let catalog = ParameterCatalog(network)
            #expect(report.backbone.parameters == catalog.trainableCount(.backbone))
            #expect(report.heads.parameters == catalog.trainableCount(.heads))
        }
    }

    /// Hard sharing is one pass; agreeing tasks cost as much as one of them.
    @Test func sharingBounds() throws {
        let network = try PublishedPolicies.nyu3.architecture()
        let model = CostModel(network, height: 224, width: 224)
        let hard = model.report().backbone
        #expect(hard.macsSelected == hard.macsAll)
        #expect(hard.macsShared * 3 == hard.macsAll)
        let row = DiscretePolicy.random(density: 0.5, tasks: 1, blocks: 16, seed: 5).select[0]
        let same = DiscretePolicy(select: [row, row, row])
        #expect(model.parts.cost(of: same, .shared) * 3 == model.parts.cost(of: same, .passes))
        let none = DiscretePolicy.random(density: 0, tasks: 3, blocks: 16, seed: 0)
        #expect(
            model.parts.cost(of: none, .shared) == model.stemMacs + model.blocks.reduce(0) { $0 + $1.projectionMacs })
    }

    /// Classification tasks have images of their own: nothing to share.
    @Test func classificationSharesNothing() throws {
        let tasks = ["real", "painting"].enumerated().map { TaskHead(name: $1, channels: 345, source: $0) }
        let network = try NetworkArchitecture(backbone: .resnet34, tasks: tasks, isPooled: true)
        let report = CostModel(network, height: 224, width: 224).report()
        #expect(report.backbone.macsShared == report.backbone.macsAll && report.backbone.images == 2)
        #expect(report.table().contains("one pass for each of 2 images"))
        #expect(report.heads.macs == 2 * 512 * 345)
        #expect(report.heads.parameters == 2 * 513 * 345)
        // The ordinary resnet34: 3.66 G without its last layer.
        #expect(hundredths(report.backbone.macsAll / 2) == 366)
    }

    /// Tasks of the same images share a pass, others do not; hard sharing has a pass for each of the images.
    @Test func tasksOfOneSourceShare() throws {
        let tasks = [("a", 4), ("b", 7), ("c", 4)].map { TaskHead(name: $0.0, channels: 3, source: $0.1) }
        let network = try NetworkArchitecture(backbone: .resnet18, width: 0.25, tasks: tasks)
        #expect(network.sources == [0, 1, 0] && network.hasSeparateImages)
        let model = CostModel(network, height: 97, width: 129)
        let parts = model.parts
        #expect(parts.passes == 2 && 3 * parts.hardSharing(.shared) == 2 * parts.hardSharing(.passes))
        for seed in 0..<20 as Range<UInt64> {
            let policy = DiscretePolicy.random(density: Double(seed) / 19, tasks: 3, blocks: 8, seed: seed)
            func alone(_ tasks: [Int]) throws -> Int {
                let heads = tasks.map { TaskHead(name: "\($0)", channels: 3) }
                let network = try NetworkArchitecture(backbone: .resnet18, width: 0.25, tasks: heads)
                return CostModel(network, height: 97, width: 129).parts.cost(
                    of: DiscretePolicy(select: tasks.map { policy.select[$0] }), .shared)
            }
            #expect(parts.cost(of: policy, .shared) == (try alone([0, 2]) + alone([1])))
        }
        // Negative control: the same tasks of one source.
        let one = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, tasks: tasks.map { TaskHead(name: $0.name, channels: 3) })
        #expect(CostModel(one, height: 97, width: 129).parts.hardSharing(.shared) * 2 == parts.hardSharing(.shared))
        #expect(CostModel(one, height: 97, width: 129).report().backbone.images == nil)
    }

    /// Batch norms per task: as many scales and shifts as tasks, one set of convolutions, the same work.
    @Test(arguments: BackboneKind.allCases) func batchNormsPerTaskAreParameters(backbone: BackboneKind) throws {
        let tasks = (0..<3).map { TaskHead(name: "t\($0)", channels: 5, source: $0) }
        let common = try NetworkArchitecture(backbone: backbone, tasks: tasks, isPooled: true)
        let own = try NetworkArchitecture(backbone: backbone, tasks: tasks, isPooled: true, hasTaskBatchNorm: true)
        let (first, second) = (CostModel(common, height: 64, width: 64), CostModel(own, height: 64, width: 64))
        #expect(first.parts == second.parts)
        let norms = ParameterCatalog(common).specs.reduce(0) {
            $0 + ($1.name.hasPrefix("backbone.") && $1.isTrainable && $1.diskShape.count == 1 ? $1.elementCount : 0)
        }
        #expect(norms > 0 && second.backboneParameters == first.backboneParameters + 2 * norms)
        #expect(second.backboneParameters == ParameterCatalog(own).trainableCount(.backbone))
        #expect(second.blocks[0].parameters > first.blocks[0].parameters)
    }

    /// A second count without values: what enters a block is decided by the decisions below it, so it is the number of
    /// distinct prefixes that counts.
    private func sharedByPrefixes(_ model: CostModel, _ policy: DiscretePolicy) -> Int {
        var total = model.stemMacs
        for (index, block) in model.blocks.enumerated() {
            let prefixes = Set(policy.select.map { Array($0[..<index]) })
            let selecting = Set(policy.select.filter { $0[index] }.map { Array($0[..<index]) })
            total += prefixes.count * block.projectionMacs + selecting.count * block.macs
        }
        return total
    }

    @Test(arguments: BackboneKind.allCases, 1...5)
    func randomPoliciesByPrefixes(backbone: BackboneKind, tasks: Int) throws {
        let network = try NetworkArchitecture(
            backbone: backbone, width: 0.25, tasks: (0..<tasks).map { TaskHead(name: "t\($0)", channels: 1) })
        let model = CostModel(network, height: 97, width: 129)
        for seed in 0..<40 as Range<UInt64> {
            let policy = DiscretePolicy.random(
                density: [0.3, 0.6, 0.9, 0.97][Int(seed % 4)], tasks: tasks, blocks: network.blocks.count, seed: seed)
            let shared = model.parts.cost(of: policy, .shared)
            #expect(shared == sharedByPrefixes(model, policy))
            #expect(shared <= model.parts.cost(of: policy, .passes))
            #expect(model.parts.cost(of: policy, .passes) <= model.parts.hardSharing(.passes))
        }
    }

    @Test func reportAsJSON() throws {
        let published = PublishedPolicies.nyu2
        let report = CostModel(try published.architecture(), height: 224, width: 224).report(policy: published.policy)
        // As the program writes it.
        let data = Data(try JSONText.pretty(report).utf8)
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(Set(object.keys) == ["backbone", "heads", "blocks"])
        let backbone = try #require(object["backbone"] as? [String: Int])
        #expect(Set(backbone.keys) == ["macs_all", "macs_hard_sharing", "macs_selected", "macs_shared", "parameters"])
        let heads = try #require(object["heads"] as? [String: Int])
        #expect(Set(heads.keys) == ["macs", "parameters"])
        let blocks = try #require(object["blocks"] as? [[String: Any]])
        #expect(blocks.count == 8)
        #expect(
            Set(blocks[0].keys) == ["index", "name", "macs", "projection_macs", "parameters", "selected_by"])
        #expect(blocks[1]["selected_by"] as? [String] == ["normals"])
        #expect(blocks[1]["index"] as? Int == 1)
        #expect(blocks[1]["name"] as? String == "backbone.blocks.0.1")
        #expect(try JSONText.read(CostReport.self, data) == report)
    }

    @Test func reportAsText() throws {
        let published = PublishedPolicies.nyu2
        let text = CostModel(try published.architecture(), height: 224, width: 224)
            .report(policy: published.policy).table()
        for part in ["19.71 G", "18.48 G", "18.12 G", "11.18 M", "backbone.blocks.3.1", "segmentation, normals"] {
            #expect(text.contains(part), "missing \(part)")
        }
        #expect(!text.contains(" \n"))
    }
}
