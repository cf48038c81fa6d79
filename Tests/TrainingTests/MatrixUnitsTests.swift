import AdaShareLayers
import AdaShareModels
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareMethods
@testable import AdaShareOperators
@testable import AdaShareTraining

extension TrainingTests {
    /// Whole steps on matrix units, the device's or emulated: every gradient, loss, statistic and update of every kind
    /// of step.
    @Suite struct MatrixUnitsTests {
        /// A kind of step in a precision.
        struct Case: Sendable, CustomTestStringConvertible {
            let golden: GoldenCase
            let operands: MatrixOperands
            var testDescription: String { "\(golden.file) \(operands.rawValue)" }
        }

        private static let cases = MatrixOperands.allCases.flatMap { operands in
            [GoldenCase.warmupLight, .warmupFourRate, .mixed, .mixedHard, .retrain, .logits].map {
                Case(golden: $0, operands: operands)
            }
        }

        /// To the bit where units are emulated. Real ones add in another order, which can round an operand otherwise:
        /// that is far less than what rounding all of them comes to.
        private static func limit(_ units: MatrixUnits, rounding: Double) -> Double {
            units == .emulated ? 0 : 0.25 * rounding + 1e-4
        }

        /// A forgotten operand that this kind of step has, in turns.
        private static func forgotten(_ a: Case) -> RoundedStep.Operand {
            switch a.golden.file {
            case GoldenCase.warmupLight.file: .init(pass: .weightGradient, position: 1)
            case GoldenCase.warmupFourRate.file: .init(pass: .weightGradient, position: 0)
            case GoldenCase.mixed.file: .init(pass: .dataGradient, position: 1)
            case GoldenCase.mixedHard.file: .init(pass: .dataGradient, position: 0)
            case GoldenCase.retrain.file: .init(pass: .forward, position: 1)
            default: .init(pass: .forward, position: 0)
            }
        }

