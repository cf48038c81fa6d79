import AdaShareConfiguration
import AdaShareDatasets
import AdaShareFiles
import AdaShareGraph
import AdaShareLayers
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSchema
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareTraining

/// A method of somebody else's: the tasks take turns, so many steps each, and those that wait learn nothing.
private struct TakingTurns: Method {
    static let kind = "taking_turns"
    static let meaning = "one task at a time, in turn"
    static var fields: [ConfigurationField<TakingTurns>] {
        [.key("turn", \.turn, in: 1...100, "Steps of a turn.")]
    }

    var turn = 1
    init() {}

    func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        [PhaseOutline(Phase(rawValue: "turns"), iterations: settings.wholeLength)]
    }

    func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        Turns(run: run, turn: turn)
    }

    private struct Turns: TrainingPhase {
        unowned let run: any MethodRun
        let turn: Int

        func enter() throws { try run.initialise(nil, keepingLogits: false) }

        func step(_ iteration: Int) throws -> PhaseStep {
            let task = iteration / turn % run.settings.tasks.count
            return PhaseStep(
                StepKind(SharedStep(only: task)), state: run.stepState(iteration, phase: 77),
                facts: ["turn": .string(run.settings.tasks[task])])
        }

        var kinds: [StepKind] { run.settings.tasks.indices.map { StepKind(SharedStep(only: $0)) } }
        func policy() throws -> DiscretePolicy { run.settings.allSelected }
    }
}

/// Another: gates of its own, in a group with a rate of its own, mix every block with its residual path.
private struct LearnedGates: Method {
    static let kind = "learned_gates"
    static let meaning = "every block mixed by gates that are learned"
    static var fields: [ConfigurationField<LearnedGates>] {
        [.key("rate", \.rate, "Of the gates.")]
    }

    /// nil never speaks of a rate.
    var rate: Double? = 0.05
    init() {}

    static func gates(_ task: String) -> String { "gates.\(task)" }

    func parameters(_ architecture: NetworkArchitecture) -> [ParameterSpec] {
        architecture.tasks.map {
            ParameterSpec(
                name: Self.gates($0.name), diskShape: [architecture.blocks.count, 2], layout: .matrix, group: "gates",
                initializer: .zeros, isTrainable: true)
        }
    }

    func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        [PhaseOutline(Phase(rawValue: "gating"), iterations: settings.wholeLength)]
    }

    func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        Gating(run: run, rate: rate)
    }

    private struct Step: NetworkStep {
        func record(in recorder: StepRecorder) {
            let (graph, shape) = (recorder.graph, Shape([recorder.blocks, 2]))
            let gates = recorder.present.map { task in
                let name = LearnedGates.gates(recorder.network.tasks[task].name)
                let noise = graph.record(UniformNoise(rows: shape.rows, columns: 2, name: name), [graph.step])[0]
                return graph.gumbelSoftmax(graph.parameter(name, shape), uniforms: noise, straightThrough: false).gates
            }
            let mixed = [BlockDecision](repeating: .mix, count: recorder.blocks)
            let (_, total) = recorder.objective(of: recorder.paths(gates.map { _ in mixed }, gates: gates))
            recorder.minimise(total, recorder.weightsInUse, by: recorder.network.rule)
        }
    }

    private struct Gating: TrainingPhase {
        unowned let run: any MethodRun
        let rate: Double?

        func enter() throws { try run.initialise(nil, keepingLogits: false) }

        func step(_ iteration: Int) throws -> PhaseStep {
            var state = run.stepState(iteration, phase: 78)
            state.temperature = 2
            if let rate {
                state.rates[run.catalog.slot(of: "gates")] = .init(
                    learningRate: rate, beta1: 0.9, beta2: 0.999, t: iteration + 1)
            }
            return PhaseStep(StepKind(Step()), state: state)
        }

        var kinds: [StepKind] { [StepKind(Step())] }
        func policy() throws -> DiscretePolicy { run.settings.allSelected }
    }
}

/// An objective of somebody else's: the first loss counts twice.
private struct TwiceTheFirst: Objective {
    static let kind = "twice_the_first"
    static let meaning = "the sum of the losses, the first one twice"

    func total(_ losses: [Value], in recorder: StepRecorder) -> Value {
        recorder.graph.record(WeightedSum(losses.indices.map { $0 == 0 ? 2 : 1 }), losses)[0]
    }

    func term(_ loss: Value, of task: Int, in recorder: StepRecorder) -> Value {
        recorder.graph.record(WeightedSum([task == recorder.present[0] ? 2 : 1]), [loss])[0]
    }
}

