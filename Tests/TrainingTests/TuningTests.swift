import DeviceLayer
import Foundation
import Testing

@testable import Operators
@testable import Training

extension GoldenTests {
    @Suite struct TuningTests {
        /// Large enough to be worth measuring.
        private static func problem(_ pass: ConvolutionProblem.Pass, channels: Int = 64) -> ConvolutionProblem {
            ConvolutionProblem(
                pass, ConvolutionGeometry(kernelHeight: 3, kernelWidth: 3, dilation: 2, padding: 2),
                input: Shape([1, 31, 33, channels]), outputs: 64)
        }

        private func result(
            _ algorithm: ConvolutionAlgorithm, _ ms: Double, _ error: Double = 1e-7, scatter: Double = 0
        ) -> AlgorithmSearch.Result {
            AlgorithmSearch.Result(algorithm: algorithm, milliseconds: ms, scatter: scatter, error: error)
        }

        private func library() throws -> KernelLibrary { try GoldenDevice.library(.cpu) }

        @Test(arguments: [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient])
        func everyCandidateIsMeasuredAndChecked(pass: ConvolutionProblem.Pass) throws {
            let search = AlgorithmSearch(library: try library())
            let results = try search.results(for: Self.problem(pass), arithmetic: .float32)
            let algorithms = results.map(\.algorithm)
            #expect(Set(algorithms).count == algorithms.count)
            #expect(algorithms.first == .winograd(tile: 4) && algorithms.contains(.direct()))
            #expect(algorithms.contains(.winograd(tile: 2)) && algorithms.contains(.winograd(tile: 3)))
            let all = ConvolutionAlgorithm.candidates(for: Self.problem(pass), family: .cpu, arithmetic: .float32)
            #expect(algorithms == all)
            for one in results {
                #expect(one.isRight && one.error > 0 && one.milliseconds > 0, "\(one)")
            }
            // The two round differently, so they were not the same kernels.
            #expect(results[0].error != results[1].error)
            let exact = try search.results(for: Self.problem(pass), arithmetic: .exact)
            #expect(!exact.isEmpty && exact.allSatisfy(\.algorithm.isExact))
        }

        /// Strides, odd sizes, a compact image: what the networks have beside 3×3.
        @Test(arguments: [(1, 2, 0, 40), (3, 2, 1, 19), (7, 2, 3, 3)])
        func samplesAgreeWithTheDevice(kernel: Int, stride: Int, padding: Int, channels: Int) throws {
            let geometry = ConvolutionGeometry(
                kernelHeight: kernel, kernelWidth: kernel, stride: stride, padding: padding)
            let search = AlgorithmSearch(library: try library())
            for pass in [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient] {
                let input = Shape([2, 9, 12, channels], compact: channels == 3 && pass != .dataGradient)
                let problem = ConvolutionProblem(pass, geometry, input: input, outputs: 48)
                let results = try search.results(for: problem, arithmetic: .float32)
                let wrong = results.filter { !$0.isRight }
                #expect(wrong.isEmpty, "\(problem): \(wrong)")
            }
        }

        @Test(arguments: [ConvolutionProblem.Pass.forward, .dataGradient, .weightGradient])
        func wrongResultsAreSeen(pass: ConvolutionProblem.Pass) throws {
            let problem = Self.problem(pass)
            let run = try OperatorRun(OperatorCase(problem), choices: AlgorithmChoices(), library: try library())
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

        @Test func winnersAreRightAndNotByNoise() {
            func winner(_ results: [AlgorithmSearch.Result]) -> ConvolutionAlgorithm? {
                AlgorithmSearch.winner(of: results)?.algorithm
            }
            #expect(winner([result(.winograd(tile: 4), 2), result(.direct(), 1)]) == .direct())
            #expect(
                winner([result(.winograd(tile: 4), 1), result(.direct(), 0.99)]) == .winograd(tile: 4), "within noise")
            #expect(winner([result(.winograd(tile: 4), 1, 1e-3), result(.direct(), 5)]) == .direct(), "wrong")
            #expect(winner([result(.winograd(tile: 4), 1, .infinity), result(.direct(), 5, 1e-2)]) == nil)
            #expect(winner([]) == nil)
        }

