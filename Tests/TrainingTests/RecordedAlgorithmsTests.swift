import AdaShareDeviceLayer
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareOperators
@testable import AdaShareTraining
@testable import AdaShareTuning

extension TrainingTests {
    /// The algorithms of a run.
    @Suite struct RecordedAlgorithmsTests {
        /// On matrix units that are emulated; devices without any.
        @Test(arguments: [ModelPrecision.tf32, .bfloat16])
        func matrixUnitsDecideThePrecision(precision: ModelPrecision) throws {
            let arithmetic = precision.arithmetic
            let (plain, folder) = (try TestDevice.library(.gpu), try TemporaryFolder())
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

            let cpu = try TestDevice.cpuLibrary()
            // `tools/gpu-check` looks for these words.
            let notice = try #require(try experiment.settle(on: cpu))
            #expect(notice.contains("no matrix units for \(precision.rawValue)") && notice.contains("float32 is used"))
            #expect(experiment.arithmetic == .float32)
            let root = folder.url.appendingPathComponent("a")
            let folders = [ConvolutionArithmetic.exact, .float32, .tf32, .bfloat16].map {
                AlgorithmDatabase(root: root, library: units, arithmetic: $0).folder
            }
            #expect(Set(folders).count == 4)
            #expect(throws: InputError.self) {
                try ExperimentConfiguration.parse(
                    yaml: yaml, file: "c.yml", overrides: ["training.exact_convolutions=true"])
            }
        }

        @Test func runsKeepTheAlgorithmsTheyRecorded() throws {
            let folder = try TemporaryFolder()
            let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
            let library = try TestDevice.cpuLibrary()
            func read(_ library: KernelLibrary, exact: Bool = false) throws -> RecordedAlgorithms? {
                try run.readAlgorithms(for: library, arithmetic: exact ? .exact : .float32)
            }
            #expect(try read(library) == nil)
            let candidates = ConvolutionAlgorithm.candidates(
                for: ConvolutionProblem.dilated(.forward), family: .cpu, arithmetic: .float32)
            let registers = try #require(candidates.last)
            #expect(registers.isExact && registers != .direct())
            let measured: [ConvolutionProblem: ConvolutionAlgorithm] = [
                ConvolutionProblem.dilated(.forward): registers,
                ConvolutionProblem.dilated(.weightGradient): .winograd(tile: 4),
            ]
            let byShape = ConvolutionProblem.dilated(.dataGradient)
            let recorded = RecordedAlgorithms(
                AlgorithmChoices(measured: measured), for: measured.keys + [byShape], library: library)
            #expect(recorded.summary == "3 convolutions, 2 of them measured: winograd_4x4 2, \(registers) 1")
            try run.write(recorded)
            let all = measured.merging([byShape: .winograd(tile: 4)]) { _, new in new }
            let found = try #require(try read(library))
            #expect(found.algorithms == all && found.isMeasured && found.notice(on: library) == nil)

            // Elsewhere what does not apply is left to the shape, with a word about it.
            let gpu = try TestDevice.library(.gpu)
            let moved = try #require(try read(gpu))
            #expect(moved.algorithms.values.allSatisfy { $0 == .winograd(tile: 4) } && moved.algorithms.count == 2)
            #expect(moved.notice(on: gpu)?.contains("1 of its choices do not apply") == true)

            let whole = try String(contentsOf: run.algorithms, encoding: .utf8)
            func message(_ text: String) throws -> String {
                try Data(text.utf8).write(to: run.algorithms)
                do {
                    _ = try read(library)
                    return "nothing"
                } catch let error as InputError {
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
            #expect(throws: InputError.self) {
                try found.requireAll(
                    [ConvolutionProblem.dilated(.forward, channels: 32)], on: library, file: run.algorithms)
            }
            try found.requireAll([byShape], on: library, file: run.algorithms)
        }
    }
}
