import AdaShareDeviceLayer
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareOperators
@testable import AdaShareProfiling
@testable import AdaShareTraining
@testable import AdaShareTuning

extension TrainingTests {
    /// What is measured, what the database knows, and what is kept; by a clock that says what it is told.
    @Suite struct AlgorithmTunerTests {
        /// A tuner whose clock is a script, what it says, and how many runs it has measured.
        private final class Trial {
            var lines: [String] = []
            var runs = 0
            /// Milliseconds by algorithm, and `other` for the rest.
            var times: [ConvolutionAlgorithm: Double] = [:]
            var other = 50.0

            private func hear(_ event: ProgressEvent) {
                if case .notice(let line) = event { lines.append(line) }
            }

            func find(
                _ mode: AlgorithmSearchMode, _ problems: [ConvolutionProblem]
            ) throws -> [AlgorithmTuner.Finding] {
                (lines, runs) = ([], 0)
                var tuner = AlgorithmTuner(library: try TestDevice.cpuLibrary(), mode: mode) { self.hear($0) }
                tuner.measuring = .scripted { algorithm in
                    self.runs += 1
                    return self.times[algorithm] ?? self.other
                }
                return try tuner.findings(for: problems, arithmetic: .float32)
            }
        }

        @Test func problemsAreMeasuredOnce() throws {
            let folder = try TemporaryFolder()
            let root = folder.file("db")
            let problems = [ConvolutionProblem.strided(.forward), .dilated(.weightGradient, channels: 16)]
            let trial = Trial()
            trial.times = [.direct(.pixels(7)): 20]
            trial.other = 35
            #expect(try trial.find(.off, problems).isEmpty && trial.lines.isEmpty && trial.runs == 0)
            // The second one is too small to matter.
            let first = try trial.find(.search(root: root), problems)
            #expect(first.map(\.problem) == [problems[0]] && first[0].results.count > 1 && trial.lines.count == 1)
            #expect(first[0].isNew && first[0].isKept && !first[0].isUncertain)
            #expect(first[0].winner.algorithm == .direct(.pixels(7)) && first[0].winner.milliseconds == 20)
            #expect(trial.runs == 3 * first[0].results.count)
            // What the clock would say now is not asked.
            trial.times = [.direct(.pixels(7)): 80]
            let second = try trial.find(.search(root: root), problems)
            #expect(second[0].results == first[0].results && !second[0].isNew && second[0].isKept)
            #expect(second[0].winner == first[0].winner && trial.lines.isEmpty && trial.runs == 0)
            let sure = try trial.find(.search(root: root, again: .uncertain), problems)
            #expect(sure[0].results == first[0].results && !sure[0].isNew && trial.runs == 0)
            trial.times = [.direct(.pixels(6)): 10]
            let again = try trial.find(.search(root: root, again: .always), problems)
            #expect(again[0].isNew && again[0].winner.algorithm == .direct(.pixels(6)))
            let best = try #require(again[0].results.first { $0.algorithm == .direct(.pixels(7)) })
            #expect(best.milliseconds == 20, "the best of both")
            let kept = try trial.find(.search(root: root), problems)
            #expect(kept[0].results == again[0].results && !kept[0].isNew)
        }

        /// A file where the folder should be stands for every place that cannot be written.
        @Test func withoutAPlaceToWriteNothingIsKept() throws {
            let folder = try TemporaryFolder()
            let blocked = try folder.write("", "file")
            let both = [ConvolutionProblem.strided(.forward), .strided(.dataGradient)]
            let trial = Trial()
            let unkept = try trial.find(.search(root: blocked), both)
            #expect(unkept.allSatisfy { $0.isNew && !$0.isKept } && unkept.count == 2)
            #expect(trial.lines.count == 2 && trial.lines[1].contains(blocked.path), "said once: \(trial.lines)")
            let nowhere = try trial.find(.search(root: nil), both)
            #expect(nowhere.allSatisfy { $0.isNew && !$0.isKept } && nowhere.count == 2 && trial.lines.count == 1)
        }