        @Test func doubtfulWinnersAreSeen() {
            func isUncertain(_ results: AlgorithmSearch.Result...) -> Bool { AlgorithmSearch.isUncertain(results) }
            #expect(!isUncertain(result(.direct(), 2), result(.winograd(tile: 4), 1)))
            #expect(!isUncertain(result(.direct(), 1.01), result(.winograd(tile: 4), 1)), "a tie of quiet runs")
            #expect(isUncertain(result(.direct(), 1.2, scatter: 0.15), result(.winograd(tile: 4), 1)))
            #expect(isUncertain(result(.direct(), 1.2), result(.winograd(tile: 4), 1, scatter: 0.15)))
            #expect(!isUncertain(result(.direct(), 1.5, scatter: 0.15), result(.winograd(tile: 4), 1)))
            #expect(!isUncertain(result(.direct(), 1.2, 1, scatter: 0.15), result(.winograd(tile: 4), 1)), "wrong")
            #expect(!isUncertain(result(.direct(), 1, scatter: 1)), "nothing to choose")
        }

        @Test func theBestOfTwoMeasurementsStands() {
            let (quiet, busy) = (result(.direct(), 1, scatter: 0.5), result(.direct(), 1.2, scatter: 0.01))
            for best in [quiet.best(with: busy), busy.best(with: quiet)] {
                #expect(best.milliseconds == 1 && abs(best.scatter - 0.2) < 1e-12)
            }
        }

        @Test func namesComeBack() throws {
            let tiles =
                [2, 3, 4, 5].map { ConvolutionAlgorithm.winograd(tile: $0) }
                + [.winogradPhases, .clblast]
                + MatrixOperands.allCases.flatMap { operands in
                    [128, 64].map { .matrixUnits(operands, rows: $0, columns: $0) }
                }
            for algorithm in [.direct(), .direct(.pixels(7)), .direct(.block(rows: 64, columns: 64))] + tiles {
                #expect(ConvolutionAlgorithm(algorithm.description) == algorithm)
            }
            for name in [
                "", "direct_", "direct_x", "winograd", "winograd_4", "winograd_6x6", "winograd_4x3", "direct_7_7",
                "direct_63x64", "direct_64x64x64", "tf32", "tf32_32x32", "bfloat16_63x64",
            ] {
                #expect(ConvolutionAlgorithm(name) == nil, "\(name)")
            }
            let problem = Self.problem(.dataGradient)
            let copy = try JSONDecoder().decode(
                ConvolutionProblem.self, from: Data(JSONText.pretty(problem).utf8))
            #expect(copy == problem)
        }

        /// Whatever was recorded elsewhere, an algorithm that does not apply is not used.
        @Test func choicesThatDoNotApplyAreLeftOut() {
            let problem = Self.problem(.forward, channels: 16)
            func chosen(_ algorithm: ConvolutionAlgorithm, _ family: KernelFamily, exact: Bool = false)
                -> ConvolutionAlgorithm
            {
                AlgorithmChoices(exact ? .exact : .float32, measured: [problem: algorithm]).algorithm(
                    for: problem, family: family)
            }
            #expect(chosen(.winograd(tile: 4), .cpu) == .winograd(tile: 4))
            #expect(chosen(.direct(.block(rows: 64, columns: 64)), .cpu) == .direct())
            #expect(chosen(.winogradPhases, .gpu) == .direct(), "too many pixels in a phase")
            #expect(chosen(.clblast, .gpu) == .direct(), "no 1×1 convolution")
            let pointwise = ConvolutionProblem(
                .forward, ConvolutionGeometry(kernelHeight: 1, kernelWidth: 1), input: Shape([1, 9, 9, 32]), outputs: 32
            )
            func candidates(_ family: KernelFamily, _ arithmetic: ConvolutionArithmetic) -> [ConvolutionAlgorithm] {
                ConvolutionAlgorithm.candidates(for: pointwise, family: family, arithmetic: arithmetic)
            }
            #expect(MatrixProduct.isAvailable, "no CLBlast: apt-get install libclblast1")
            #expect(candidates(.gpu, .float32).contains(.clblast) && !candidates(.gpu, .exact).contains(.clblast))
            #expect(!candidates(.cpu, .float32).contains(.clblast))
            #expect(chosen(.winograd(tile: 4), .cpu, exact: true) == .direct())
            #expect(chosen(.direct(.pixels(1000)), .cpu) == .direct())
        }

        private func database(_ folder: TemporaryFolder, exact: Bool = false) throws -> AlgorithmDatabase {
            AlgorithmDatabase(
                root: folder.url.appendingPathComponent("a/b"), library: try library(),
                arithmetic: exact ? .exact : .float32)
        }

