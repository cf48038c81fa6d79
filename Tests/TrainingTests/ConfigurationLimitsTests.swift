import AdaShareGraph
import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import Foundation
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

/// Every integer that a configuration holds has two limits, and nothing overflows between them.
@Suite struct ConfigurationLimitsTests {
    /// One integer key of the table.
    struct IntegerKey: CustomTestStringConvertible, Sendable {
        /// As `--set` takes it, for the first task.
        let path: String
        let range: ClosedRange<Int>
        let expectation: String
        var testDescription: String { path }
    }

    static let keys: [IntegerKey] =
        ConfigurationReference().taskFields.compactMap { field in
            field.integers.map { IntegerKey(path: "tasks.0.\(field.path)", range: $0, expectation: field.expectation) }
        }
        + ConfigurationReference().fields.compactMap { field in
            field.integers.map { IntegerKey(path: field.path, range: $0, expectation: field.expectation) }
        }

    private static let tasks = "tasks: [{name: a, kind: segmentation, channels: 2}]\n"

    /// Reads without the checks of how keys fit together.
    private func decode(_ override: String, yaml: String = tasks) throws -> ExperimentConfiguration {
        let tree = try ConfigurationTree(yaml: yaml, file: "c.yml", overrides: [override])
        var configuration = ExperimentConfiguration()
        try tree.decode(ConfigurationReference().fields, into: &configuration, at: tree.root, prefix: "")
        return configuration
    }

    private func leaf(_ path: String, of configuration: ExperimentConfiguration) -> String? {
        let node = ConfigurationTree.encode(ConfigurationReference().fields, of: configuration)
        return ConfigurationTree.leaves(of: node).first { $0.0 == path }?.1
    }