extension TrainingTests {
    /// A method and an objective that a package on top of this one adds, in one place: what is public is enough.
    @Suite(.needsDevice) struct ForeignMethodTests {
        private static let vocabulary = Vocabulary(
            methods: .standard.adding(TakingTurns.self).adding(LearnedGates.self),
            objectives: .standard.adding(TwiceTheFirst.self))
        private static let yaml = """
            tasks: [{ name: depth, kind: depth }, { name: normals, kind: normals }]
            dataset: { kind: scenes, count: 20, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }
            training: { batch: 4, log_every: 1, retrain: { iterations: 8 } }

            """

        private func train(_ overrides: [String]) throws -> (
            trainer: Trainer, steps: [JSONValue], folder: TemporaryFolder
        ) {
            let configuration = try ExperimentConfiguration.parse(
                yaml: Self.yaml, file: "c.yml", overrides: overrides, vocabulary: Self.vocabulary)
            try configuration.validateForTraining()
            let folder = try TemporaryFolder()
            let trainer = try Trainer(configuration, in: folder)
            try trainer.train()
            return (trainer, try EventLog.read(trainer.run.log).filter { $0["event"]?.string == "step" }, folder)
        }

        @Test func aMethodOfOnesOwnTrains() throws {
            let (trainer, steps, folder) = try train(["method=taking_turns", "method.turn=2"])
            defer { _ = folder }
            let turns = ["depth", "depth", "normals", "normals"]
            #expect(steps.compactMap { $0["turn"]?.string } == turns + turns)
            for step in steps {
                let turn = try #require(step["turn"]?.string)
                #expect(step["loss"]?[turn]?.double ?? 0 > 0)
                #expect(step["loss"]?[turn == "depth" ? "normals" : "depth"] == nil)
            }
            #expect(try trainer.summarise()?.method == "taking_turns")
            #expect(ConfigurationReference(Self.vocabulary).keys.contains { $0.path == "method.turn" })
        }

        /// What a method adds has a rate, optimiser state and a place in checkpoints.
        @Test(arguments: [nil, 0, 0.05]) func aMethodMayLearnSomethingOfItsOwn(rate: Double?) throws {
            let word = rate.map { "\($0)" } ?? "null"
            let (trainer, steps, folder) = try train(["method=learned_gates", "method.rate=\(word)"])
            defer { _ = folder }
            #expect(steps.count == 8 && trainer.catalog.slot(of: "gates") == RateSlot(4))
            let weights = try TensorFile.read(trainer.run.url.appendingPathComponent("checkpoints/gating.safetensors"))
            for task in ["depth", "normals"] {
                let gates = try weights.floats("gates.\(task)")
                #expect(gates.count == 16 && gates.contains { $0 != 0 } == (rate ?? 0 > 0), "\(gates)")
            }
            // Networks without them, and with one task, read the file all the same; and a method begins without them.
            func network(_ overrides: [String], tasks: [String]) throws -> NetworkRuntime {
                let configuration = try ExperimentConfiguration.parse(
                    yaml: Self.yaml, file: "c.yml", overrides: overrides, vocabulary: Self.vocabulary)
                return try Experiment(configuration.selecting(tasks)).makeNetwork(library: TestDevice.nativeLibrary())
            }
            let plain = try network(["method=hard_sharing"], tasks: ["depth", "normals"])
            try plain.load(weights)
            let one = try network(["method=learned_gates"], tasks: ["depth"])
            try one.load(weights)
            #expect(try one.checkpoint().floats("gates.depth") == weights.floats("gates.depth"))
            let fresh = try network(["method=learned_gates"], tasks: ["depth", "normals"])
            try fresh.initialise(seed: 1)
            try fresh.load(plain.checkpoint(), partial: true)
            #expect(try fresh.checkpoint().floats("gates.depth").allSatisfy { $0 == 0 })
        }

        @Test func anObjectiveOfOnesOwnIsMinimised() throws {
            let (_, steps, folder) = try train(["method=hard_sharing", "objective=twice_the_first"])
            defer { _ = folder }
            #expect(steps.count == 8)
            for step in steps {
                let (depth, normals) = (step["loss"]?["depth"]?.double ?? 0, step["loss"]?["normals"]?.double ?? 0)
                let total = step["loss"]?["total"]?.double ?? .nan
                #expect(abs(total - (2 * depth + normals)) < 1e-5 * total && abs(total - (depth + normals)) > 1e-2)
            }
        }
    }
}
