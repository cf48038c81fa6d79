import AdaShareDatasets
import AdaShareModels
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareProfiling
@testable import AdaShareTraining
@testable import AdaShareTuning

/// Tasks with data sets of their own, as configurations describe them.
@Suite struct ImageSourceTests {
    /// Two tasks of one data set of their own, one of the common one, one of a third.
    private static let yaml = """
        tasks:
          - { name: a, kind: depth, dataset: { kind: scenes, count: 30, size: [16, 24], seed: 2 } }
          - { name: b, kind: segmentation, channels: 6 }
          - { name: c, kind: normals, dataset: { kind: scenes, count: 30, size: [16, 24], seed: 2 } }
          - { name: d, kind: depth, dataset: { kind: scenes, count: 20, seed: 2 } }
        dataset: { kind: scenes, count: 50, size: [16, 16], crop: [16, 16] }
        model: { backbone: resnet18, width: 0.125, head: light }
        """

    private func parse(_ overrides: [String] = [], yaml: String = yaml) throws -> ExperimentConfiguration {
        try .parse(yaml: yaml, file: "c.yml", overrides: overrides)
    }

    @Test func tasksShareDataSetsThatAreDescribedAlike() throws {
        let experiment = try Experiment(parse())
        #expect(experiment.sources.map(\.tasks) == [[0, 2], [1], [3]])
        #expect(experiment.sources.map(\.place) == ["tasks.0.dataset", "dataset", "tasks.3.dataset"])
        #expect(
            experiment.sources.map { $0.labels.map(\.name) } == [["depth", "normals"], ["segmentation"], ["depth"]])
        #expect(experiment.architecture.sources == [0, 1, 0, 2])
        let sets = try experiment.makeDatasets().compactMap { $0 as? ScenesDataset }
        #expect(sets.map(\.count) == [30, 50, 20] && sets.map(\.height) == [16, 16, 96])
        #expect(sets.map(\.labels) == [["depth", "normals"], ["segmentation"], ["depth"]])
        // One key changed, and they are two.
        let changed = try Experiment(parse(["tasks.2.dataset.seed=3"]))
        #expect(changed.sources.map(\.tasks) == [[0], [1], [2], [3]])
        // Without a description of one's own: what there was before.
        let common = try Experiment(
            parse(["tasks.0.dataset=null", "tasks.2.dataset={}", "tasks.3.dataset=~", "tasks.3.label=edges"]))
        #expect(common.sources.map(\.tasks) == [[0, 1, 2, 3]] && !common.architecture.hasSeparateImages)
        #expect(try common.makeDataset().count == 50)
        #expect(message { _ = try experiment.makeDataset() }.contains("tasks.0.dataset: found 3 data sets"))
    }

    @Test func resolvedFilesSayThemAndParseBack() throws {
        let configuration = try parse()
        let text = configuration.yaml()
        #expect(try ExperimentConfiguration.parse(yaml: text, file: "c.yml") == configuration)
        #expect(try ExperimentConfiguration.parse(yaml: text, file: "c.yml").tasks == configuration.tasks)
        #expect(text.components(separatedBy: "seed: 2").count == 4 && text.contains("task_batch_norm: false"))
        let other = try parse(["tasks.3.dataset.count=21"])
        #expect(other != configuration && other.tasks[3] != configuration.tasks[3])
        #expect(configuration.differences(to: other).map(\.path) == ["tasks.3.dataset.count"])
        // A task without has no such keys.
        #expect(try !parse(["tasks=[{name: b, kind: depth}]"]).yaml().contains("dataset:\n      "))
    }

    @Test func mistakesNameTheTasksKeys() throws {
        #expect(
            message { _ = try parse(["tasks.0.dataset.kind=scene"]) }.contains("tasks.0.dataset.kind: found 'scene'"))
        #expect(
            message { _ = try parse(["tasks.0.dataset.cuont=3"]) }.contains(
                "tasks.0.dataset.cuont: found an unknown key, expected a known one; the nearest is "
                    + "tasks.0.dataset.count"
            ))
        let rootless = try parse(["tasks.3.dataset={kind: folders}"])
        #expect(message { try rootless.validateForTraining() }.contains("tasks.3.dataset.root: found nothing"))
        let kindless = try parse(["tasks.3.dataset={root: x}"])
        #expect(message { try kindless.validateForTraining() }.contains("tasks.3.dataset.kind: found nothing"))
        #expect(message { _ = try Experiment(kindless).makeDatasets() }.contains("tasks.3.dataset.kind: found nothing"))
        let twice = "tasks.3.dataset={kind: folders, root: x, labels: [{name: l}, {name: l}]}"
        #expect(message { _ = try parse([twice]) }.contains("tasks.3.dataset.labels.1.name: found 'l' again"))
        #expect(
            message { _ = try parse(["tasks.3.dataset={kind: folders, classes: pattern}"]) }.contains(
                "tasks.3.dataset.classes: found pattern with dataset.kind folders"))
        // Nothing is wrong with the data sets of others: the common one may lack what no task reads from it.
        let own = try parse(["dataset.kind=null", "tasks.1.dataset={kind: scenes}"])
        try own.validateForTraining()
        #expect(
            message { try parse(["dataset.kind=null"]).validateForTraining() }.contains("dataset.kind: found nothing"))
    }

    /// What `predict` gives the network is what training gave it.
    @Test func imagesOfNoDataSetEnterAsTheOthers() throws {
        let domains = "tasks=[{name: a, kind: depth}, {name: b, kind: depth, dataset: {kind: domainnet, domain: real}}]"
        let one = try Experiment(parse([domains, "dataset={kind: domainnet, domain: sketch}"]))
        #expect(try one.inputNormalisation() == .standardisedRGB)
        #expect(try Experiment(parse()).inputNormalisation() == .published)
        #expect(
            try Experiment(parse(["tasks=[{name: a, kind: depth}]", "dataset={}"])).inputNormalisation() == .published)
        let mixed = try Experiment(parse([domains]))
        #expect(
            message { _ = try mixed.inputNormalisation() }.contains(
                "tasks.1.dataset.kind: found domainnet, whose images enter the network in another way than those of "
                    + "dataset.kind scenes"))
        #expect(try Experiment(parse([domains]).selecting(["b"])).inputNormalisation() == .standardisedRGB)
    }

    @Test func batchNormsPerTaskNeedADataSetForEach() throws {
        let refused = message { _ = try parse(["model.task_batch_norm=true"]) }
        #expect(refused.contains("model.task_batch_norm: found true with the same images for tasks 'a', 'c'"))
        let experiment = try Experiment(parse(["model.task_batch_norm=true", "tasks.2.dataset.seed=3"]))
        #expect(experiment.architecture.hasTaskBatchNorm)
        #expect(
            experiment.catalog["backbone.task3_bn1.weight"] != nil && experiment.catalog["backbone.bn1.weight"] == nil)
        // A part of the tasks keeps its numbers, and may have batch norms of its own where the whole has.
        let part = try Experiment(
            parse(["model.task_batch_norm=true", "tasks.2.dataset.seed=3"]).selecting(["d", "b"]))
        #expect(part.sources.map(\.tasks) == [[0], [1]])
        #expect(part.catalog["backbone.task3_bn1.weight"] != nil && part.catalog["backbone.task0_bn1.weight"] == nil)
    }
}
