import AdaShareDeviceLayer
import Foundation
import TestSupport
import Testing

@testable import AdaShareOperators
@testable import AdaShareProfiling
@testable import AdaShareTraining
@testable import AdaShareTuning

extension ConvolutionProblem {
    /// Large enough to be worth measuring, with three candidates that are compiled quickly.
    static func strided(_ pass: Pass) -> ConvolutionProblem {
        ConvolutionProblem(
            pass, ConvolutionGeometry(kernelHeight: 3, kernelWidth: 3, stride: 2, padding: 1),
            input: Shape([1, 152, 24, 64]), outputs: 64)
    }

    /// With Winograd's among the candidates, and the same tiles of pixels.
    static func plain(_ pass: Pass) -> ConvolutionProblem {
        ConvolutionProblem(
            pass, ConvolutionGeometry(kernelHeight: 3, kernelWidth: 3, padding: 1), input: Shape([1, 120, 12, 64]),
            outputs: 64)
    }

    /// Too small to be worth measuring with 16 channels.
    static func dilated(_ pass: Pass, channels: Int = 64) -> ConvolutionProblem {
        ConvolutionProblem(
            pass, ConvolutionGeometry(kernelHeight: 3, kernelWidth: 3, dilation: 2, padding: 2),
            input: Shape([1, 31, 33, channels]), outputs: 64)
    }
}

extension AlgorithmSearch.Result {
    init(_ algorithm: ConvolutionAlgorithm, _ milliseconds: Double, _ error: Double = 1e-7, scatter: Double = 0) {
        self.init(algorithm: algorithm, milliseconds: milliseconds, scatter: scatter, error: error)
    }
}

extension AlgorithmSearch.Measuring {
    /// By times that are made up.
    static func scripted(_ clock: @escaping (ConvolutionAlgorithm) throws -> Double) -> Self {
        var measuring = Self()
        measuring.clock = { run in
            let problem = try #require(run.item.problem)
            return try clock(run.choices.algorithm(for: problem, family: run.executor.library.family))
        }
        return measuring
    }
}

/// What is made of times, from times written down by hand.
@Suite struct AlgorithmSearchPolicyTests {
    private typealias Result = AlgorithmSearch.Result

    @Test func winnersAreRightAndNotByNoise() {
        func winner(_ results: [Result]) -> ConvolutionAlgorithm? { AlgorithmSearch.winner(of: results)?.algorithm }
        #expect(winner([Result(.winograd(tile: 4), 2), Result(.direct(), 1)]) == .direct())
        #expect(winner([Result(.winograd(tile: 4), 1), Result(.direct(), 0.99)]) == .winograd(tile: 4), "within noise")
        #expect(winner([Result(.winograd(tile: 4), 100), Result(.direct(), 97.01)]) == .winograd(tile: 4), "just so")
        #expect(winner([Result(.winograd(tile: 4), 100), Result(.direct(), 96.99)]) == .direct(), "just not")
        #expect(winner([Result(.winograd(tile: 4), 1, 1e-3), Result(.direct(), 5)]) == .direct(), "wrong")
        #expect(winner([Result(.winograd(tile: 4), 1, .infinity), Result(.direct(), 5, 1e-2)]) == nil)
        #expect(winner([]) == nil)
        let three = [Result(.winograd(tile: 4), 3), Result(.winograd(tile: 2), 2), Result(.direct(), 1)]
        #expect(winner(three) == .direct() && winner(Array(three.prefix(2))) == .winograd(tile: 2))
    }

    @Test func doubtfulWinnersAreSeen() {
        func isUncertain(_ results: Result...) -> Bool { AlgorithmSearch.isUncertain(results) }
        #expect(!isUncertain(Result(.direct(), 2), Result(.winograd(tile: 4), 1)))
        #expect(!isUncertain(Result(.direct(), 1.01), Result(.winograd(tile: 4), 1)), "a tie of quiet runs")
        #expect(isUncertain(Result(.direct(), 1.2, scatter: 0.15), Result(.winograd(tile: 4), 1)))
        #expect(isUncertain(Result(.direct(), 1.2), Result(.winograd(tile: 4), 1, scatter: 0.15)))
        #expect(!isUncertain(Result(.direct(), 1.5, scatter: 0.15), Result(.winograd(tile: 4), 1)))
        #expect(!isUncertain(Result(.direct(), 1.2, 1, scatter: 0.15), Result(.winograd(tile: 4), 1)), "wrong")
        #expect(!isUncertain(Result(.direct(), 1, scatter: 1)), "nothing to choose")
    }

