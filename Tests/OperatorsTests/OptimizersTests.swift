import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// One optimiser setting of the method.
struct OptimizerCase: Hashable, Sendable, CustomTestStringConvertible {
    let name: String
    let rate: RateSlot
    let learningRate, weightDecay: Double
    /// SGD's momentum, or nil for Adam.
    var momentum: Double?
    var beta1 = 0.9, beta2 = 0.999

    var testDescription: String { name }

    var kernel: String { momentum == nil ? "adam" : "sgd" }
    var update: any MultiTensorOperator {
        guard let momentum else { return AdamUpdate(rate: rate, beta1: beta1, beta2: beta2, weightDecay: weightDecay) }
        return SGDUpdate(rate: rate, momentum: momentum, weightDecay: weightDecay)
    }

    static let all: [OptimizerCase] = [
        .init(name: "SGD", rate: RateSlot(1), learningRate: 0.05, weightDecay: 1e-2, momentum: 0.9),
        .init(name: "Adam of the logits", rate: RateSlot(13), learningRate: 0.01, weightDecay: 5e-4),
        .init(name: "Adam of the warm-up", rate: RateSlot(0), learningRate: 1e-3, weightDecay: 1e-4, beta1: 0.5),
    ]
}

extension OperatorsTests {
    @Suite struct OptimizersTests {
        static let shapes = [[16, 2], [3, 3, 19, 40]]
        static let steps = 6

        /// Parameter and optimiser state as the reference moves them.
        private struct Track {
            var parameter: Tensor
            var first, second: Tensor
            var t = 0

            mutating func move(_ a: OptimizerCase, gradient: Tensor) {
                t += 1
                if let momentum = a.momentum {
                    (parameter, first) = Reference.sgd(
                        parameter: parameter, gradient: gradient, buffer: t == 1 ? nil : first,
                        learningRate: a.learningRate, momentum: momentum, weightDecay: a.weightDecay)
                } else {
                    (parameter, first, second) = Reference.adam(
                        parameter: parameter, gradient: gradient, first: first, second: second, step: t,
                        learningRate: a.learningRate, betas: (a.beta1, a.beta2), weightDecay: a.weightDecay)
                }
            }
        }

        @Test(arguments: TestDevice.families, OptimizerCase.all)
        func severalStepsFollowReference(family: KernelFamily, a: OptimizerCase) throws {
            for shape in Self.shapes {
                var track = Track(
                    parameter: .random(shape: shape, seed: 1), first: .zeros(shape: shape),
                    second: .zeros(shape: shape))
                let trial = try Trial(family)
                try record(a, trial, track)
                for step in 0..<Self.steps {
                    let gradient = Tensor.random(shape: shape, seed: UInt64(10 + step), scale: 0.5)
                    try advance(a, trial, gradient: gradient, t: step + 1)
                    track.move(a, gradient: gradient)
                    try trial.stored("p", shape).expect("p", track.parameter, tolerance: 2e-6)
                    try trial.stored("m", shape).expect("m", track.first, tolerance: 2e-6)
                    if a.momentum == nil { try trial.stored("v", shape).expect("v", track.second, tolerance: 2e-6) }
                }
                // Negative control: one more step must not pass.
                track.move(a, gradient: .random(shape: shape, seed: 99, scale: 0.5))
                #expect(try trial.stored("p", shape).error("p", track.parameter) > 1e-4)
            }
        }

        @Test(arguments: TestDevice.families, OptimizerCase.all)
        func nothingMovesOnceTheFlagIsSet(family: KernelFamily, a: OptimizerCase) throws {
            let shape = [5, 19]
            var track = Track(
                parameter: .random(shape: shape, seed: 2), first: .zeros(shape: shape), second: .zeros(shape: shape))
            let trial = try Trial(family)
            try record(a, trial, track)
            let gradient = Tensor.random(shape: shape, seed: 3)
            try advance(a, trial, gradient: gradient, t: 1)
            track.move(a, gradient: gradient)
            try trial.executor.store.write("flag", Shape([2], compact: true), [Int32(2), 0])
            let before = try ["p", "m", "v"].map { try trial.executor.store.read($0) }
            try advance(a, trial, gradient: gradient.map { _ in .nan }, t: 2)
            #expect(try ["p", "m", "v"].map { try trial.executor.store.read($0) } == before)
            try trial.stored("p", shape).expect("p", track.parameter, tolerance: 2e-6)
        }

