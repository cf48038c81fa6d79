import AdaShareDatasets
import AdaShareFiles
import AdaShareGraph
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

extension TrainingTests {
    /// Methods whose network is another one than the tasks' common backbone.
    @Suite(.needsDevice) struct OwnNetworkTests {
        private static let yaml = """
            tasks:
              - { name: segmentation, kind: segmentation, channels: 6 }
              - { name: depth, kind: depth }
              - { name: edges, kind: edges }
            dataset: { kind: scenes, count: 20, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            training: { batch: 4, retrain: { iterations: 2 } }

            """
        private static let joined = ["cross_stitch", "sluice", "nddr"]
        private static let all = joined + ["mtan"]

        /// Subspaces need channels.
        private static func choice(_ method: String) -> [String] {
            ["method=\(method)"] + (method == "sluice" ? ["model.width=0.5"] : [])
        }

        private func configuration(_ overrides: [String]) throws -> ExperimentConfiguration {
            try .parse(yaml: Self.yaml, file: "c.yml", overrides: overrides)
        }

        private func experiment(_ method: String, _ overrides: String...) throws -> Experiment {
            try Experiment(configuration(Self.choice(method) + overrides))
        }

        private func network(_ experiment: Experiment) throws -> NetworkRuntime {
            let network = try experiment.makeNetwork(library: TestDevice.nativeLibrary())
            try network.initialise(seed: 1)
            return network
        }

        private func batch(_ experiment: Experiment, step: Int = 0) throws -> Batch {
            let dataset = try experiment.makeDataset()
            return try experiment.loader(dataset, split: dataset.splits.train, phase: "train", startStep: step).next()
        }

        // MARK: - What it costs

        @Test func backbonesAndUnitsAreCounted() throws {
            // Behind the stem and the stages: channels, and pixels of 16×16 images.
            let places = [(16, 25), (16, 25), (16, 9), (32, 9), (64, 9)]
            let units = [
                "cross_stitch": (places.reduce(0) { $0 + 9 * $1.0 }, 0),
                // 2 × 6 for each task and place, and β of the last two blocks.
                "sluice": (5 * 3 * 12 + 3 * 2, 0),
                "nddr": (
                    places.reduce(0) { $0 + 9 * $1.0 * $1.0 + 3 * 2 * $1.0 },
                    places.reduce(0) { $0 + 9 * $1.0 * $1.0 * $1.1 }
                ),
            ]
            for method in Self.joined {
                let width = method == "sluice" ? 0.5 : 0.125
                let plain = try experiment("hard_sharing", "model.width=\(width)").trainingCost.report()
                #expect(plain.network == nil && plain.macs == plain.backbone.macsShared)
                let report = try experiment(method).trainingCost.report()
                let (parameters, macs) = try #require(units[method])
                #expect(report.parameters == 3 * plain.backbone.parameters + parameters, "\(method)")
                #expect(report.macs == 3 * plain.backbone.macsShared + macs, "\(method)")
                #expect(report.heads == plain.heads && report.backbone == plain.backbone)
                #expect(report.table().contains("the method's network"))
            }
            let plain = try experiment("hard_sharing").trainingCost.report()
            let attention = try experiment("mtan").trainingCost.report()
            #expect(attention.macs > plain.macs && attention.macs < 2 * plain.macs)
            #expect(attention.parameters > plain.parameters && attention.parameters < 2 * plain.parameters)
        }

        /// What is counted is what is trained: every trainable tensor but the logits has a gradient.
        @Test(arguments: all) func whatIsCountedIsTrained(method: String) throws {
            let experiment = try experiment(method)
            var graphs = experiment.stepGraphs
            graphs.keepsGradients = true
            let graph = Graph()
            let kind = experiment.method.namedKinds(
                experiment.methodSettings, policy: experiment.methodSettings.allSelected)[0].kind
            graphs.trace(kind, batch: experiment.trainingShape, into: graph)
            let trained = Set(
                graph.outputs.map(\.name).filter { $0.hasPrefix("gradient/") }.map { $0.dropFirst(9) }.map(String.init))
            let specs = experiment.catalog.specs.filter { $0.isTrainable && $0.group != .policy }
            #expect(trained == Set(specs.map(\.name)))
            let report = experiment.trainingCost.report()
            #expect(specs.reduce(0) { $0 + $1.elementCount } == report.parameters + report.heads.parameters)
        }

        // MARK: - First values