    @Test func theBestOfTwoMeasurementsStands() {
        let (quiet, busy) = (Result(.direct(), 1, scatter: 0.5), Result(.direct(), 1.2, scatter: 0.01))
        for best in [quiet.best(with: busy), busy.best(with: quiet)] {
            #expect(best.milliseconds == 1 && abs(best.scatter - 0.2) < 1e-12)
        }
    }

    /// Candidates and their runs, in order: the times of each, the last of which repeats.
    private final class Script {
        static let algorithms: [ConvolutionAlgorithm] = [.winograd(tile: 4), .direct(), .winograd(tile: 2)]
        private let times: [[Double]]
        private(set) var order: [Int] = []

        init(_ times: [Double]...) { self.times = times }

        func runs(_ index: Int) -> Int { order.count { $0 == index } }

        /// - Parameter first: the run whose result is checked, of each; 1 ms if nil.
        func results(errors: [Double] = [1e-7, 1e-7, 1e-7], first: [Double]? = nil) -> [Result] {
            let algorithms = times.indices.map { (Self.algorithms[$0], errors[$0]) }
            let first = first ?? times.map { _ in 1 }
            return AlgorithmSearch.results(of: algorithms, first: first, AlgorithmSearch.Measuring()) { index in
                let run = runs(index)
                order.append(index)
                return times[index][min(run, times[index].count - 1)]
            }
        }
    }

    @Test func runsAreMeasuredThreeTimesInTurns() {
        let script = Script([50, 49, 50], [80, 80, 70])
        let results = script.results()
        #expect(script.order == [0, 1, 0, 1, 0, 1])
        #expect(results.map(\.milliseconds) == [49, 70])
        #expect(abs(results[0].scatter - 1 / 49.0) < 1e-12 && abs(results[1].scatter - 10 / 70.0) < 1e-12)
    }

    /// The run that was checked counts, and what is far behind in it is not run again.
    @Test func longRunsAreMeasuredTwice() {
        let script = Script([990], [1200], [900])
        let results = script.results(first: [1000, 1210, 1500])
        #expect(script.order == [0, 1])
        #expect(results.map(\.milliseconds) == [990, 1200, 1500])
        #expect(abs(results[0].scatter - 10 / 990.0) < 1e-12 && results[2].scatter == 0)
        // Of one that takes less it does not: it may have found things cold.
        let other = Script([40], [50])
        #expect(other.results(first: [10, 190]).map(\.milliseconds) == [40, 50])
        #expect((0..<2).map(other.runs) == [3, 3])
    }

    @Test func shortRunsAreMeasuredMoreOftenUpToALimit() {
        // 9 ms a round: twelve of them are the first to take 100.
        let some = Script([3], [6])
        _ = some.results()
        #expect(some.runs(0) == 12 && some.runs(1) == 12)
        let many = Script([0.5], [1])
        _ = many.results()
        #expect(many.runs(0) == 20 && many.runs(1) == 20)
    }

    /// The order is in doubt until the first has run undisturbed once more; what is far behind is not measured again.
    @Test func contendersAreMeasuredWhileTheirOrderIsInDoubt() {
        let script = Script([40, 48, 48, 48, 40], [42], [90, 130])
        let results = script.results()
        #expect(script.order == [0, 1, 2, 0, 1, 0, 1] + [0, 1, 0, 1])
        #expect(results.map(\.milliseconds) == [40, 42, 90] && results.prefix(2).allSatisfy { $0.scatter == 0 })
        #expect(!AlgorithmSearch.isUncertain(results))
    }

    /// Half the speed of the fastest one that is right is too slow to be measured again, unless a run was so short that
    /// it may have been disturbed.
    @Test func whatIsFarBehindIsNotMeasuredAgain() {
        let script = Script([40], [81], [79])
        let results = script.results()
        #expect((0..<3).map(script.runs) == [3, 1, 3])
        #expect(results.map(\.milliseconds) == [40, 81, 79] && results[1].scatter == 0)
        let short = Script([10], [21], [45, 9])
        let best = short.results()
        #expect((0..<3).map(short.runs) == [3, 2, 3])
        #expect(AlgorithmSearch.winner(of: best)?.milliseconds == 9)
        // One that is wrong is no measure.
        let wrong = Script([10], [60], [50])
        _ = wrong.results(errors: [1, 1e-7, 1e-7])
        #expect((0..<3).map(wrong.runs) == [3, 3, 3])
    }