        /// The same steps twice give the same bits.
        @Test(arguments: TestDevice.families, OptimizerCase.all)
        func stepsRepeat(family: KernelFamily, a: OptimizerCase) throws {
            let shape = [7, 19]
            let start = Track(
                parameter: .random(shape: shape, seed: 4), first: .zeros(shape: shape), second: .zeros(shape: shape))
            let runs = try (0..<2).map { _ in
                let trial = try Trial(family)
                try record(a, trial, start)
                for t in 1...3 {
                    let gradient = Tensor.random(shape: shape, seed: UInt64(20 + t))
                    try advance(a, trial, gradient: gradient, t: t)
                }
                return try trial.executor.store.read("p")
            }
            #expect(runs[0] == runs[1])
        }

        /// One launch for some tensors, of fewer vectors than a group takes and of more, gives the bits of one launch
        /// for each; and changes no other.
        @Test(arguments: TestDevice.families, OptimizerCase.all)
        func severalTensorsMoveAsByThemselves(family: KernelFamily, a: OptimizerCase) throws {
            for (count, shape) in [(2, [7, 19]), (a.momentum == nil ? 28 : 27, [19]), (3, [3, 3, 19, 40])] {
                let trial = try Trial(family)
                let starts = (0..<count).map { Tensor.random(shape: shape, seed: UInt64(100 + $0)) }
                func gradient(_ index: Int, _ step: Int) -> Tensor {
                    .random(shape: shape, seed: UInt64(1000 * step + index), scale: 0.5)
                }
                let kinds = a.momentum == nil ? ["p", "g", "m", "v"] : ["p", "g", "m"]
                var inputs: [Value] = []
                for (index, start) in starts.enumerated() {
                    inputs.append(try trial.parameter("p\(index)", start))
                    inputs.append(try trial.input("g\(index)", .zeros(shape: shape)))
                    for kind in kinds[2...] {
                        inputs.append(try trial.parameter("\(kind)\(index)", .zeros(shape: shape)))
                    }
                }
                inputs += [trial.graph.step, try trial.integers("flag", [2], [0, 0])]
                let update: any MultiTensorOperator = a.update
                _ = trial.graph.record(update.of(tensors: count), inputs)
                for step in 1...3 {
                    for index in starts.indices {
                        try trial.executor.store.write("g\(index)", Shape(shape), gradient(index, step).floats)
                    }
                    try advance(a, trial, t: step)
                }
                #expect(try #require(trial.plan).launches.map(\.site.name) == [a.kernel + "_tensors"])
                for (index, start) in starts.enumerated() {
                    let alone = try Trial(family)
                    try record(
                        a, alone, Track(parameter: start, first: .zeros(shape: shape), second: .zeros(shape: shape)))
                    for step in 1...3 { try advance(a, alone, gradient: gradient(index, step), t: step) }
                    #expect(try #require(alone.plan).launches.map(\.site.name) == [a.kernel])
                    for kind in kinds where kind != "g" {
                        let (joined, single) = (
                            try trial.stored("\(kind)\(index)", shape), try alone.stored(kind, shape)
                        )
                        #expect(
                            joined.outputs["\(kind)\(index)"]?.stored == single.outputs[kind]?.stored,
                            "\(kind) of tensor \(index) of \(count), pads included")
                    }
                    // Negative control: each has values of its own.
                    #expect(try alone.executor.store.read("p") != trial.executor.store.read("p\((index + 1) % count)"))
                }
                let before = try trial.executor.store.read("p0")
                try trial.executor.store.write("flag", Shape([2], compact: true), [Int32(1), 0])
                try advance(a, trial, t: 4)
                #expect(try trial.executor.store.read("p0") == before, "the flag is set")
            }
        }

        private func record(_ a: OptimizerCase, _ trial: Trial, _ start: Track) throws {
            let parameter = try trial.parameter("p", start.parameter)
            let gradient = try trial.input("g", .zeros(shape: start.parameter.shape))
            let (m, v) = (try trial.parameter("m", start.first), try trial.parameter("v", start.second))
            let flag = try trial.integers("flag", [2], [0, 0])
            let state = a.momentum == nil ? [m, v] : [m]
            _ = trial.graph.record(a.update, [parameter, gradient] + state + [trial.graph.step, flag])
        }

        private func advance(_ a: OptimizerCase, _ trial: Trial, gradient: Tensor, t: Int) throws {
            try trial.executor.store.write("g", Shape(gradient.shape), gradient.floats)
            try advance(a, trial, t: t)
        }

        private func advance(_ a: OptimizerCase, _ trial: Trial, t: Int) throws {
            trial.state.step = UInt32(t - 1)
            // The other groups' rates must not be read.
            for slot in RateSlot.all { trial.state.rates[slot] = .init(learningRate: 100) }
            trial.state.rates[a.rate] = .init(
                learningRate: a.learningRate, beta1: a.momentum == nil ? a.beta1 : 0,
                beta2: a.momentum == nil ? a.beta2 : 0, t: t)
            _ = try trial.run()
        }
    }
}