        @Test func databaseKeepsResultsPerProblem() throws {
            let folder = try TemporaryFolder()
            let problem = Self.problem(.forward)
            let broken = result(.winograd(tile: 2), 2, .greatestFiniteMagnitude, scatter: 0.25)
            let measured = [result(.direct(), 3), broken]
            try database(folder).store(measured, for: problem)
            #expect(try database(folder).results(for: problem) == measured)
            #expect(try database(folder).results(for: Self.problem(.weightGradient)) == nil)
            #expect(try database(folder, exact: true).results(for: problem) == nil)
            let later = [result(.winograd(tile: 4), 1)]
            try database(folder).store(later, for: problem)
            #expect(try database(folder).results(for: problem) == later)
            try database(folder).store([broken], for: problem)
            #expect(try database(folder).results(for: problem) == nil, "no winner")
            let gpu = AlgorithmDatabase(
                root: folder.url.appendingPathComponent("a/b"), library: try GoldenDevice.library(.gpu),
                arithmetic: .float32)
            try database(folder).store(later, for: problem)
            #expect(gpu.results(for: problem) == nil)
        }

        @Test func damagedAndForeignEntriesAreAsIfTheyWereNotThere() throws {
            let folder = try TemporaryFolder()
            let (one, other) = (Self.problem(.forward), Self.problem(.dataGradient))
            let database = try database(folder)
            try database.store([result(.direct(), 3)], for: one)
            let files = try FileManager.default.contentsOfDirectory(
                at: database.folder, includingPropertiesForKeys: nil)
            let file = try #require(files.first)
            #expect(files.count == 1)
            let whole = try String(contentsOf: file, encoding: .utf8)
            let texts = [
                "", "{", "[]", String(whole.prefix(whole.count / 2)), whole + "x", "\u{0}\u{1}",
                whole.replacingOccurrences(of: "version 2", with: "version 0"),
                whole.replacingOccurrences(of: "\"direct\"", with: "\"direct_3\""),
                whole.replacingOccurrences(of: "\"direct\"", with: "\"magic\""),
                whole.replacingOccurrences(of: "\"forward\"", with: "\"data_gradient\""),
                whole.replacingOccurrences(of: "31", with: "-31"),
            ]
            for text in texts {
                #expect(text != whole)
                try Data(text.utf8).write(to: file)
                #expect(database.results(for: one) == nil, "\(text)")
            }
            // An entry under another problem's name.
            try database.store([result(.direct(), 3)], for: other)
            let moved = try FileManager.default.contentsOfDirectory(
                at: database.folder, includingPropertiesForKeys: nil)
            let second = try #require(moved.first { $0 != file })
            try FileManager.default.removeItem(at: file)
            try FileManager.default.moveItem(at: second, to: file)
            #expect(database.results(for: one) == nil)
            try database.store([result(.winograd(tile: 4), 1)], for: one)
            #expect(database.results(for: one)?.map(\.algorithm) == [.winograd(tile: 4)])
        }

