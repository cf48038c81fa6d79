import AdaShareDeviceLayer
import AdaShareLayers
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareModels

/// Tracing every backbone onto a graph: what is recorded is what the cost model counts.
@Suite(.serialized) struct NetworkTraceTests {
    static let tasks = [
        TaskHead(name: "a", channels: 5), TaskHead(name: "b", channels: 3), TaskHead(name: "c", channels: 1),
    ]

    private func trace(
        _ architecture: NetworkArchitecture, _ policy: DiscretePolicy, mode: NetworkTrace.Mode = .inference,
        height: Int = 33, width: Int = 41
    ) -> Graph {
        let graph = Graph()
        var trace = NetworkTrace(graph: graph, architecture: architecture, mode: mode)
        let images = architecture.sources.map {
            graph.input($0 == 0 ? "image" : "image\($0)", Shape([1, height, width, 3], compact: true))
        }
        let decisions = policy.select.map { row in row.map { $0 ? BlockDecision.select : .skip } }
        for (task, features) in trace.features(images: images, decisions: decisions).enumerated() {
            graph.output("output/\(task)", trace.head(task: task, features: features))
        }
        return graph
    }

    private func macs(_ graph: Graph) -> Int {
        graph.lowered(for: .cpu).nodes.reduce(0) { sum, node in
            sum
                + node.operation.multiplyAccumulates(
                    inputs: node.inputs.map(\.shape), outputs: node.outputs.map(\.shape))
        }
    }

    /// Every distinct (operation, input) once, for any policy: an independent count from value numbering.
    @Test(arguments: BackboneKind.allCases)
    func recordedWorkEqualsTheCostModel(backbone: BackboneKind) throws {
        let architecture = try NetworkArchitecture(backbone: backbone, width: 0.25, head: .light, tasks: Self.tasks)
        let cost = CostModel(architecture, height: 33, width: 41)
        let heads = cost.heads.reduce(0) { $0 + $1.macs }
        let blocks = architecture.blocks.count
        for seed in 0..<8 as Range<UInt64> {
            let density = Double(seed) / 7
            let policy = DiscretePolicy.random(density: density, tasks: 3, blocks: blocks, seed: seed)
            #expect(macs(trace(architecture, policy)) == cost.parts.cost(of: policy, .shared) + heads)
        }
        // Negative control: another policy's count differs.
        let all = DiscretePolicy.hardSharing(tasks: 3, blocks: blocks)
        let none = DiscretePolicy.random(density: 0, tasks: 3, blocks: blocks, seed: 1)
        #expect(macs(trace(architecture, all)) != cost.parts.cost(of: none, .shared) + heads)
    }

    private func tasks(_ sources: [Int]) -> [TaskHead] {
        zip(Self.tasks, sources).map { TaskHead(name: $0.name, channels: $0.channels, source: $1) }
    }