    /// Doubt that does not go away ends after thirty rounds or a second and a half, and is still there.
    @Test func decidingEnds() {
        // Ever shorter runs: the best is always 10 % better than the second.
        func falling(from first: Double) -> [Double] { (0..<60).map { first * pow(0.9, Double($0)) } }
        let short = Script(falling(from: 30), falling(from: 31))
        #expect(AlgorithmSearch.isUncertain(short.results()))
        #expect(short.runs(0) == 3 + 30)
        let long = Script([400, 300, 200] + falling(from: 190), [400, 300, 200] + falling(from: 185))
        #expect(AlgorithmSearch.isUncertain(long.results()))
        // 400, 375, 337, 304 and 273 ms of both together: the fifth passes 1500.
        #expect(long.runs(0) == 2 + 5)
    }

    @Test func whatIsWrongIsNoContender() {
        let script = Script([40, 60], [41, 41], [42, 70])
        let results = script.results(errors: [1e-7, 1e-2, .infinity])
        #expect(script.order.count == 9, "there is only one that is right")
        #expect(results.map(\.isRight) == [true, false, false])
        #expect(results[2].error == .greatestFiniteMagnitude, "a number, for the database")
    }

    /// Runs that are shorter than a clock can tell are timed together until they take 2 ms, or nearly; the next time as
    /// many as were found to do.
    @Test func shortRunsAreTimedTogether() {
        func measured(_ milliseconds: Double, from repeats: Int = 1) -> (time: Double, calls: [Int]) {
            var calls: [Int] = []
            // A launch and a wait take 0.02 ms however many runs there are.
            let found = OperatorRun.once(repeats: repeats) { count in
                calls.append(count)
                return 0.02 + milliseconds * Double(count)
            }
            #expect(found.repeats == calls.last)
            return (found.milliseconds, calls)
        }
        #expect(measured(30).calls == [1], "long runs one by one")
        #expect(measured(1.2).calls == [1])
        let short = measured(0.004)
        #expect(abs(short.time / 0.004 - 1) < 0.02, "a run, not a launch and a wait: \(short)")
        #expect(short.calls.last.map { 0.02 + 0.004 * Double($0) >= 1 } == true)
        #expect(short.calls.count <= 5 && measured(0.004, from: short.calls.last ?? 1).calls.count == 1)
        let empty = OperatorRun.once(repeats: 1) { _ in 0 }
        #expect(empty.repeats == 1024 && empty.milliseconds == 0, "a clock that says nothing ends it too")
    }

    @Test func aRunThatFailsEndsTheSearch() {
        struct Failure: Error {}
        #expect(throws: Failure.self) {
            try AlgorithmSearch.results(of: [(.direct(), 0)], first: [1], AlgorithmSearch.Measuring()) { _ in
                throw Failure()
            }
        }
    }
}

extension TrainingTests {
    @Suite struct AlgorithmSearchTests {
        private func library() throws -> KernelLibrary { try TestDevice.cpuLibrary() }

        /// Three rounds with the real clock; how many more there are is a matter of `AlgorithmSearchPolicyTests`.
        private func measured(_ problem: ConvolutionProblem) throws -> [AlgorithmSearch.Result] {
            var measuring = AlgorithmSearch.Measuring()
            (measuring.mostRounds, measuring.mostDeciding) = (3, 0)
            let results = try AlgorithmSearch(library: try library(), measuring: measuring)
                .allResults(for: problem, arithmetic: .float32)
            let algorithms = results.map(\.algorithm)
            #expect(Set(algorithms).count == algorithms.count && algorithms.contains(.direct()))
            let all = ConvolutionAlgorithm.candidates(for: problem, family: .cpu, arithmetic: .float32)
            #expect(algorithms == all)
            for one in results {
                #expect(one.isRight && one.error > 0 && one.milliseconds > 0, "\(one)")
            }
            return results
        }

        /// Every tile of Winograd's, which take long to compile: of one pass.
        @Test func everyKindOfCandidateIsMeasuredAndChecked() throws {
            let results = try measured(.plain(.weightGradient))
            let algorithms = results.map(\.algorithm)
            #expect(algorithms.first == .winograd(tile: 4))
            #expect(algorithms.contains(.winograd(tile: 2)) && algorithms.contains(.winograd(tile: 3)))
            // The two round differently, so they were not the same kernels.
            #expect(results[0].error != results[1].error)
        }

        @Test(arguments: [ConvolutionProblem.Pass.forward, .dataGradient])
        func everyTileIsMeasuredAndChecked(pass: ConvolutionProblem.Pass) throws {
            let results = try measured(.strided(pass))
            #expect(results.count == 3 && results.allSatisfy(\.algorithm.isExact))
            #expect(Set(results.map(\.error)).count == 1, "the same bits")
        }

