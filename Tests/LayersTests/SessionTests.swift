import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareLayers

/// A network that learns, in the lines that a user of the library writes.
@Suite(.serialized, .needsDevice) struct SessionTests {
    @Test(arguments: TestDevice.families) func aNetworkLearns(family: KernelFamily) throws {
        let session = try ColourTraining.session(family: family)
        let losses = try ColourTraining.train(session, steps: 30, scalars: ["rate": 0.05, "gateRate": 0.01])
        let last = losses.suffix(5).reduce(0, +) / 5
        #expect(losses[0] > 0.8 && last < losses[0] / 3, "\(losses)")
        #expect(try session.read("net.blocks.0.bn1.num_batches_tracked") == [30])
        #expect(try session.failure() == nil)
    }

    @Test func aSessionIsAFunctionOfItsSeed() throws {
        let rates = ["rate": 0.05, "gateRate": 0.01]
        let losses = try [7, 7, 8].map {
            try ColourTraining.train(ColourTraining.session(seed: $0), steps: 4, scalars: rates)
        }
        #expect(losses[0] == losses[1])
        #expect(losses[0] != losses[2], "negative control")
        let cold = try ColourTraining.train(
            ColourTraining.session(), steps: 4, scalars: rates.merging(["temperature": 0.1]) { $1 })
        #expect(cold[0] != losses[0][0], "gates are sampled at the step's temperature")
    }

    @Test func onlyNamedGroupsMove() throws {
        func moved(_ session: Session, _ scalars: [String: Double]) throws -> Set<ParameterGroup> {
            let before = try session.parameters.map { try session.read($0.name) }
            _ = try ColourTraining.train(session, steps: 2, scalars: scalars)
            let after = try session.parameters.map { try session.read($0.name) }
            let changed = session.parameters.indices.filter { before[$0] != after[$0] }
            return Set(changed.map { session.parameters[$0].group })
        }
        #expect(
            try moved(ColourTraining.session(), ["rate": 0.1, "gateRate": 0.1]) == [
                "default", "gates", .batchNormState,
            ])
        #expect(try moved(ColourTraining.session(), ["gateRate": 0.1]) == ["gates", .batchNormState], "a rate of 0")
        #expect(
            try moved(ColourTraining.session(["gates": .adam(rate: "r")]), ["r": 0.1]) == ["gates", .batchNormState])
    }

    @Test func whatTheStepDoesNotHaveIsAnError() throws {
        let session = try ColourTraining.session()
        let batch = ColourTraining.images(1)
        func message(_ body: () throws -> Void) -> String {
            do {
                try body()
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(message { try session.step(["picture": batch.pixels]) }.contains("[\"image\", \"label\"]"))
        #expect(message { try session.step(["image": [Float(1)]]) }.contains("found 1 values, expected 1536"))
        #expect(message { try session.step(["label": [Float](repeating: 0, count: 8)]) }.contains("expected Int32"))
        #expect(message { try session.step(scalars: ["speed": 1]) }.contains("speed"))
        #expect(message { _ = try session.read("net.nothing") }.contains("net.nothing"))
        #expect(message { try session.write("net.gates", [0]) }.contains("expected 4"))
        let out = try session.step(["image": batch.pixels, "label": batch.classes])
        #expect(message { _ = try out.read("accuracy") }.contains("accuracy"))
        #expect(message { _ = try out.read("loss") }.isEmpty, "negative control")
    }

    @Test func parametersAreReadAsTheyWereWritten() throws {
        let session = try ColourTraining.session()
        let spec = try #require(session.parameters.first { $0.layout == .convolution })
        let values = (0..<spec.elementCount).map { Float($0) }
        try session.write(spec.name, values)
        #expect(try session.read(spec.name) == values)
    }

    @Test func whatIsNotFiniteStopsLearning() throws {
        let session = try ColourTraining.session()
        let rates = ["rate": 0.05, "gateRate": 0.01]
        _ = try ColourTraining.train(session, steps: 2, scalars: rates)
        let before = try session.read("net.head.weight")
        var batch = ColourTraining.images(2)
        batch.pixels[0] = .nan
        try session.step(["image": batch.pixels, "label": batch.classes], scalars: rates)
        #expect(try session.failure() == 2)
        _ = try ColourTraining.train(session, steps: 1, scalars: rates)
        #expect(try session.read("net.head.weight") == before)
    }

    @Test func aLateReadTraps() async throws {
        await #expect(processExitsWith: .failure) { try Self.read(late: true) }
        await #expect(processExitsWith: .success) { try Self.read(late: false) }
    }

    private static func read(late: Bool) throws {
        let session = try Session(TestDevice.context(), seed: 1) { s in
            let x = s.input("x", [1, 2, 2, 4])
            s.output("y", s("layer").convolution(x, channels: 3, kernel: 1))
        }
        let first = try session.step(["x": [Float](repeating: 1, count: 16)])
        let second = try session.step()
        _ = try (late ? first : second).read("y")
    }
}
