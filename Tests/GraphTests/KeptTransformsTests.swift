import AdaShareDeviceLayer
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension GraphTests {
    /// Weights that are transformed once for many steps, and need not stay on the device themselves.
    @Suite(.needsDevice) struct KeptTransformsTests {
        /// A convolution that Winograd's algorithm computes, in one part or, of whole phases, in several.
        struct Case: CustomTestStringConvertible, Sendable {
            let algorithm: ConvolutionAlgorithm
            var dilation = 1

            static let all = [
                Case(algorithm: .winograd(tile: 4)), Case(algorithm: .winograd(tile: 5), dilation: 2),
                Case(algorithm: .winogradPhases, dilation: 6),
            ]

            var geometry: ConvolutionGeometry {
                ConvolutionGeometry(kernelHeight: 3, kernelWidth: 3, dilation: dilation, padding: dilation)
            }
            /// Memory for fewer channels than there are, so that weights are cut in slices.
            func choices(_ kept: KeptTransforms) -> AlgorithmChoices {
                let (image, outputs) = (KeptTransformsTests.image, KeptTransformsTests.kernel.channels)
                let problem = ConvolutionProblem(.forward, geometry, input: image, outputs: outputs)
                var choices = AlgorithmChoices(measured: [problem: algorithm])
                choices.keptTransforms = kept
                choices.winogradMemory.weightBytes = 1
                return choices
            }
            var testDescription: String { "\(algorithm), dilation \(dilation)" }
        }

        private static let image = Shape([1, 10, 9, 32])
        private static let kernel = Shape([3, 3, 32, 64])
        private static let transform = "winograd_weights"

        private func values(_ shape: Shape, _ seed: UInt64) -> [Float] { TestDevice.values(shape, seed) }

        /// A convolution, its loss and, if it is trained, its weights' update.
        private func record(_ a: Case, training: Bool = false, in graph: Graph) {
            let w = graph.parameter("w", Self.kernel)
            let y = graph.convolution(
                graph.input("x", Self.image), weights: w, dilation: a.dilation, padding: a.dilation)
            graph.output("y", y)
            guard training else { return }
            let logits = graph.record(GlobalAveragePool(), [y])[0]
            let labels = graph.input("labels", Shape([1, 1, 1], compact: true))
            let loss = graph.record(TaskLoss(.crossEntropy(ignore: 255)), [logits, labels])[0]
            let flag = graph.input("flag", Shape([2], compact: true))
            _ = graph.record(
                SGDUpdate(rate: RateSlot(0), momentum: 0, weightDecay: 0),
                [w, graph.gradients(of: loss, for: [w])[0]!, graph.parameter("m", Self.kernel), graph.step, flag])
        }

        private func prepared(_ family: KernelFamily, weights seed: UInt64? = 1) throws -> Executor {
            let executor = try TestDevice.trainingExecutor(family)
            try executor.store.write("x", Self.image, values(Self.image, 9))
            if let seed { try executor.store.write("w", Self.kernel, values(Self.kernel, seed)) }
            return executor
        }

        private func plan(
            _ a: Case, _ kept: KeptTransforms, training: Bool = false, _ executor: Executor
        ) throws -> Plan {
            try executor.plan("\(kept) \(training)", choices: a.choices(kept)) { record(a, training: training, in: $0) }
        }

        /// Results of a plan, and how many transforms of weights it launched.
        private func run(_ plan: Plan, _ executor: Executor) throws -> (results: [String: [Float]], transforms: Int) {
            var results: [String: [Float]] = [:]
            let launched = try TestDevice.launched { results = try executor.results(plan) }
            return (results, launched.count { $0 == Self.transform })
        }

        @Test(arguments: TestDevice.families, Case.all)
        func transformsAreMadeOncePerVersionOfTheWeights(family: KernelFamily, a: Case) throws {
            let executor = try prepared(family)
            let (kept, inPass) = (try plan(a, .all, executor), try plan(a, .none, executor))
            let parts = kept.prologue.reduce(0) { $0 + $1.encoding.requests.count }
            #expect(kept.prologue.count == 1 && parts == (a.algorithm == .winogradPhases ? 4 : 1))
            #expect(kept.arenaBytes < inPass.arenaBytes && kept.multiplyAccumulates == inPass.multiplyAccumulates)

            let expected = try run(inPass, executor)
            #expect(expected.transforms == 2 * parts, "two slices of channels")
            let (first, second) = (try run(kept, executor), try run(kept, executor))
            #expect(first.results == expected.results && second.results == expected.results, "the same bits")
            #expect(first.transforms == parts && second.transforms == 0)

            try executor.store.write("w", Self.kernel, values(Self.kernel, 2))
            let third = try run(kept, executor)
            #expect(third.transforms == parts && third.results != expected.results)
            #expect(try third.results == run(inPass, executor).results)
        }

        @Test(arguments: TestDevice.families)
        func whatAnotherPlanLearnsIsSeen(family: KernelFamily) throws {
            let a = Case.all[0]
            let executor = try prepared(family)
            let evaluation = try plan(a, .all, executor)
            let training = try plan(a, .all, training: true, executor)
            #expect(training.prologue.isEmpty, "weights that change are transformed in the pass")
            let before = try run(evaluation, executor)
            try executor.run(training)
            let after = try run(evaluation, executor)
            #expect(after.transforms == 1 && after.results != before.results)
            #expect(try after.results == run(plan(a, .none, executor), executor).results)
            #expect(try run(evaluation, executor).transforms == 0)
        }

        @Test func transformsAreKeptWhereTilesAreFew() throws {
            func isKept(_ kept: KeptTransforms, _ side: Int, channels: Int = 512, batch: Int = 1) -> Bool {
                let output = Shape([batch, side, side, channels])
                return WinogradWeights.areKept(
                    kept, for: WinogradTiles.cover(output, dilation: 1, size: 4),
                    weights: Shape([3, 3, channels, channels]))
            }
            #expect(isKept(.whereWorthIt, 28) && !isKept(.whereWorthIt, 28, batch: 4) && !isKept(.whereWorthIt, 56))
            #expect(!isKept(.whereWorthIt, 28, channels: 2048), "more than is allocated at once")
            #expect(!isKept(.none, 4) && isKept(.all, 56))
        }

        /// Weights from a source are on the device only while something reads them as they are.
        @Test(arguments: TestDevice.families)
        func weightsThatAreTransformedTakeNoMemory(family: KernelFamily) throws {
            let a = Case.all[0]
            let written = try prepared(family)
            let expected = try run(plan(a, .all, written), written).results
            let executor = try prepared(family, weights: nil)
            let store = executor.store
            var reads = 0
            try store.supply("w", Self.kernel) {
                reads += 1
                return values(Self.kernel, 1)
            }
            let withoutWeights = store.byteCount
            #expect(withoutWeights + Self.kernel.byteCount == written.store.byteCount)
            let kept = try plan(a, .all, executor)
            #expect(reads == 0 && store.byteCount == withoutWeights)
            #expect(try run(kept, executor).results == expected)
            #expect(try run(kept, executor).results == expected)
            #expect(reads == 1 && store.byteCount == withoutWeights)

            let graph = Graph()
            record(a, in: graph)
            let planned = try PlannedMemory([graph.lowered(for: family, choices: a.choices(.all))])
            let beside = Set(store.names).subtracting(["x", "step"])
            #expect(beside == ["w", "labels", "flag"])
            #expect(executor.byteCount == planned.total + 2 * 512, "beside what is planned, labels and flag")

            // Another plan reads them as they are: they come back, and stay as long as that plan does.
            let inPass = try plan(a, .none, executor)
            #expect(try run(inPass, executor).results == expected)
            #expect(reads == 2 && store.byteCount == written.store.byteCount)
            #expect(try run(kept, executor).transforms == 0, "the same version as before")
            #expect(try store.read("w") == values(Self.kernel, 1))
            #expect(reads == 2 && store.byteCount == written.store.byteCount, "the plan still holds them")

            // Other values.
            try store.supply("w", Self.kernel) { values(Self.kernel, 2) }
            try written.store.write("w", Self.kernel, values(Self.kernel, 2))
            let others = try run(plan(a, .all, written), written).results
            #expect(try run(kept, executor).results == others && run(inPass, executor).results == others)
            #expect(others != expected, "negative control")
        }

        @Test func whatASourceGaveAndAStepChangedStays() throws {
            let a = Case.all[0]
            let executor = try prepared(.cpu, weights: nil)
            try executor.store.supply("w", Self.kernel) { values(Self.kernel, 1) }
            try executor.run(plan(a, .all, training: true, executor))
            let learned = try executor.store.read("w")
            #expect(learned != values(Self.kernel, 1))
            let evaluation = try plan(a, .all, executor)
            let results = try run(evaluation, executor).results
            #expect(try executor.store.read("w") == learned)
            let fresh = try prepared(.cpu, weights: nil)
            try fresh.store.write("w", Self.kernel, learned)
            #expect(try run(plan(a, .all, fresh), fresh).results == results)
        }
    }
}
