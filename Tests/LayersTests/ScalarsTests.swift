import AdaShareOperators
import TestSupport
import Testing

@testable import AdaShareLayers

/// Numbers with names of their own that the host gives with each step.
@Suite(.serialized, .needsDevice) struct ScalarsTests {
    /// A pixel's convolution whose output is brought to zero, by a weighted loss.
    private func session(learnsWeight: Bool = false) throws -> Session {
        try Session(TestDevice.context(), seed: 3) { s in
            let x = s.input("x", [1, 2, 2, 4])
            let y = s("layer").convolution(x, channels: 1, kernel: 1)
            let loss = s("loss").record(TaskLoss(.absoluteNot255), [y, s.input("target", [1, 2, 2, 1])])[0]
            let weight =
                learnsWeight
                ? s("weight").parameter("factor", [1], initial: .constant(0.5)) : s.scalar("weight")
            let weighted = s.scaled(loss, by: weight)
            s.output("loss", loss)
            s.output("weighted", weighted)
            s.minimise(weighted, ["default": .sgd(rate: "rate")])
        }
    }

    private let values: [String: any StepValues] = [
        "x": (0..<16).map { Float($0) / 16 }, "target": [Float](repeating: 0, count: 4),
    ]

    @Test func lossesAreWeightedByTheStepsScalar() throws {
        let session = try session()
        let before = try session.read("layer.weight")
        func moved(_ weight: Double) throws -> [Float] {
            try session.write("layer.weight", before)
            let out = try session.step(values, scalars: ["weight": weight, "rate": 0.125])
            let (loss, weighted) = (try out.read("loss"), try out.read("weighted"))
            #expect(loss[0] > 0 && weighted[0] == Float(weight) * loss[0])
            return zip(try session.read("layer.weight"), before).map { $0 - $1 }
        }
        let one = try moved(1)
        #expect(one.contains { abs($0) > 1e-3 })
        #expect(try moved(0) == [0, 0, 0, 0])
        #expect(zip(try moved(4), one).allSatisfy { abs($0 - 4 * $1) < 1e-6 })
        #expect(try moved(1) == one, "each step has its own")
    }

    /// The gradient of a weighted loss reaches a weight that is a parameter.
    @Test func aWeightThatIsAParameterLearns() throws {
        let session = try session(learnsWeight: true)
        let out = try session.step(values, scalars: ["rate": 0.125])
        let loss = try out.read("loss")[0]
        #expect(try session.read("weight.factor") == [0.5 - 0.125 * loss])
        #expect(try out.read("weighted") == [0.5 * loss] && loss > 0)
    }

    @Test func scalarsThatAreMissingOrUnknownAreErrors() throws {
        let session = try session()
        func message(_ scalars: [String: Double]) -> String {
            do {
                try session.step(values, scalars: scalars)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(message(["rate": 1]).contains("[\"weight\"]: found no values"))
        #expect(message(["weight": 1, "speed": 1]).contains("scalar speed"))
        #expect(message(["weight": 1, "speed": 1]).contains("[\"rate\", \"temperature\", \"weight\"]"))
        #expect(session.steps == 0, "steps that are refused are not counted")
        #expect(message(["weight": 1]).isEmpty && session.steps == 1, "negative control")
    }
}
