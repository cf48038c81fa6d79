import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// Extents of a prediction [n, h, w] and its classes.
struct CrossEntropyCase: Hashable, Sendable, CustomTestStringConvertible {
    let n: Int, h: Int, w: Int, classes: Int, ignore: Int
    var weighted = false
    var scale = 2.0
    /// Every label is `ignore`.
    var empty = false

    var testDescription: String {
        "\(n)×\(h)×\(w)×\(classes) ignore \(ignore) scale \(scale)" + (weighted ? " weighted" : "")
            + (empty ? " empty" : "")
    }

    static let all: [CrossEntropyCase] = [
        .init(n: 2, h: 5, w: 7, classes: 40, ignore: 255),
        .init(n: 2, h: 5, w: 7, classes: 19, ignore: -1),
        .init(n: 1, h: 6, w: 5, classes: 17, ignore: 255, weighted: true),
        .init(n: 3, h: 1, w: 1, classes: 345, ignore: -1),
        .init(n: 1, h: 4, w: 4, classes: 3, ignore: 255, scale: 80),
        .init(n: 2, h: 33, w: 35, classes: 3, ignore: 255, weighted: true),
        .init(n: 1, h: 3, w: 3, classes: 19, ignore: 255, empty: true),
        .init(n: 1, h: 1, w: 1, classes: 1, ignore: 255),
    ]
}

/// A regression task.
struct RegressionCase: Hashable, Sendable, CustomTestStringConvertible {
    let kind: LossKind
    let n: Int, h: Int, w: Int
    var empty = false

    var testDescription: String { "\(kind) \(n)×\(h)×\(w)" + (empty ? " empty" : "") }

    static let all: [RegressionCase] = [
        .init(kind: .cosine(published: false), n: 2, h: 5, w: 7),
        .init(kind: .cosine(published: true), n: 2, h: 5, w: 7),
        .init(kind: .cosine(published: false), n: 1, h: 33, w: 41),
        .init(kind: .cosine(published: true), n: 1, h: 2, w: 2, empty: true),
        .init(kind: .absolutePositive, n: 2, h: 5, w: 7),
        .init(kind: .absolutePositive, n: 1, h: 33, w: 41),
        .init(kind: .absolutePositive, n: 1, h: 2, w: 2, empty: true),
        .init(kind: .absoluteNot255, n: 3, h: 5, w: 5),
        .init(kind: .absoluteNot255, n: 1, h: 1, w: 1),
        .init(kind: .absoluteNot255, n: 1, h: 2, w: 2, empty: true),
    ]

    var isCosine: Bool { if case .cosine = kind { true } else { false } }

    var labels: Tensor {
        let shape = [n, h, w, isCosine ? 3 : 1]
        let invalid: Double = kind == .absolutePositive ? 0 : 255
        if empty { return .filled(shape: shape, with: invalid) }
        var labels = Tensor.random(shape: shape, seed: 2)
        labels = labels.map { isCosine ? (($0 + 1) * 127).rounded() : Double(Float(abs($0) * 5)) }
        for index in stride(from: 1, to: labels.count, by: 5) { labels.values[index] = invalid }
        // A label whose decoded direction has no length.
        if isCosine { for c in 0..<3 { labels.values[6 + c] = 127.5 } }
        return labels
    }

    func reference(_ x: Tensor) -> (loss: Double, gradient: Tensor) {
        switch kind {
        case .cosine(let published):
            Reference.cosineLoss(prediction: x, labels: labels, mode: published ? .published : .exact)
        case .absolutePositive:
            Reference.maskedL1(prediction: x, labels: labels.reshaped([n, h, w]), valid: .greaterThan(3e-5))
        default:
            Reference.maskedL1(prediction: x, labels: labels.reshaped([n, h, w]), valid: .notEqual(255))
        }
    }
}

extension OperatorsTests {
    @Suite struct LossesTests {
        /// Weight of the loss in the sum that is differentiated, so that the upstream gradient is not 1.
        static let upstream = 2.5

        @Test(arguments: TestDevice.families, CrossEntropyCase.all)
        func crossEntropyAndItsGradient(family: KernelFamily, a: CrossEntropyCase) throws {
            let x = Tensor.random(shape: [a.n, a.h, a.w, a.classes], seed: 1, scale: a.scale)
            let pixels = a.n * a.h * a.w
            let labels = (0..<pixels).map { Int32(a.empty || $0 % 6 == 3 ? a.ignore : ($0 * 7) % a.classes) }
            let weights = a.weighted ? Tensor.awayFromZero(shape: [a.classes], seed: 3).map { abs($0) } : nil
            let expected = Reference.softmaxCrossEntropy(
                logits: x, labels: labels, labelShape: [a.n, a.h, a.w], ignore: Int32(a.ignore), classWeights: weights)

            let trial = try Trial(family)
            let prediction = try trial.input("x", x)
            var inputs = [prediction, try trial.integers("labels", [a.n, a.h, a.w, 1], labels)]
            if let weights { inputs.append(try trial.input("weights", weights)) }
            try check(trial, .crossEntropy(ignore: a.ignore), inputs, expected)
        }