        @Test func unitsBeginWithATasksOwnFeatures() throws {
            let stitched = try experiment("cross_stitch", "method.self_weight=0.8")
            let weights = try #require(stitched.catalog["task2_stitch.stages.3.weight"])
            #expect(weights.diskShape == [3, 64])
            let first = weights.initialValues(seed: 1)
            let rest = Float((1 - 0.8) / 2)
            for (place, value) in first.enumerated() { #expect(value == (place / 64 == 1 ? 0.8 : rest)) }
            let fused = try experiment("nddr")
            for (name, weight) in [("of_task1", 0.9), ("of_task3", (1 - 0.9) / 2)] {
                let values = try #require(fused.catalog["task1_nddr.stem.\(name).weight"]).initialValues(seed: 1)
                #expect(values.count == 256)
                for (place, value) in values.enumerated() {
                    #expect(value == (place % 17 == 0 ? Float(weight) : 0), "\(name) \(place)")
                }
            }
            let sluice = try experiment("sluice")
            let alpha = try #require(sluice.catalog["task2_sluice.stages.1.weight"])
            #expect(alpha.diskShape == [2, 6])
            for (place, value) in alpha.initialValues(seed: 1).enumerated() {
                // Rows are the task's own subspaces, the third and the fourth of all.
                #expect(value == (place == 2 || place == 9 ? Float(0.9) : Float((1 - 0.9) / 5)), "\(place)")
            }
            let beta = try #require(sluice.catalog["task3_sluice.last.weight"]).initialValues(seed: 1)
            #expect(beta == [Float(1 - 0.9), 0.9])
        }

        /// With nothing taken over from others, the first task's network is the one of hard sharing.
        @Test func withoutExchangeTasksAreAlone() throws {
            let (plain, stitched) = (
                try experiment("hard_sharing"), try experiment("cross_stitch", "method.self_weight=1")
            )
            let batch = try batch(plain)
            let policy = plain.methodSettings.allSelected
            let alone = try network(plain).predict(batch, policy: policy)
            let joined = try network(stitched).predict(batch, policy: policy)
            #expect(joined.count == 3)
            #expect(joined["segmentation"]?.values == alone["segmentation"]?.values)
            #expect(joined["depth"]?.values != alone["depth"]?.values, "a backbone of its own")
            let mixed = try network(experiment("cross_stitch")).predict(batch, policy: policy)
            #expect(mixed["segmentation"]?.values != alone["segmentation"]?.values)
        }

        // MARK: - Steps

        @Test(arguments: joined) func unitsHaveARateOfTheirOwn(method: String) throws {
            for rate in [0.0, 10] {
                let folder = try TemporaryFolder()
                let configuration = try configuration(
                    Self.choice(method) + ["method.fusion_rate=\(rate)", "training.weight_decay=0"])
                try configuration.validateForTraining()
                let trainer = try Trainer(configuration, in: folder)
                try trainer.train()
                let state = try trainer.currentPhase().step(0).state
                let (units, backbone) = (state.rates[trainer.catalog.slot(of: .fusion)], state.rates[.backbone])
                #expect(units?.learningRate == Float(rate) * (backbone?.learningRate ?? .nan))
                var moved: [ParameterGroup: Set<Bool>] = [:]
                for spec in trainer.catalog.specs where spec.isTrainable && spec.group != .policy {
                    moved[spec.group, default: []].insert(
                        try trainer.network.read(spec) != spec.initialValues(seed: 1))
                }
                #expect(moved == [.backbone: [true], .heads: [true], .fusion: [rate > 0]])
            }
        }

        /// A task without a label in the batch learns nothing in its head; its backbone is read by the others.
        @Test(arguments: all) func aTaskMayBeAbsent(method: String) throws {
            let experiment = try experiment(method)
            let network = try network(experiment)
            try network.beginPhase()
            var batch = try batch(experiment)
            let depth = try #require(batch.labels["depth"])
            batch.labels["depth"] = BatchLabels(
                format: depth.format, images: 4, numbers: depth.numbers, isCarried: [false, false, false, false])
            var state = StepState()
            for slot in RateSlot.all { state.rates[slot] = .init(learningRate: 0.01, beta1: 0.9, beta2: 0.999) }
            let kind = experiment.method.namedKinds(
                experiment.methodSettings, policy: experiment.methodSettings.allSelected)[0].kind
            let plan = try #require(try network.step(kind, batch: batch, state: state))
            #expect(try network.losses(of: plan).keys.sorted() == ["edges", "segmentation", "total"])
            func moved(_ name: String) throws -> Bool {
                let spec = try #require(network.graphs.catalog[name])
                return try network.read(spec) != spec.initialValues(seed: 1)
            }
            #expect(try !moved("task2_head.weight") && moved("task3_head.weight") && moved("backbone.conv1.weight"))
            if method == "mtan" {
                #expect(try !moved("task2_attention.stages.0.conv1.weight"))
                #expect(try moved("task3_attention.stages.0.conv1.weight"))
            } else {
                #expect(try moved("task2.backbone.conv1.weight"))
            }
        }

        // MARK: - Files

        @Test(arguments: all) func weightsFitTheirNetworkAlone(method: String) throws {
            let own = try network(experiment(method))
            let plain = try network(experiment("hard_sharing"))
            let (file, other) = (try own.checkpoint(), try plain.checkpoint())
            // Hard sharing would predict something else with these weights, and this network cannot do without its own.
            #expect(throws: InputError.self) { try plain.load(file) }
            #expect(throws: InputError.self) { try own.load(other) }
            try own.load(file)
            let part = try Experiment(configuration(Self.choice(method)).selecting(["segmentation", "edges"]))
            if method == "mtan" {
                let images = try batch(part)
                let policy = part.methodSettings.allSelected
                let some = try network(part)
                try some.load(file)
                let (all, few) = (
                    try own.predict(images, policy: part.methodSettings.allSelected),
                    try some.predict(images, policy: policy)
                )
                #expect(few.count == 2 && few["edges"]?.values == all["edges"]?.values)
            } else {
                let error = #expect(throws: InputError.self) { try network(part).load(file) }
                #expect(error?.description.contains("some of them") == true)
            }
        }

        /// Weights to begin with are those of one backbone: every task's begins there.
        @Test func backbonesBeginFromOne() throws {
            let plain = try network(experiment("hard_sharing"))
            try plain.initialise(seed: 7)
            let file = try plain.checkpoint()
            let own = try network(experiment("cross_stitch"))
            try own.load(file, partial: true)
            let read = try own.checkpoint()
            for name in ["conv1.weight", "blocks.2.1.conv2.weight", "ds.1.1.running_var", "bn1.bias"] {
                let begun = try file.floats("backbone.\(name)")
                for prefix in ["", "task2.", "task3."] {
                    #expect(try read.floats("\(prefix)backbone.\(name)") == begun, "\(prefix)\(name)")
                }
            }
            #expect(try read.floats("task1_stitch.stem.weight").first == 0.9)
        }

        // MARK: - What is refused

        @Test(arguments: all) func whatHasNoMeaningIsRefused(method: String) throws {
            let experiment = try experiment(method)
            let error = #expect(throws: InputError.self) { try experiment.policy(.all) }
            #expect(error?.description.contains(method) == true)
            let one = try configuration(Self.choice(method)).selecting(["depth"])
            let alone = #expect(throws: InputError.self) { try one.validateForTraining() }
            #expect(alone?.description.contains("at least two") == true)
            let apart = try ExperimentConfiguration.parse(
                yaml: Self.yaml, file: "c.yml",
                overrides: Self.choice(method) + ["tasks.1.dataset.kind=scenes", "tasks.1.dataset.count=20"])
            let separate = #expect(throws: InputError.self) { try apart.validateForTraining() }
            #expect(separate?.description.contains("different images") == true)
        }

        /// The penalty is part of what is minimised; its gradient is in the golden steps.
        @Test func orthogonalityIsAddedToTheTotal() throws {
            var totals: [Double] = []
            for weight in [0.0, 0.5] {
                let experiment = try experiment("sluice", "method.orthogonality=\(weight)")
                let network = try network(experiment)
                try network.beginPhase()
                let kind = experiment.method.namedKinds(
                    experiment.methodSettings, policy: experiment.methodSettings.allSelected)[0].kind
                let plan = try #require(
                    try network.step(kind, batch: try batch(experiment), state: StepState()))
                let losses = try network.losses(of: plan)
                let tasks = try experiment.tasks.map { $0.weight * (try #require(losses[$0.name])) }.reduce(0, +)
                totals.append(try #require(losses["total"]) - tasks)
            }
            #expect(abs(totals[0]) < 1e-4 && totals[1] > 1e-3, "\(totals)")
        }

        /// Also where only some stages have channels that halve into subspaces, and whatever command asks.
        @Test(arguments: [0.125, 0.75, 0.9]) func channelsThatDoNotHalveAreRefused(width: Double) throws {
            let made = try configuration(["method=sluice", "model.width=\(width)"])
            for open in [{ try made.validateForTraining() }, { _ = try Experiment(made) }] {
                let refusal = #expect(throws: InputError.self) { try open() }
                #expect(refusal?.description.contains("model.width") == true)
            }
            _ = try Experiment(try configuration(["method=sluice", "model.width=0.5"]))
        }

        @Test func keysAreThoseOfSeveralMethods() throws {
            for method in Self.joined {
                let made = try configuration(["method=\(method)", "method.self_weight=0.5", "method.fusion_rate=3"])
                let chosen = try #require(made.method.chosen as? any FusionMethod)
                #expect(chosen.selfWeight == 0.5 && chosen.fusionRate == 3)
                let again = try ExperimentConfiguration.parse(yaml: made.yaml(), file: "again.yml")
                #expect(again == made)
            }
            let sluice = try configuration(["method=sluice", "method.orthogonality=0.2"])
            #expect(sluice.method[Sluice.self].orthogonality == 0.2)
            for method in ["mtan", "hard_sharing"] {
                #expect(throws: InputError.self) { try configuration(["method=\(method)", "method.self_weight=0.5"]) }
            }
            #expect(throws: InputError.self) { try configuration(["method=nddr", "method.self_weight=1.5"]) }
            let keys = ConfigurationReference().keys.map(\.path)
            #expect(keys.count { $0 == "method.self_weight" } == 1)
        }
    }
}