    /// The same where tasks are given images of their own, or two of them the same: value numbering merges what is
    /// equal and nothing else, with batch norms per task or without.
    @Test(arguments: [[0, 1, 2], [0, 1, 0], [0, 0, 0]], [false, true])
    func separateImagesShareWeightsAlone(sources: [Int], isPooled: Bool) throws {
        for hasTaskBatchNorm in Set(sources).count == 3 ? [false, true] : [false] {
            let architecture = try NetworkArchitecture(
                backbone: .resnet18, width: 0.25, head: .light, tasks: tasks(sources), isPooled: isPooled,
                hasTaskBatchNorm: hasTaskBatchNorm)
            let cost = CostModel(architecture, height: 33, width: 41)
            let heads = cost.heads.reduce(0) { $0 + $1.macs }
            for seed in 0..<4 as Range<UInt64> {
                let policy = DiscretePolicy.random(density: Double(seed) / 3, tasks: 3, blocks: 8, seed: seed)
                let graph = trace(architecture, policy)
                #expect(macs(graph) == cost.parts.cost(of: policy, .shared) + heads)
                guard Set(sources).count == 3 else { continue }
                #expect(macs(graph) == cost.parts.cost(of: policy, .passes) + heads)
            }
            // Every parameter of the catalog that a pass of every block reads, and no other.
            let all = DiscretePolicy.hardSharing(tasks: 3, blocks: 8)
            let read = Set(trace(architecture, all, mode: .training).externals.map(\.name))
            let weights = ParameterCatalog(architecture).specs.filter { $0.isTrainable && $0.group != .policy }
            #expect(read.isSuperset(of: weights.map(\.name)))
            #expect(
                read.filter { $0.hasPrefix("backbone.") && ($0.hasSuffix(".weight") || $0.hasSuffix(".bias")) }.count
                    == weights.count { $0.name.hasPrefix("backbone.") })
        }
        // Negative control: tasks of one image are one pass.
        let one = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, head: .light, tasks: tasks([0, 0, 0]), isPooled: isPooled)
        let separate = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, head: .light, tasks: tasks([0, 1, 2]), isPooled: isPooled)
        let all = DiscretePolicy.hardSharing(tasks: 3, blocks: 8)
        #expect(macs(trace(one, all)) < macs(trace(separate, all)))
    }

    /// Running statistics of images of one's own: a shared batch norm takes them in task order, one of a task its own.
    @Test(arguments: [false, true]) func statisticsOfSeparateImages(hasTaskBatchNorm: Bool) throws {
        let architecture = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, tasks: tasks([0, 1, 2]), isPooled: true,
            hasTaskBatchNorm: hasTaskBatchNorm)
        let graph = Graph()
        var trace = NetworkTrace(graph: graph, architecture: architecture, mode: .training)
        let images = (0..<3).map { graph.input("image\($0)", Shape([1, 33, 41, 3], compact: true)) }
        var decisions = [[BlockDecision]](repeating: Array(repeating: .select, count: 8), count: 3)
        decisions[1][3] = .skip
        _ = trace.features(images: images, decisions: decisions)
        trace.network.updateStatistics(flag: graph.parameter("flag", Shape([2], compact: true)))
        let updates = graph.nodes.filter { $0.operation is BatchNormUpdate }
        #expect(updates.allSatisfy { ($0.operation as? BatchNormUpdate)?.batches == 1 })
        // Each update's statistics are those of one image.
        func origins(of value: Value) -> [Int] {
            var (open, seen, found) = ([value.id], Set<Int>(), Set<Int>())
            let makers = Dictionary(
                graph.nodes.flatMap { node in node.outputs.map { ($0.id, node) } }, uniquingKeysWith: { a, _ in a })
            while let id = open.popLast() {
                guard seen.insert(id).inserted else { continue }
                if let image = images.firstIndex(where: { $0.id == id }) { found.insert(image) }
                open += makers[id]?.inputs.map(\.id) ?? []
            }
            return found.sorted()
        }
        func order(_ scope: String) -> [[Int]] {
            updates.filter { $0.label == "\(scope)/statistics" }.map { origins(of: $0.inputs[0]) }
        }
        if hasTaskBatchNorm {
            for task in 0..<3 { #expect(order("backbone.task\(task)_bn1") == [[task]]) }
            for task in [0, 2] { #expect(order("backbone.blocks.1.1.task\(task)_bn2") == [[task]]) }
            #expect(order("backbone.blocks.1.1.task1_bn2").isEmpty && order("backbone.bn1").isEmpty)
            #expect(order("backbone.task1_ds.3.1") == [[1]])
        } else {
            #expect(order("backbone.bn1") == [[0], [1], [2]] && order("backbone.blocks.1.1.bn2") == [[0], [2]])
            #expect(order("backbone.ds.3.1") == [[0], [1], [2]])
        }
    }

    /// Hard sharing has a path for each of the images, of those tasks that take part.
    @Test func hardSharingPassesEachImageOnce() throws {
        let architecture = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, head: .light, tasks: tasks([0, 1, 0]))
        func stems(_ present: [Int]) -> (convolutions: Int, features: [Value]) {
            let graph = Graph()
            var trace = NetworkTrace(graph: graph, architecture: architecture, mode: .training)
            let images = present.map {
                graph.input("image\(architecture.sources[$0])", Shape([1, 33, 41, 3], compact: true))
            }
            let features = trace.shared(tasks: present, images: images)
            return (graph.nodes.count { $0.operation is Convolution && $0.label == "backbone.conv1" }, features)
        }
        let all = stems([0, 1, 2])
        #expect(all.convolutions == 2 && all.features[0] == all.features[2] && all.features[0] != all.features[1])
        #expect(stems([0, 2]).convolutions == 1 && stems([1]).features.count == 1)
    }

    /// The published three-task policy on the full network, forward.
    @Test func publishedPolicyIsTracedOnce() throws {
        let published = PublishedPolicies.nyu3
        let architecture = try published.architecture()
        let cost = CostModel(architecture, height: 224, width: 224)
        let graph = trace(architecture, published.policy, height: 224, width: 224)
        #expect(macs(graph) == cost.parts.cost(of: published.policy, .shared) + cost.heads.reduce(0) { $0 + $1.macs })
    }

    /// A skipped block leaves no trace of its parameters; its stage's projection stays.
    @Test func skippedBlocksAreNotTraced() throws {
        let architecture = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, head: .light, tasks: Self.tasks)
        let none = DiscretePolicy.random(density: 0, tasks: 3, blocks: 8, seed: 1)
        let names = trace(architecture, none).externals.map(\.name)
        #expect(!names.contains { $0.hasPrefix("backbone.blocks") })
        #expect(names.contains("backbone.ds.1.0.weight") && names.contains("backbone.conv1.weight"))
    }

    /// Running statistics move once per path: three times where three tasks pass.
    @Test func statisticsCountPaths() throws {
        let architecture = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, head: .light, tasks: Self.tasks)
        let graph = Graph()
        var trace = NetworkTrace(graph: graph, architecture: architecture, mode: .training)
        let image = graph.input("image", Shape([1, 33, 41, 3], compact: true))
        var decisions = [[BlockDecision]](repeating: Array(repeating: .select, count: 8), count: 3)
        decisions[2][3] = .skip
        _ = trace.features(image: image, decisions: decisions)
        trace.network.updateStatistics(flag: graph.parameter("flag", Shape([2], compact: true)))
        func updates(_ prefix: String) -> [Int] {
            graph.nodes.compactMap { node in
                guard let update = node.operation as? BatchNormUpdate, node.label == "\(prefix)/statistics" else {
                    return nil
                }
                return update.batches
            }
        }
        #expect(updates("backbone.bn1") == [3])
        #expect(updates("backbone.blocks.1.1.bn1") == [2])
        #expect(updates("backbone.blocks.3.1.bn2") == [2, 1])
        #expect(updates("backbone.ds.2.1") == [2, 1])
    }

    /// Every backbone, dense and classification, runs on the device and gives finite outputs of the right shape.
    @Test(.needsDevice, arguments: BackboneKind.allCases, [false, true])
    func runsOnTheDevice(backbone: BackboneKind, isPooled: Bool) throws {
        let executor = Executor(library: try TestDevice.library(TestDevice.nativeFamily()))
        let architecture = try NetworkArchitecture(
            backbone: backbone, width: 0.25, head: .light, tasks: Self.tasks, isPooled: isPooled)
        for spec in ParameterCatalog(architecture).specs where spec.layout != .counter {
            try executor.store.write(
                spec.name, Shape(spec.deviceShape), spec.deviceOrder(spec.initialValues(seed: 1)))
        }
        let image = Shape([1, 33, 41, 3], compact: true)
        try executor.store.write("image", image, (0..<image.count).map { Float($0 % 17) - 8 })
        let policy = DiscretePolicy.random(density: 0.7, tasks: 3, blocks: architecture.blocks.count, seed: 3)
        let plan = try executor.makePlan(trace(architecture, policy))
        try executor.run(plan)
        let size = architecture.featureSize(height: 33, width: 41)
        for (index, task) in Self.tasks.enumerated() {
            let expected = isPooled ? [1, 1, 1, task.channels] : [1, size.height, size.width, task.channels]
            #expect(executor.shape("output/\(index)", of: plan)?.dimensions == expected)
            let values = try executor.read("output/\(index)", of: plan)
            #expect(values.allSatisfy(\.isFinite) && values.contains { $0 != 0 })
        }
    }
}
