import AdaShareDatasets
import AdaShareOperators
import AdaShareSchema
import AdaShareSupport
import AdaShareTasks
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

/// A task kind of somebody else's: whether a pixel is brighter than the label says is learned from its square.
private struct Brightness: TaskKind {
    static let name = "brightness"
    static let meaning = "how bright a pixel is"
    static let channels: Int? = 1
    static let defaultWeight = 0.5

    init(_ task: TaskConfiguration) {}
    var label: LabelFormat { LabelFormat(.numbers, absent: 255) }

    func loss(_ prediction: Value, _ label: Value, classWeights: Value?, in recorder: any Recorder) -> Value {
        recorder.record(TaskLoss(.absoluteNot255), [prediction, label])[0]
    }

    func weight(of label: LabelValue, classWeights: [Float]?) -> Double {
        guard case .numbers(let numbers) = label else { return 0 }
        return numbers.first == 255 ? 0 : 1
    }

    func metrics() -> any TaskMetrics { AbsoluteErrorMetrics() }
    func constantGuess(classWeights: [Double]?) -> any ConstantGuess { MedianGuess { $0 != 255 } }
    func colours(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] { prediction.values.map { _ in (0, 0, 0) } }
}

/// A reader of somebody else's, with a key of its own: grey squares whose brightness is their label.
private struct Squares: Reader {
    static let kind = "squares"
    static let meaning = "grey squares"
    static let needsRoot = false
    static var fields: [ConfigurationField<Squares>] {
        [.key("squares", \.squares, in: 1...99, "How many squares there are.")]
    }

    var squares = 10
    init() {}
    func open(_ request: DatasetRequest) throws -> any Dataset {
        try request.check(against: ["brightness": LabelFormat(.numbers, absent: 255)], source: Self.kind)
        return try Made(count: squares, request)
    }

    struct Made: Dataset {
        let name = Squares.kind
        let count: Int
        let labels: Set<String>
        let splits: DatasetSplits

        init(count: Int, _ request: DatasetRequest) throws {
            self.count = count
            labels = Set(request.labels.map(\.name))
            splits = try DatasetSplits(
                named: ["train": Array(0..<count), "test": [0]], source: name, seed: request.seed, validation: 0)
        }

        func sample(_ index: Int) throws -> Sample {
            let level = UInt8(20 * (index % 10))
            return Sample(
                name: "\(index)", height: 16, width: 16, image: [UInt8](repeating: level, count: 768),
                labels: ["brightness": LabelMap(.numbers([Float](repeating: Float(level) / 255, count: 256)))])
        }
    }
}

extension TrainingTests {
    /// What a package on top of this one adds, each in one place.
    @Suite struct ExtensionTests {
        private static let vocabulary = Vocabulary(
            tasks: .standard.adding(Brightness.self), readers: .standard.adding(Squares.self))
        private static let yaml = """
            tasks: [{ name: light, kind: brightness }]
            dataset: { kind: squares, squares: 12, crop: 16, augmentation: none }
            model: { backbone: resnet18, width: 0.25, head: light, dropout: 0 }
            training:
              { batch: 4, log_every: 1, warmup: { iterations: 30 }, policy: { iterations: 0 },
                retrain: { iterations: 0 } }
            """

        @Test func aKindAndAReaderOfOnesOwnTrain() throws {
            let configuration = try ExperimentConfiguration.parse(
                yaml: Self.yaml, file: "c.yml", vocabulary: Self.vocabulary)
            #expect(configuration.tasks[0].weight == 0.5 && configuration.tasks[0].channels == 1)
            #expect(configuration.yaml().contains("squares: 12"))
            let folder = try TemporaryFolder()
            let trainer = try Trainer(configuration, in: folder)
            try trainer.train(phases: [.warmup])
            let losses = try EventLog.read(trainer.run.log).compactMap { $0["loss"]?["light"]?.double }
            let (first, last) = (losses.prefix(5).reduce(0, +), losses.suffix(5).reduce(0, +))
            #expect(losses.count == 30 && last < 0.7 * first, "\(losses)")
            let summary = try trainer.summarise()
            #expect(summary?.metrics["light"]?["exact"]?.first?.name == "absolute_error")
        }

        @Test func namesAreThoseOfTheVocabulary() throws {
            let error = #expect(throws: InputError.self) {
                try ExperimentConfiguration.parse(
                    yaml: Self.yaml.replacing("squares: 12, ", with: ""), file: "c.yml")
            }
            #expect(error?.description.contains("segmentation, normals, depth") == true)
            let unread = #expect(throws: InputError.self) {
                try ExperimentConfiguration.parse(
                    yaml: Self.yaml, file: "c.yml", overrides: ["dataset.kind=cubes"], vocabulary: Self.vocabulary)
            }
            #expect(unread?.description.contains("scenes, folders, cityscapes") == true)
            #expect(unread?.description.contains(", squares") == true)
            let reference = ConfigurationReference(Self.vocabulary).keys
            #expect(reference.contains { $0.path == "dataset.squares" && $0.defaultText == "10" })
            #expect(reference.contains { $0.path == "tasks[].kind" && $0.meaning.contains("how bright a pixel is") })
        }

        @Test func labelsThatDoNotFitAreNamed() throws {
            func open(_ text: String) throws -> any Dataset {
                try Experiment(
                    ExperimentConfiguration.parse(
                        yaml: Self.yaml.replacing("kind: brightness", with: text), file: "c.yml",
                        vocabulary: Self.vocabulary)
                ).makeDataset()
            }
            for (text, part) in [
                ("kind: depth", "tasks.0.label: found 'depth', expected a label of data set squares: brightness"),
                ("kind: normals, label: brightness", "which in data set squares is a number for each pixel"),
            ] {
                let error = #expect(throws: InputError.self) { try open(text) }
                #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
            }
            let two = "kind: brightness }, { name: b, kind: depth, label: brightness"
            let error = #expect(throws: InputError.self) { try open(two) }
            #expect(error?.description.contains("tasks.1.label") == true)
            #expect(try open("kind: edges, label: brightness").labels == ["brightness"])
        }
    }
}