        @Test func readersAndWritersAtOnceSeeWholeEntries() async throws {
            let folder = try TemporaryFolder()
            let database = try database(folder)
            let problem = Self.problem(.forward)
            let winners = ConvolutionAlgorithm.candidates(for: problem, family: .cpu, arithmetic: .float32).map {
                result($0, 1)
            }
            #expect(winners.count > 2)
            try database.store([winners[0]], for: problem)
            let known = Set(winners.map(\.algorithm))
            let misses = try await withThrowingTaskGroup(of: Int.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        var misses = 0
                        for round in 0..<40 {
                            if worker < 2 {
                                let winner = winners[(worker + round) % winners.count]
                                try database.store([winner], for: problem)
                            } else if database.results(for: problem).map({ known.contains($0[0].algorithm) }) != true {
                                misses += 1
                            }
                        }
                        return misses
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(misses == 0)
            let names = try FileManager.default.contentsOfDirectory(atPath: database.folder.path)
            #expect(names.count == 1, "\(names)")
        }

        @Test func tunerMeasuresOnceAndKeepsGoingWithoutAPlaceToWrite() throws {
            let folder = try TemporaryFolder()
            let root = folder.url.appendingPathComponent("db")
            let problems = [Self.problem(.forward), Self.problem(.weightGradient, channels: 16)]
            var lines: [String] = []
            func tuner(_ mode: AlgorithmSearchMode) throws -> AlgorithmTuner {
                lines = []
                return AlgorithmTuner(library: try library(), mode: mode) { lines.append($0) }
            }
            #expect(try tuner(.off).findings(for: problems, arithmetic: .float32).isEmpty && lines.isEmpty)
            // The second one is too small to matter.
            let first = try tuner(.search(root: root)).findings(for: problems, arithmetic: .float32)
            #expect(first.map(\.problem) == [problems[0]] && first[0].results.count > 1 && lines.count == 1)
            #expect(first[0].isNew && first[0].isKept)
            let second = try tuner(.search(root: root)).findings(for: problems, arithmetic: .float32)
            #expect(second[0].results == first[0].results && !second[0].isNew && second[0].isKept && lines.isEmpty)
            #expect(second[0].winner == first[0].winner)
            #expect(
                try tuner(.search(root: root, again: .always)).findings(for: problems, arithmetic: .float32)[0].isNew)

            // A file where the folder should be stands for every place that cannot be written.
            let blocked = folder.url.appendingPathComponent("file")
            try Data().write(to: blocked)
            let both = [problems[0], Self.problem(.dataGradient)]
            let unkept = try tuner(.search(root: blocked)).findings(for: both, arithmetic: .float32)
            #expect(unkept.allSatisfy { $0.isNew && !$0.isKept } && unkept.count == 2)
            #expect(lines.count == 2 && lines[1].contains(blocked.path), "said once: \(lines)")
        }

        @Test func doubtfulResultsAreMeasuredAgainWhenAsked() throws {
            let folder = try TemporaryFolder()
            let problem = Self.problem(.forward)
            // Faster than can be, so that the best of both is known.
            let doubtful = [result(.winograd(tile: 4), 1.1e-6, scatter: 0.2), result(.direct(), 1e-6, scatter: 0.2)]
            let root = folder.url.appendingPathComponent("a/b")
            try database(folder).store(doubtful, for: problem)
            func find(_ again: AlgorithmSearchMode.Repetition) throws -> AlgorithmTuner.Finding {
                try #require(
                    try AlgorithmTuner(library: try library(), mode: .search(root: root, again: again)) { _ in }
                        .findings(for: [problem], arithmetic: .float32).first)
            }
            #expect(try find(.never).results == doubtful)
            let again = try find(.uncertain)
            #expect(again.isNew && again.results.count > 2 && again.winner.milliseconds == 1e-6)
            #expect(again.results[0].milliseconds == 1.1e-6)
            #expect(try database(folder).results(for: problem) == again.results)

            let sure = [result(.winograd(tile: 4), 2), result(.direct(), 1)]
            try database(folder).store(sure, for: problem)
            #expect(try find(.uncertain).results == sure)
            let better = try find(.always)
            #expect(better.isNew && (1e-3...1).contains(better.winner.milliseconds), "the best of both")
        }