        /// A search that ends in doubt leaves it in the database, where asking for it brings it up again.
        @Test func doubtfulResultsAreMeasuredAgainWhenAsked() throws {
            let folder = try TemporaryFolder()
            let root = folder.url.appendingPathComponent("a/b")
            let problem = ConvolutionProblem.strided(.forward)
            let trial = Trial()
            // Each run a tenth shorter than the last: no two agree.
            var (first, direct) = (100.0, 101.0)
            var tuner = AlgorithmTuner(library: try TestDevice.cpuLibrary(), mode: .search(root: root)) { _ in }
            tuner.measuring = .scripted { algorithm in
                (first, direct) = (first * 0.95, direct * 0.95)
                return algorithm == .direct() ? first : algorithm == .direct(.pixels(7)) ? direct : 500
            }
            let doubtful = try #require(try tuner.findings(for: [problem], arithmetic: .float32).first)
            #expect(doubtful.isNew && doubtful.isKept && doubtful.isUncertain)
            let known = try #require(try trial.find(.search(root: root), [problem]).first)
            #expect(known.results == doubtful.results && !known.isNew && known.isUncertain && trial.runs == 0)

            trial.times = [.direct(): 0.01, .direct(.pixels(7)): 0.02]
            let again = try #require(try trial.find(.search(root: root, again: .uncertain), [problem]).first)
            #expect(again.isNew && !again.isUncertain && again.winner.milliseconds == 0.01 && trial.runs > 0)
            let kept = try #require(try trial.find(.search(root: root, again: .uncertain), [problem]).first)
            #expect(kept.results == again.results && !kept.isNew && trial.runs == 0)
        }

        /// What was measured before counts where it is better.
        @Test func theBestOfAllMeasurementsIsKept() throws {
            let folder = try TemporaryFolder()
            let problem = ConvolutionProblem.strided(.forward)
            let root = folder.url.appendingPathComponent("a/b")
            let database = AlgorithmDatabase(root: root, library: try TestDevice.cpuLibrary(), arithmetic: .float32)
            let doubtful = [
                AlgorithmSearch.Result(.direct(), 1.1, scatter: 0.2),
                AlgorithmSearch.Result(.direct(.pixels(7)), 1, scatter: 0.2),
            ]
            try database.store(doubtful, for: problem)
            let trial = Trial()
            func find(_ again: AlgorithmSearchMode.Repetition) throws -> AlgorithmTuner.Finding {
                try #require(try trial.find(.search(root: root, again: again), [problem]).first)
            }
            #expect(try find(.never).results == doubtful)
            let again = try find(.uncertain)
            #expect(again.isNew && again.results.count > 2 && again.winner.milliseconds == 1)
            #expect(again.results[0].milliseconds == 1.1)
            #expect(database.results(for: problem) == again.results)

            let sure = [AlgorithmSearch.Result(.direct(), 200), AlgorithmSearch.Result(.direct(.pixels(7)), 100)]
            try database.store(sure, for: problem)
            #expect(try find(.uncertain).results == sure)
            let better = try find(.always)
            #expect(better.isNew && better.winner.milliseconds == 50)
        }

        @Test func nothingOfAFailedSearchIsKept() throws {
            struct Failure: Error {}
            let folder = try TemporaryFolder()
            let problem = ConvolutionProblem.strided(.forward)
            var tuner = AlgorithmTuner(library: try TestDevice.cpuLibrary(), mode: .search(root: folder.url)) { _ in }
            tuner.measuring = .scripted { _ in throw Failure() }
            #expect(throws: Failure.self) { try tuner.findings(for: [problem], arithmetic: .float32) }
            #expect(try Trial().find(.search(root: folder.url), [problem])[0].isNew)
        }

        @Test func choicesAreTheWinners() throws {
            var tuner = AlgorithmTuner(library: try TestDevice.cpuLibrary(), mode: .search(root: nil)) { _ in }
            tuner.measuring = .scripted { $0 == .direct(.pixels(6)) ? 30 : 60 }
            let large = ConvolutionProblem.strided(.forward)
            let small = ConvolutionProblem.dilated(.forward, channels: 16)
            let choices = try tuner.choices(for: [large, small], arithmetic: .float32)
            #expect(choices.measured == [large: .direct(.pixels(6))] && choices.arithmetic == .float32)
        }
    }
}