    @Test func theTableIsWhole() {
        #expect(
            Set(Self.keys.map(\.path)) == [
                "tasks.0.channels", "tasks.0.ignore_label", "tasks.0.number", "tasks.0.dataset.count",
                "tasks.0.dataset.size", "tasks.0.dataset.seed", "dataset.crop", "dataset.count",
                "tasks.0.dataset.resize", "dataset.resize",
                "dataset.size", "dataset.seed", "training.seed", "training.batch", "training.log_every",
                "training.shards", "training.verify_every",
                "training.checkpoint_every", "training.evaluate_every", "training.warmup.iterations",
                "training.policy.iterations", "training.trials.iterations", "training.retrain.iterations",
                "training.learning_rate_decay.every",
                "policy.curriculum_speed", "policy.alternation.weights", "policy.alternation.logits", "policy.samples",
                "policy.shared_blocks",
                "method.policy_width", "method.warmup",
            ])
        for key in Self.keys {
            #expect(key.expectation.contains("from \(key.range.lowerBound) to \(key.range.upperBound)"))
            let documented = ConfigurationReference().keys.first {
                $0.path == key.path.replacingOccurrences(of: "tasks.0", with: "tasks[]")
            }
            #expect(documented?.type == key.expectation, "\(key.path)")
        }
    }

    @Test(arguments: keys)
    func limitsAreAccepted(key: IntegerKey) throws {
        for value in [key.range.lowerBound, key.range.upperBound] {
            let scenes = "dataset: {kind: scenes}"
            let yaml =
                Self.tasks.replacingOccurrences(of: "2}", with: "2, \(scenes)}") + scenes + "\n"
                + (key.path.hasPrefix("method.") ? "method: {kind: block_drop}\n" : "")
            let written = leaf(key.path, of: try decode("\(key.path)=\(value)", yaml: yaml))
            #expect(written == "\(value)" || written == "[\(value), \(value)]", "\(written ?? "nothing")")
        }
    }

    /// A number that is no `Int` is refused like one out of range.
    @Test(arguments: keys)
    func beyondTheLimitsIsRefused(key: IntegerKey) {
        let (low, high) = (Decimal(key.range.lowerBound), Decimal(key.range.upperBound))
        let (least, most) = (Decimal(Int.min), Decimal(Int.max))
        let values = [low - 1, high + 1, least, most, least - 1, most + 1, 4 * most].filter { $0 < low || $0 > high }
        #expect(values.count >= 5)
        for value in values {
            do {
                _ = try decode("\(key.path)=\(value)")
                Issue.record("\(key.path)=\(value) was read")
            } catch {
                #expect(
                    "\(error)"
                        == "--set \(key.path)=\(value): \(key.path): found \(value), expected \(key.expectation)")
            }
        }
    }

    /// The same in a file, for keys below their sections and for both sides of a size.
    @Test func filesAreRefusedAlike() {
        for (yaml, expected) in [
            (
                "policy: {samples: 9223372036854775807}",
                "c.yml: policy.samples: found 9223372036854775807, expected an integer from 1 to 4096"
            ),
            (
                "dataset: {crop: [64, 9223372036854775807]}",
                "c.yml: dataset.crop: found [64, 9223372036854775807], expected [height, width] or one number, in "
                    + "pixels from 1 to 8192"
            ),
            (
                "dataset: {size: [4097, 64]}",
                "c.yml: dataset.size: found [4097, 64], expected [height, width] or one number, in pixels from 8 to "
                    + "4096"
            ),
            (
                "policy: {alternation: {logits: 2147483648}}",
                "c.yml: policy.alternation.logits: found 2147483648, expected epoch, or a number of iterations from 1 "
                    + "to 2147483647"
            ),
        ] {
            do {
                _ = try ExperimentConfiguration.parse(yaml: Self.tasks + yaml, file: "c.yml")
                Issue.record("\(yaml) was read")
            } catch { #expect("\(error)" == expected) }
        }
    }

    /// All limits at once: sums of iterations, the curriculum, work and memory are counted or refused, never wrong.
    @Test func nothingOverflowsAtTheLimits() throws {
        let tasks = (0..<64).map { "  - {name: t\($0), kind: segmentation, channels: 4096}\n" }.joined()
        let overrides =
            Self.keys.filter { !$0.path.hasPrefix("tasks") && !$0.path.hasPrefix("method") }
            .map { "\($0.path)=\($0.range.upperBound)" }
            + ["dataset.kind=scenes", "model.backbone=resnet101", "model.width=8", "policy.cost=passes"]
        let configuration = try ExperimentConfiguration.parse(
            yaml: "tasks:\n" + tasks, file: "c.yml", overrides: overrides)
        try configuration.validateForTraining()
        let (training, policy) = (configuration.training, configuration.policy)
        #expect(training.warmup.iterations + training.policy.iterations + training.retrain.iterations == 6_442_450_941)
        let most = Int(Int32.max)
        let schedule = PolicySchedule(
            weightSteps: most, logitSteps: most, blocks: 33, curriculumSpeed: policy.curriculumSpeed, temperature: 1,
            temperatureDecay: 1)
        #expect(schedule.iterationsToOpenAll == 32_000_001 * 4_294_967_294)
        #expect(schedule.step(most - 1).index == most - 1 && schedule.counts(most).weights == most)

        let experiment = try Experiment(configuration)
        // The largest image that `cost --size` takes.
        let cost = CostModel(experiment.architecture, height: 16_384, width: 16_384).report()
        #expect(cost.backbone.macsAll / 64 == cost.backbone.macsShared && cost.heads.macs > cost.backbone.macsAll / 64)
        #expect(!cost.table().isEmpty)
        let crop = configuration.dataset.crop
        let shape = BatchShape(count: training.batch, height: crop.height, width: crop.width)
        #expect(throws: InputError.self) { try experiment.memory(shape, policy: nil, family: .cpu) }

        let gated = try ExperimentConfiguration.parse(
            yaml: "tasks:\n" + tasks, file: "c.yml",
            overrides: overrides + ["method=adashare_instance", "method.policy_width=1024", "method.warmup=\(most)"])
        #expect(throws: InputError.self, "a warm-up as long as the phase") { try gated.validateForTraining() }
        let own = try Experiment(gated).cost(height: 16_384, width: 16_384).report()
        #expect(own.macs > cost.backbone.macsShared && own.parameters > cost.backbone.parameters)
    }

    @Test func manyTasksAreRefused() throws {
        let tasks = (0..<65).map { "  - {name: t\($0), kind: depth}\n" }.joined()
        do {
            _ = try ExperimentConfiguration.parse(yaml: "tasks:\n" + tasks, file: "c.yml")
            Issue.record("read")
        } catch { #expect("\(error)" == "c.yml: tasks: found 65 tasks, expected at most 64") }
    }

    @Test func deepPathsAreRefused() {
        let path = [String](repeating: "a", count: 16_000).joined(separator: ".")
        do {
            _ = try decode(path + "=1")
            Issue.record("read")
        } catch { #expect("\(error)" == "--set: found a path of 16000 parts, expected at most 32") }
    }
}