        /// Where weights stay in a cache and pixels walk, tiles of pixels are the same kernel.
        @Test func whatLaunchesTheSameIsMeasuredOnce() throws {
            let narrow = try KernelLibrary(context: TestDevice.context(), family: .cpu, vectorWidth: 8)
            let problem = ConvolutionProblem.strided(.forward)
            func candidates(_ library: KernelLibrary) -> [ConvolutionAlgorithm] {
                AlgorithmSearch(library: library).candidates(for: problem, arithmetic: .float32).map(\.algorithm)
            }
            #expect(candidates(narrow) == [.direct()])
            #expect(candidates(try library()).count == 3)
        }

        @Test(arguments: [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient])
        func exactSearchesLeaveOutWhatRoundsOtherwise(pass: ConvolutionProblem.Pass) throws {
            let problem = ConvolutionProblem.plain(pass)
            let all = ConvolutionAlgorithm.candidates(for: problem, family: .cpu, arithmetic: .float32)
            #expect(all.first == .winograd(tile: 4), "what is left out")
            let exact = try AlgorithmSearch(library: try library(), measuring: .scripted { _ in 50 })
                .allResults(for: problem, arithmetic: .exact)
            #expect(!exact.isEmpty && exact.allSatisfy(\.algorithm.isExact))
            #expect(exact.allSatisfy { $0.milliseconds == 50 && $0.scatter == 0 }, "what the clock says")
        }

        /// Strides, odd sizes, a compact image: what the networks have beside 3×3.
        @Test(arguments: [(1, 2, 0, 40), (3, 2, 1, 19), (7, 2, 3, 3)])
        func samplesAgreeWithTheDevice(kernel: Int, stride: Int, padding: Int, channels: Int) throws {
            let geometry = ConvolutionGeometry(
                kernelHeight: kernel, kernelWidth: kernel, stride: stride, padding: padding)
            for pass in [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient] {
                let input = Shape([2, 9, 12, channels], compact: channels == 3 && pass != .dataGradient)
                let problem = ConvolutionProblem(pass, geometry, input: input, outputs: 48)
                #expect(try error(problem, try library()) { $0 } < 3e-5, "\(problem)")
                // Negative control: a pixel further on.
                #expect(try error(problem, try library()) { Array($0.dropFirst(48) + $0.prefix(48)) } > 0.1)
            }
        }

        /// Of what the device makes of a problem, changed.
        private func error(
            _ problem: ConvolutionProblem, _ library: KernelLibrary, changed: ([Float]) -> [Float]
        ) throws -> Double {
            let run = try OperatorRun(OperatorCase(problem), choices: AlgorithmChoices(), library: library)
            try run.spoil()
            try run.executor.run(run.plan)
            let found = try run.executor.read(OperatorCase.output(problem.pass), of: run.plan)
            return try ConvolutionSamples(problem, run.executor.store).error(of: changed(found), storedAs: .float32)
        }

        @Test(arguments: [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient])
        func wrongResultsAreSeen(pass: ConvolutionProblem.Pass) throws {
            let problem = ConvolutionProblem.plain(pass)
            let run = try OperatorRun(OperatorCase(problem), choices: AlgorithmChoices(.exact), library: try library())
            try run.executor.run(run.plan)
            let found = try run.executor.read(OperatorCase.output(pass), of: run.plan)
            let samples = try ConvolutionSamples(problem, run.executor.store)
            #expect(samples.error(of: found, storedAs: .float32) < 3e-5)
            #expect(samples.error(of: found.map { $0 * 1.001 }, storedAs: .float32) > 3e-5)
            #expect(samples.error(of: Array(found.dropFirst()) + [0], storedAs: .float32) > 0.1)
            #expect(samples.error(of: found.map { _ in Float.nan }, storedAs: .bfloat16) == .infinity)
            // What storing rounds is no error of an algorithm; anything more is.
            let narrow = found.map { BFloat16($0).float }
            #expect(samples.error(of: narrow, storedAs: .bfloat16) < 3e-5)
            #expect(samples.error(of: narrow, storedAs: .float32) > 3e-5)
            #expect(samples.error(of: narrow.map { $0 * 1.01 }, storedAs: .bfloat16) > 3e-5)
        }
    }
}

extension AlgorithmSearch {
    /// Of every candidate.
    fileprivate func allResults(
        for problem: ConvolutionProblem, arithmetic: ConvolutionArithmetic
    ) throws -> [Result] {
        let candidates = candidates(for: problem, arithmetic: arithmetic).map(\.algorithm)
        return try results(of: candidates, for: problem, arithmetic: arithmetic)
    }
}