        /// On matrix units that are emulated; devices without any.
        @Test(arguments: [ModelPrecision.tf32, .bfloat16])
        func matrixUnitsDecideThePrecision(precision: ModelPrecision) throws {
            let arithmetic = precision.arithmetic
            let (plain, folder) = (try GoldenDevice.library(.gpu), try TemporaryFolder())
            let units = try KernelLibrary(
                context: plain.context, family: .gpu, matrixUnits: [.tf32: .emulated, .bfloat16: .emulated])
            let yaml = """
                tasks: [{ name: depth, kind: depth }]
                dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
                model: { backbone: resnet18, width: 0.125, head: light, precision: \(precision.rawValue) }
                training: { batch: 1, warmup: { iterations: 1 } }
                """
            var experiment = try Experiment(try ExperimentConfiguration.parse(yaml: yaml, file: "c.yml"))
            #expect(try experiment.settle(on: units) == nil && experiment.arithmetic == arithmetic)
            let tuner = AlgorithmTuner(library: units, mode: .off) { _ in }
            let recorded = try experiment.chooseAlgorithms(experiment.trainingShape, tuner: tuner)
            let names = recorded.algorithms.values.map(\.description)
            #expect(!names.isEmpty && names.allSatisfy { $0.hasPrefix("\(precision.rawValue)_") }, "\(names)")

            let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
            try run.write(recorded)
            let again = try #require(try run.readAlgorithms(for: units, arithmetic: arithmetic))
            #expect(again.algorithms == recorded.algorithms && again.notice(on: units) == nil)
            let elsewhere = try #require(try run.readAlgorithms(for: units, arithmetic: .float32))
            #expect(elsewhere.algorithms.isEmpty && elsewhere.notice(on: units)?.contains(precision.rawValue) == true)

            let cpu = try library()
            // `tools/gpu-check` looks for these words.
            let notice = try #require(try experiment.settle(on: cpu))
            #expect(notice.contains("no matrix units for \(precision.rawValue)") && notice.contains("float32 is used"))
            #expect(experiment.arithmetic == .float32)
            let root = folder.url.appendingPathComponent("a")
            let folders = [ConvolutionArithmetic.exact, .float32, .tf32, .bfloat16].map {
                AlgorithmDatabase(root: root, library: units, arithmetic: $0).folder
            }
            #expect(Set(folders).count == 4)
            #expect(throws: ConfigurationError.self) {
                try ExperimentConfiguration.parse(
                    yaml: yaml, file: "c.yml", overrides: ["training.exact_convolutions=true"])
            }
        }

        @Test func runsKeepTheAlgorithmsTheyRecorded() throws {
            let folder = try TemporaryFolder()
            let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
            let library = try library()
            func read(_ library: KernelLibrary, exact: Bool = false) throws -> RecordedAlgorithms? {
                try run.readAlgorithms(for: library, arithmetic: exact ? .exact : .float32)
            }
            #expect(try read(library) == nil)
            let candidates = ConvolutionAlgorithm.candidates(
                for: Self.problem(.forward), family: .cpu, arithmetic: .float32)
            let registers = try #require(candidates.last)
            #expect(registers.isExact && registers != .direct())
            let measured: [ConvolutionProblem: ConvolutionAlgorithm] = [
                Self.problem(.forward): registers, Self.problem(.weightGradient): .winograd(tile: 4),
            ]
            let byShape = Self.problem(.dataGradient)
            let recorded = RecordedAlgorithms(
                AlgorithmChoices(measured: measured), for: measured.keys + [byShape], library: library)
            #expect(recorded.summary == "3 convolutions, 2 of them measured: winograd_4x4 2, \(registers) 1")
            try run.write(recorded)
            let all = measured.merging([byShape: .winograd(tile: 4)]) { _, new in new }
            let found = try #require(try read(library))
            #expect(found.algorithms == all && found.isMeasured && found.notice(on: library) == nil)

            // Elsewhere what does not apply is left to the shape, with a word about it.
            let gpu = try GoldenDevice.library(.gpu)
            let moved = try #require(try read(gpu))
            #expect(moved.algorithms.values.allSatisfy { $0 == .winograd(tile: 4) } && moved.algorithms.count == 2)
            #expect(moved.notice(on: gpu)?.contains("1 of its choices do not apply") == true)

            let whole = try String(contentsOf: run.algorithms, encoding: .utf8)
            func message(_ text: String) throws -> String {
                try Data(text.utf8).write(to: run.algorithms)
                do {
                    _ = try read(library)
                    return "nothing"
                } catch let error as FormatError {
                    #expect(error.description.contains("--no-search"), "a way on")
                    return error.description
                }
            }
            #expect(try message(whole) == "nothing")
            #expect(try message(String(whole.dropLast(9))).contains("invalid JSON"))
            #expect(try message("{}").contains("no choices") || message("{}").contains("no device"))
            let half = whole.replacingOccurrences(of: "\"float32\"", with: "\"half\"")
            #expect(try message(half).contains("no arithmetic half"))
            let unknown = whole.replacingOccurrences(of: "\"\(registers)\"", with: "\"magic\"")
            #expect(try message(unknown).contains("no algorithm magic at choices["))
            let impossible = whole.replacingOccurrences(of: "\"\(registers)\"", with: "\"direct_999\"")
            let text = try message(impossible)
            #expect(text.contains("forward 3x3 1x31x33x64-64") && text.contains("direct_999"), "\(text)")
            try Data(whole.utf8).write(to: run.algorithms)
            let exact = try #require(try read(library, exact: true))
            #expect(exact.algorithms.isEmpty)
            #expect(exact.notice(on: library)?.contains("made for float32 convolutions, here they are exact") == true)
            try exact.requireAll([byShape], on: library, file: run.algorithms)
            #expect(throws: FormatError.self) {
                try found.requireAll([Self.problem(.forward, channels: 32)], on: library, file: run.algorithms)
            }
            try found.requireAll([byShape], on: library, file: run.algorithms)
        }
    }
}