        @Test(arguments: cases)
        func stepsComputeWhatRoundingLeaves(a: Case) throws {
            let plain = try TestDevice.library(.gpu)
            let arithmetic = try #require(ConvolutionArithmetic(rawValue: a.operands.rawValue))
            let units = try plain.matrixUnits(a.operands) ?? .emulated
            let library = try KernelLibrary(
                context: plain.context, family: .gpu, matrixUnits: [a.operands: units])
            let size = a.golden.head == .light ? (2, 17, 21) : (1, 33, 41)
            let network = try GoldenNetwork(a.golden, on: library, arithmetic: arithmetic, size: size)
            let float32 = try GoldenNetwork(a.golden, on: plain, size: size)
            func step(_ network: GoldenNetwork, _ step: Int) throws -> [String: [Float]] {
                let plan = try network.run(a.golden.kind, step: step, learningRate: a.golden.learningRate)
                return try outputs(network, plan)
            }
            let first = try (step(network, 0), step(float32, 0))
            try compareLosses(a, first.0, first.1)
            try compareGradients(a, first.0, first.1)
            // The second step has seen gradients and updates; float32's begins with the same weights and state.
            let before = try contents(network)
            let found = try step(network, 1)
            let graph = network.graph(a.golden.kind)
            try expectMatrixUnits(graph, a.operands)
            for external in graph.externals {
                guard external.role == .parameter, let values = before[external.name] else { continue }
                try float32.runtime.executor.store.write(external.name, external.value.shape, values)
            }
            let exact = try step(float32, 1)
            try compareLosses(a, found, exact)
            func rounded(_ operands: MatrixOperands?, forgotten: RoundedStep.Operand? = nil) throws -> RoundedStep {
                try RoundedStep(
                    graph, on: plain, operands: operands, forgotten: forgotten,
                    externals: externals(graph, network, before),
                    state: GoldenNetwork.state(step: 1, learningRate: a.golden.learningRate))
            }
            let (expected, unrounded) = (try rounded(a.operands), try rounded(nil))
            // But for rounding it is float32's step, which golden files have checked.
            #expect(Set(unrounded.outputs.keys) == Set(exact.keys))
            for (name, values) in exact { #expect(unrounded.outputs[name] == values, "\(name)") }
            for external in graph.externals where external.role == .parameter {
                let after = try float32.runtime.executor.store.read(external.name)
                #expect(try unrounded.parameter(external.name) == after, "\(external.name)")
            }
            #expect(Set(expected.outputs.keys) == Set(found.keys))
            for (name, values) in expected.outputs {
                let apart = distance(values, try #require(found[name]))
                let rounding = distance(values, try #require(unrounded.outputs[name]))
                #expect(apart <= Self.limit(units, rounding: rounding), "\(name): \(apart), rounding \(rounding)")
            }
            for external in graph.externals where external.role == .parameter {
                let (values, plain) = (
                    try expected.parameter(external.name), try unrounded.parameter(external.name)
                )
                let after = try network.runtime.executor.store.read(external.name)
                let apart = distance(values, after)
                let limit = Self.limit(units, rounding: distance(values, plain))
                #expect(apart <= limit, "\(external.name) after the step: \(apart)")
            }

            // Negative controls: without rounding, and with one operand of one pass left as it was.
            let others =
                [unrounded] + (units == .emulated ? [try rounded(a.operands, forgotten: Self.forgotten(a))] : [])
            for other in others {
                let isSeen = expected.outputs.contains { name, values in
                    let rounding = distance(values, unrounded.outputs[name] ?? [])
                    return distance(values, other.outputs[name] ?? []) > Self.limit(units, rounding: rounding)
                }
                #expect(isSeen)
            }
            for (name, values) in expected.outputs
            where name.hasPrefix("gradient/") && values.contains(where: { $0 != 0 }) {
                let limit = Self.limit(units, rounding: distance(values, unrounded.outputs[name] ?? []))
                #expect(limit < 0.5, "\(name): a missing gradient is 1 apart, one with another sign 2")
            }
        }

        /// Near float32, and not the same.
        private func compareLosses(_ a: Case, _ found: [String: [Float]], _ plain: [String: [Float]]) throws {
            let names = (GoldenNetwork.tasks.map(\.name) + ["total"]).map { "loss/\($0)" }
            func losses(_ outputs: [String: [Float]]) throws -> [Float] {
                try names.map { try #require(outputs[$0])[0] }
            }
            let apart = largestDifference(try losses(plain), try losses(found))
            #expect(apart < (a.operands == .tf32 ? 5e-3 : 2e-2))
            #expect(apart > 1e-7, "the same bits are no other precision")
        }

        /// As near to float32's as ReLUs that rounding turns over in so small a network leave them, with the same
        /// weights. A missing gradient is 1 apart, an unrelated one 1.4.
        private func compareGradients(_ a: Case, _ found: [String: [Float]], _ plain: [String: [Float]]) throws {
            // Four-rate heads see a single image through dilations that are wider than it is.
            guard a.golden.head == .light else { return }
            for (name, values) in plain where name.hasPrefix("gradient/") {
                let apart = distance(values, try #require(found[name]))
                #expect(apart < 0.6, "\(name): \(apart)")
            }
        }

        /// Every convolution runs on matrix units.
        private func expectMatrixUnits(_ graph: LoweredGraph, _ operands: MatrixOperands) throws {
            let used = graph.nodes.compactMap { ($0.operation as? any ConvolutionPass)?.algorithm }
            #expect(!used.isEmpty && used.allSatisfy { $0.operands == operands })
        }

        private func contents(_ network: GoldenNetwork) throws -> [String: [Float]] {
            let store = network.runtime.executor.store
            return Dictionary(
                uniqueKeysWithValues: try store.names.filter { $0 != Graph.stepName }.map { ($0, try store.read($0)) })
        }

        /// What a step read: parameters as they were before it, optimiser state that it found none of, and the batch.
        private func externals(
            _ graph: LoweredGraph, _ network: GoldenNetwork, _ before: [String: [Float]]
        ) throws -> [String: [Float]] {
            var result = before
            for external in graph.externals where external.name != Graph.stepName {
                if external.role == .input {
                    result[external.name] = try network.runtime.executor.store.read(external.name)
                } else if before[external.name] == nil {
                    #expect(external.name.hasPrefix(OptimizerState.prefix), "\(external.name)")
                    result[external.name] = [Float](repeating: 0, count: external.value.shape.count)
                }
            }
            return result
        }

        private func outputs(_ network: GoldenNetwork, _ plan: Plan) throws -> [String: [Float]] {
            var result: [String: [Float]] = [:]
            for name in plan.outputs.keys { result[name] = try network.runtime.executor.read(name, of: plan) }
            return result
        }
    }
}