        @Test(arguments: TestDevice.families, RegressionCase.all)
        func regressionAndItsGradient(family: KernelFamily, a: RegressionCase) throws {
            let x = Tensor.awayFromZero(shape: [a.n, a.h, a.w, a.isCosine ? 3 : 1], seed: 4)
            let trial = try Trial(family)
            let prediction = try trial.input("x", x)
            let labels = try trial.input("labels", a.labels, compact: true)
            try check(trial, a.kind, [prediction, labels], a.reference(x))
        }

        private func check(
            _ trial: Trial, _ kind: LossKind, _ inputs: [Value], _ expected: (loss: Double, gradient: Tensor)
        ) throws {
            let loss = trial.graph.record(TaskLoss(kind), inputs)[0]
            trial.graph.output("loss", loss)
            let total = trial.apply("total", WeightedSum([Self.upstream]), loss)
            trial.keepGradients(of: total, for: ["dx": inputs[0]])
            let results = try trial.runTwice()
            try results.expect("loss", .scalar(expected.loss))
            try results.expect("total", .scalar(Self.upstream * expected.loss))
            try results.expect("dx", expected.gradient.map { Self.upstream * $0 })
            if expected.gradient.maximumMagnitude > 0 {
                // Negative control: a gradient without its upstream factor must not pass.
                #expect(try results.error("dx", expected.gradient) > 0.1)
            }
        }

        @Test(arguments: TestDevice.families)
        func tasksAreWeighted(family: KernelFamily) throws {
            let logits = Tensor.random(shape: [1, 3, 3, 19], seed: 5)
            let depth = Tensor.awayFromZero(shape: [1, 3, 3, 1], seed: 6)
            let labels = (0..<9).map { Int32($0 * 2) }
            let depthCase = RegressionCase(kind: .absolutePositive, n: 1, h: 3, w: 3)
            let trial = try Trial(family)
            let (x, z) = (try trial.input("x", logits), try trial.input("z", depth))
            let first = trial.graph.record(
                TaskLoss(.crossEntropy(ignore: 255)), [x, try trial.integers("labels", [1, 3, 3, 1], labels)])[0]
            let second = trial.graph.record(
                TaskLoss(.absolutePositive), [z, try trial.input("depth", depthCase.labels, compact: true)])[0]
            let total = trial.apply("total", WeightedSum([1, 20, -0.5]), first, second, first)
            trial.keepGradients(of: total, for: ["dx": x, "dz": z])
            let results = try trial.runTwice()
            let a = Reference.softmaxCrossEntropy(logits: logits, labels: labels, labelShape: [1, 3, 3], ignore: 255)
            let b = depthCase.reference(depth)
            try results.expect("total", .scalar(0.5 * a.loss + 20 * b.loss))
            try results.expect("dx", a.gradient.map { 0.5 * $0 })
            try results.expect("dz", b.gradient.map { 20 * $0 })
            #expect(try results.error("total", .scalar(a.loss + 20 * b.loss)) > 1e-3)
        }

        /// The flag keeps the first bad step and task, whatever follows.
        @Test(arguments: TestDevice.families)
        func finiteCheckKeepsTheFirst(family: KernelFamily) throws {
            let trial = try Trial(family)
            let losses = try ["a", "b"].map { try trial.input($0, .scalar(1)) }
            let flag = try trial.integers("flag", [2], [0, 0])
            for (task, loss) in losses.enumerated() {
                _ = trial.graph.record(FiniteCheck(task: task), [loss, flag, trial.graph.step])
            }
            func step(_ index: UInt32, _ a: Float, _ b: Float) throws -> [Int32] {
                trial.state.step = index
                try trial.executor.store.write("a", .scalar, [a])
                try trial.executor.store.write("b", .scalar, [b])
                _ = try trial.run()
                return try trial.executor.store.readIntegers("flag")
            }
            #expect(try step(0, 1, 3e38) == [0, 0])
            #expect(try step(7, 1, .nan) == [8, 1])
            #expect(try step(9, -.infinity, 1) == [8, 1])
            try trial.executor.store.write("flag", Shape([2], compact: true), [Int32(0), 0])
            #expect(try step(10, 1, 1) == [0, 0])
            #expect(try step(11, .infinity, .nan) == [12, 0])
        }
    }
}
