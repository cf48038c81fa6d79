import AdaShareDatasets
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

@Suite struct ConfigurationTests {
    static let three = """
        tasks:
          - {name: segmentation, kind: segmentation, channels: 40}
          - {name: normals, kind: normals}
          - {name: depth, kind: depth}

        """

    private func parse(_ yaml: String, _ overrides: [String] = []) throws -> ExperimentConfiguration {
        try ExperimentConfiguration.parse(yaml: yaml, file: "c.yml", overrides: overrides)
    }

    private func message(_ yaml: String, _ overrides: [String] = [], training: Bool = false) -> String {
        do {
            let configuration = try parse(yaml, overrides)
            if training { try configuration.validateForTraining(file: "c.yml") }
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func defaultsAreThePublishedThreeTaskSettings() throws {
        let configuration = try parse(Self.three)
        #expect(configuration.tasks.map(\.channels) == [40, 3, 1])
        #expect(configuration.tasks.map(\.weight) == [1, 20, 3])
        #expect(configuration.tasks.map(\.ignoreLabel) == [255, 255, 255])
        #expect(configuration.model.backbone == .resnet34)
        #expect(configuration.dataset.crop == ImageSize(height: 321, width: 321))
        #expect(configuration.dataset[Scenes.self].classes == .shape)
        let training = configuration.training
        #expect(training.batch == 16)
        #expect(training.warmup.iterations + training.policy.iterations == 20_000)
        #expect(training.warmup.iterations == 4000 && training.retrain.iterations == 20_000)
        #expect(training.learningRate.heads == 1e-3 && training.learningRate.backbone == 1e-3)
        #expect(training.learningRateDecay.factor == 0.5 && training.learningRateDecay.every == 4000)
        #expect(training.weightDecay == 1e-4 && training.checkpointEvery == 200)
        let policy = configuration.policy
        #expect(policy.sparsity == 0.001 && policy.sharing == 0.05)
        #expect(policy.sparsityForm == .published && policy.sharingForm == .paper)
        #expect(policy.curriculumSpeed == 3 && policy.temperature == 5 && policy.temperatureDecay == 0.965)
        #expect(policy.learningRate == 0.01 && policy.weightDecay == 5e-4)
        #expect(policy.alternation.weights == .epoch && policy.alternation.logits == .epoch)
    }

    @Test func readsEveryKindOfValue() throws {
        let configuration = try parse(
            """
            tasks:
              - name: seg
                kind: segmentation
                channels: 3
                weight: 2
                class_weights: [1, 0.5, 2e-1]
                ignore_label: -1
              - {name: other, kind: segmentation, channels: 2, class_weights: data/w.npy}
            dataset:
              {kind: nyu_v2, root: data/nyu, crop: [97, 129], augmentation: none, shuffle: false, normals: published}
            model: {backbone: resnet18, width: 0.25, head: light, dropout: 0, initial_checkpoint: "a b.safetensors"}
            training:
              learning_rate: {heads: 1e-4}
              retrain: {start: learned}
            policy:
              sampling: straight_through
              initial: all_chosen
              alternation: {weights: 400, logits: epoch}
            """)
        #expect(configuration.tasks[0].classWeights == .values([1, 0.5, 0.2]))
        #expect(configuration.tasks[0].ignoreLabel == -1)
        #expect(configuration.tasks[1].classWeights == .file("data/w.npy"))
        #expect(configuration.dataset.crop == ImageSize(height: 97, width: 129))
        #expect(configuration.dataset.kind == "nyu_v2" && !configuration.dataset.shuffle)
        #expect(configuration.model.initialCheckpoint == "a b.safetensors")
        #expect(configuration.training.learningRate.heads == 1e-4)
        #expect(configuration.training.learningRate.backbone == 1e-3)
        #expect(configuration.training.retrain.start == .learned)
        #expect(configuration.policy.sampling == .straightThrough)
        #expect(configuration.policy.initialScale == InitialChoice.allChosen.defaultScale)
        #expect(configuration.policy.alternation.weights == .iterations(400))
    }

    @Test(arguments: [
        [], ["tasks.0.class_weights=w.txt"], ["dataset.kind=scenes", "dataset.crop=64", "dataset.size=[96, 128]"],
        ["training.learning_rate.heads=1.2345678901234567e-7", "training.seed=9007199254740993"],
        ["model.initial_checkpoint='12'", "dataset.root='a: #b \"c\"'"],
        ["model.initial_checkpoint='no'", "tasks.1.name='5e3'", "tasks.2.name='ü ü'"],
        ["dataset.kind=scenes", "dataset.classes=pattern"],
        ["policy.alternation.logits=100", "policy.initial=normal", "tasks.0.ignore_label=-1"],
    ])
    func resolvedYAMLLoadsBackEqual(overrides: [String]) throws {
        let configuration = try parse(Self.three, overrides)
        let back = try parse(configuration.yaml())
        #expect(back == configuration)
        #expect(back.yaml() == configuration.yaml())
        #expect(configuration.differences(to: back).isEmpty)
    }

    /// `augmentation: KIND` as every file had it, and the keys that change a part of a kind.
    @Test func augmentationIsAWordOrKeys() throws {
        func augmentation(_ value: String, _ overrides: [String] = []) throws -> Augmentation {
            try parse(Self.three + "dataset: { kind: scenes, augmentation: \(value) }", overrides).dataset.augmentation
        }
        #expect(try parse(Self.three).dataset.augmentation == .dense)
        #expect(try augmentation("dense") == .dense && augmentation("none") == .none && augmentation("null") == .dense)
        #expect(try augmentation("{kind: none}") == .none)
        #expect(try augmentation("none", ["dataset.augmentation=dense"]) == .dense)
        var changed = Augmentation.none
        changed.mirror = true
        changed.colourJitter.hue = 0.25
        let hue = "colour_jitter: {hue: 0.25}"
        #expect(try augmentation("{kind: none, mirror: true, \(hue)}") == changed)
        #expect(try augmentation("none", ["dataset.augmentation={kind: none, mirror: true, \(hue)}"]) == changed)
        // What options have said of it stays where another one chooses the kind.
        let options = ["dataset.augmentation.mirror=true", "dataset.augmentation.colour_jitter.hue=0.25"]
        #expect(try augmentation("dense", options + ["dataset.augmentation=none"]) == changed)
        #expect(try augmentation("{scale: [0.75, 2], crop: centre}").scale == ScaleRange(0.75, 2))
        let resolved = try parse(Self.three, options).yaml()
        #expect(resolved.contains("augmentation:\n    kind: dense\n    scale: [0.5, 1.5]\n    mirror: true\n"))

        func expectError(_ key: String, _ value: String, _ expected: String) {
            let option = "dataset.augmentation.\(key)=\(value)"
            #expect(
                message(Self.three, [option])
                    == "--set \(option): dataset.augmentation.\(key): found \(value), expected \(expected)")
        }
        let scale = "[smallest, largest], each from 0.1 to 10"
        for wrong in ["[1.5, 0.5]", "[0.05, 1]", "[1, 11]", "[1]", "1"] { expectError("scale", wrong, scale) }
        expectError("mirror", "1", "true or false")
        for name in ["brightness", "contrast", "saturation"] {
            expectError("colour_jitter.\(name)", "1.5", "a number from 0 to 1")
        }
        expectError("colour_jitter.hue", "-0.1", "a number from 0 to 0.5")
        #expect(message(Self.three, ["dataset.augmentation=heavy"]).contains("expected one of none, dense"))
        #expect(
            message(Self.three, ["dataset.augmentation.color_jitter=1"]).hasSuffix(
                "the nearest is dataset.augmentation.colour_jitter"))
    }

    /// One word chooses the kind; what other options say of it stays, what the file says of another kind goes.
    @Test func kindsAreChosenByOneWordAmongOptions() throws {
        func density(_ overrides: [String]) throws -> Double? {
            let yaml = "tasks: [{ name: a, kind: depth }]\nmethod: { kind: stochastic_depth, survival: 0.7 }\n"
            let configuration = try ExperimentConfiguration.parse(yaml: yaml, file: "c.yml", overrides: overrides)
            return (configuration.method.chosen as? RandomPolicy)?.density
        }
        #expect(try density(["method=random_policy", "method.density=0.2"]) == 0.2)
        #expect(try density(["method.density=0.2", "method=random_policy"]) == 0.2)
        #expect(try density(["method=random_policy"]) == 0.5)
    }

    @Test func resolvedYAMLHasEveryDocumentedKey() throws {
        // Keys of a reader, a method and an objective are there where it is chosen.
        let readers = Readers.standard.all.map { ["dataset.kind=\($0.kind)", "dataset.labels=[{name: depth}]"] }
        let methods = MethodKinds.standard.all.map { ["method=\($0.kind)"] }
        let objectives = ObjectiveKinds.standard.all.map { ["objective=\($0.kind)"] }
        let files = try (readers + methods + objectives).map { try parse(Self.three, $0).yaml() }
        let (yaml, full) = (files.joined(), try parse(files[0]))
        for key in ConfigurationReference().keys {
            let name = String(key.path.split(separator: ".").last ?? "")
            #expect(yaml.contains("\(name):"), "\(key.path)")
            #expect(!key.meaning.isEmpty && !key.type.isEmpty && !key.defaultText.isEmpty, "\(key.path)")
            #expect(ConfigurationReference().markdown.contains("| `\(key.path)` |"))
        }
        #expect(full.yaml() == files[0])
        #expect(Set(ConfigurationReference().keys.map(\.path)).count == ConfigurationReference().keys.count)
    }

    @Test func overridesChangeTheTree() throws {
        let configuration = try parse(
            Self.three,
            ["tasks.0.weight=2", "training.batch=8", "dataset.crop=[97,129]", "policy.alternation.weights=400"])
        #expect(configuration.tasks[0].weight == 2 && configuration.tasks[1].weight == 20)
        #expect(configuration.training.batch == 8)
        #expect(configuration.dataset.crop == ImageSize(height: 97, width: 129))
        #expect(configuration.policy.alternation.weights == .iterations(400))
    }

    @Test(arguments: [
        (
            "training.bacth=8",
            "--set training.bacth=8: training.bacth: found an unknown key, expected a known one; the nearest is "
                + "training.batch"
        ),
        ("batch=8", "--set batch=8: batch: found an unknown key, expected a known one; the nearest is training.batch"),
        (
            "training.batch=many",
            "--set training.batch=many: training.batch: found 'many', expected an integer from 1 to 65536"
        ),
        (
            "tasks.3.weight=1",
            "--set tasks.3.weight=1: tasks.3.weight: found '3', expected an index of a list of 3, from 0"
        ),
        (
            "training.batch",
            "--set training.batch: found 'training.batch', expected path=value, such as training.batch=8"
        ),
        (".=1", "--set .=1: found '.=1', expected path=value, such as training.batch=8"),
        (
            "tasks.0.name.x=1",
            "--set tasks.0.name.x=1: tasks.0.name.x: found 'segmentation' above 'x', expected a mapping or a list there"
        ),
        ("training.batch=[", "--set training.batch=[: training.batch: found invalid YAML"),
    ])
    func badOverridesAreNamed(override: String, expected: String) {
        #expect(message(Self.three, [override]).hasPrefix(expected), "\(message(Self.three, [override]))")
    }

    @Test(arguments: [
        (
            "training: {bacth: 8}",
            "c.yml: training.bacth: found an unknown key, expected a known one; the nearest is training.batch"
        ),
        ("trainig: {batch: 8}", "c.yml: trainig: found an unknown key, expected a known one; the nearest is training"),
        (
            "training: {learning_rate: {head: 1}}",
            "c.yml: training.learning_rate.head: found an unknown key, expected a known one; the nearest is "
                + "training.learning_rate.heads"
        ),
        ("training: {batch: 8.5}", "c.yml: training.batch: found 8.5, expected an integer from 1 to 65536"),
        ("training: {batch: '8'}", "c.yml: training.batch: found '8', expected an integer from 1 to 65536"),
        ("training: {batch: 0}", "c.yml: training.batch: found 0, expected an integer from 1 to 65536"),
        ("training: {batch: }", "c.yml: training.batch: found nothing, expected an integer from 1 to 65536"),
        ("training: {batch: {a: 1}}", "c.yml: training.batch: found a mapping, expected an integer from 1 to 65536"),
        ("training: 5", "c.yml: training: found 5, expected a mapping with the keys seed, batch"),
        ("training: {learning_rate: 1e-3}", "c.yml: training.learning_rate: found 0.001"),
        ("model: {dropout: 1}", "c.yml: model.dropout: found 1, expected a number at least 0 and below 1"),
        ("model: {width: .nan}", "c.yml: model.width: found '.nan', expected a number"),
        (
            "model: {backbone: resnet19}",
            "c.yml: model.backbone: found 'resnet19', expected one of resnet18, resnet34, resnet50, resnet101"
        ),
        ("dataset: {shuffle: 1}", "c.yml: dataset.shuffle: found 1, expected true or false"),
        ("dataset: {crop: [1, 2, 3]}", "c.yml: dataset.crop: found [1, 2, 3], expected [height, width] or one number"),
        ("dataset: {crop: 0}", "c.yml: dataset.crop: found 0"),
        ("dataset: {classes: patern}", "c.yml: dataset.classes: found 'patern', expected one of shape, pattern"),
        (
            "dataset: {class: pattern}",
            "c.yml: dataset.class: found an unknown key, expected a known one; the nearest is dataset.classes"
        ),
        (
            "dataset: {kind: nyu_v2, root: data, classes: pattern}",
            "c.yml: dataset.classes: found pattern with dataset.kind nyu_v2, expected no such key, or dataset.kind "
                + "scenes"
        ),
        ("dataset: {root: 12}", "c.yml: dataset.root: found 12, expected a text"),
        ("policy: {alternation: {weights: 0}}", "c.yml: policy.alternation.weights: found 0, expected epoch, or"),
        ("policy: {temperature: -1}", "c.yml: policy.temperature: found -1, expected a number above 0"),
        ("training: {batch: 1}\ntraining: {batch: 2}", "c.yml: found invalid YAML (line"),
        ("training: [", "c.yml: found invalid YAML (line"),
    ])
    func badValuesAreNamed(yaml: String, expected: String) {
        var found = message(Self.three + yaml)
        if expected.contains("0.001") { found = found.replacingOccurrences(of: "1e-3", with: "0.001") }
        #expect(found.hasPrefix(expected), "\(found)")
        #expect(!found.contains("\n"))
    }

    @Test(arguments: [
        ("", "c.yml: tasks: found nothing, expected a list of mappings"),
        ("- a", "c.yml: found ["),
        ("tasks: []", "c.yml: tasks: found no task, expected at least one"),
        ("tasks: {a: 1}", "c.yml: tasks: found a mapping, expected a list of mappings"),
        ("tasks: [depth]", "c.yml: tasks.0: found 'depth', expected a mapping with the keys name, kind"),
        ("tasks: [{name: a}]", "c.yml: tasks.0.kind: found nothing, expected one of segmentation"),
        ("tasks: [{kind: depth}]", "c.yml: tasks.0.name: found nothing"),
        ("tasks: [{name: a, kind: dept}]", "c.yml: tasks.0.kind: found 'dept', expected one of"),
        (
            "tasks: [{name: a, kind: depth, wieght: 1}]",
            "c.yml: tasks.0.wieght: found an unknown key, expected a known one; the nearest is tasks.0.weight"
        ),
        (
            "tasks: [{name: a, kind: depth}, {name: a, kind: edges}]",
            "c.yml: tasks.1.name: found 'a', the name of tasks.0, expected"
        ),
        ("tasks: [{name: total, kind: depth}]", "c.yml: tasks.0.name: found 'total', which logs"),
        ("tasks: [{name: panel, kind: depth}]", "c.yml: tasks.0.name: found 'panel', which logs"),
        ("tasks: [{name: a/b, kind: depth}]", "c.yml: tasks.0.name: found 'a/b'"),
        (
            "tasks: [{name: a, kind: normals, channels: 4}]",
            "c.yml: tasks.0.channels: found 4, expected 3 for kind normals"
        ),
        ("tasks: [{name: a, kind: depth, channels: 2}]", "c.yml: tasks.0.channels: found 2, expected 1 for kind depth"),
        (
            "tasks: [{name: a, kind: segmentation}]",
            "c.yml: tasks.0.channels: found nothing, expected the number of classes"
        ),
        ("tasks: [{name: a, kind: segmentation, channels: 1}]", "c.yml: tasks.0.channels: found 1"),
        (
            "tasks: [{name: a, kind: segmentation, channels: 3, class_weights: [1, 2]}]",
            "c.yml: tasks.0.class_weights: found 2 weights, expected 3"
        ),
        (
            "tasks: [{name: a, kind: segmentation, channels: 2, class_weights: [1, -2]}]",
            "c.yml: tasks.0.class_weights: found -2 as element 1 of 2"
        ),
    ])
    func badTasksAreNamed(yaml: String, expected: String) {
        #expect(message(yaml).hasPrefix(expected), "\(message(yaml))")
    }

    @Test(arguments: [
        ("", "c.yml: dataset.kind: found nothing, expected one of nyu_v2, scenes"),
        ("dataset: {kind: nyu_v2}", "c.yml: dataset.root: found nothing"),
        (
            "dataset: {kind: scenes}\ntraining: {warmup: {iterations: 0}, policy: {iterations: 0}, retrain: "
                + "{iterations: 0}}",
            "c.yml: training: found 0 iterations"
        ),
        ("dataset: {kind: scenes}", "no error"),
    ])
    func trainingNeedsMore(yaml: String, expected: String) {
        #expect(message(Self.three + yaml) == "no error")
        let found = message(Self.three + yaml, training: true)
        #expect(found.hasPrefix(expected), "\(found)")
    }

    /// A run's file from before there was the key says what is true of it by its absence.
    @Test func anAbsentChoiceOfClassesIsShape() throws {
        let configuration = try parse(Self.three, ["dataset.kind=scenes"])
        let lines = configuration.yaml().split(separator: "\n").filter { !$0.contains("classes:") }
        let old = try parse(lines.joined(separator: "\n"))
        #expect(old == configuration && old.differences(to: configuration).isEmpty)
        let other = try parse(Self.three, ["dataset.kind=scenes", "dataset.classes=pattern"])
        #expect(old.differences(to: other).map(\.path) == ["dataset.classes"])
    }

    /// Keys of readers that are not chosen; a file without a reader may have any of them.
    @Test func keysOfOtherReadersAreSaid() throws {
        func idle(_ dataset: String, _ overrides: [String] = []) throws -> [String] {
            try parse(Self.three + "dataset: \(dataset)\n", overrides).idleReaderKeys
        }
        #expect(try idle("{ kind: scenes, count: 20, seed: 1 }").isEmpty && idle("{ count: 20, root: rooms }").isEmpty)
        #expect(try idle("{ kind: nyu_v2, root: rooms, seed: 1 }").isEmpty, "a default changes nothing")
        #expect(
            try idle("{ kind: nyu_v2, root: rooms, count: 20, images: img }") == [
                "without effect with dataset.kind nyu_v2: dataset.count, dataset.images"
            ])
        #expect(
            try idle("{ kind: scenes }", ["tasks.1.dataset={kind: scenes, root: rooms, domain: real}"]) == [
                "without effect with tasks.1.dataset.kind scenes: tasks.1.dataset.root, tasks.1.dataset.domain"
            ])
    }

    @Test(arguments: [("shape", 6), ("pattern", 4)])
    func scenesNeedAChannelPerClass(classes: String, count: Int) throws {
        func message(_ channels: Int) throws -> String {
            let overrides = ["dataset.kind=scenes", "dataset.classes=\(classes)", "tasks.0.channels=\(channels)"]
            let experiment = try Experiment(parse(Self.three, overrides))
            do {
                let dataset = try experiment.makeDataset() as? ScenesDataset
                return dataset?.classes.rawValue ?? "no scenes"
            } catch { return "\(error)" }
        }
        #expect(try message(count) == classes && message(count + 1) == classes)
        #expect(
            try message(count - 1)
                == "configuration: tasks.0.channels: found \(count - 1), expected at least \(count), the classes of "
                + "generated scenes with dataset.classes \(classes)")
    }

    @Test(arguments: ["quickstart", "conflict"])
    func sceneConfigurationsFitTheirDataset(name: String) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = root.appendingPathComponent("configs/\(name).yml")
        let configuration = try ExperimentConfiguration.load(file)
        try configuration.validateForTraining(file: file.path)
        let dataset = try #require(Experiment(configuration).makeDataset() as? ScenesDataset)
        #expect(dataset.classes == (name == "conflict" ? .pattern : .shape))
        #expect(configuration.tasks.first?.channels == dataset.classes.names.count)
    }

    /// Every file that is shipped loads, and could train: configurations, and each row of the studies.
    @Test func shippedFilesAreValid() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("configs")
        let files = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
            .compactMap { $0 as? URL }.filter { $0.pathExtension == "yml" }
        var studies: Set<String> = []
        for file in files {
            guard file.deletingLastPathComponent().lastPathComponent == "experiments" else {
                try ExperimentConfiguration.load(file).validateForTraining(file: file.path)
                continue
            }
            let study = try Study.read(file)
            studies.insert(file.deletingPathExtension().lastPathComponent)
            let tasks = Set(study.configuration(study.rows[0], seed: study.seeds[0]).tasks.map(\.name))
            var known: [String: String] = [:]
            for row in study.rows {
                let text = study.configuration(row, seed: study.seeds[0]).yaml()
                let other = known.updateValue(row.name, forKey: text)
                #expect(other == nil, "\(file.path): '\(row.name)' is the run of '\(other ?? "")'")
            }
            // Read once, and the same as by its keys.
            let again = try ExperimentConfiguration.load(
                study.configURL, overrides: study.overrides(study.rows[0], seed: 77))
            #expect(study.configuration(study.rows[0], seed: 77).yaml() == again.yaml())
            for row in study.published { #expect(tasks.isSuperset(of: try #require(row.values).keys), "\(row.name)") }
        }
        let known = ["nyu_v2_2task", "nyu_v2_3task", "cityscapes", "taskonomy", "domainnet", "ablations"]
        #expect(studies.isSuperset(of: known), "\(studies)")
        func names(_ folder: String) -> [String] {
            files.filter { $0.deletingLastPathComponent().lastPathComponent == folder }.map(\.lastPathComponent)
        }
        #expect(names("published").count == 5 && Set(names("published")) == Set(names("laptop")))
    }

    @Test func missingFileIsAnError() {
        #expect(throws: InputError.self) {
            try ExperimentConfiguration.load(URL(fileURLWithPath: "/nonexistent.yml"), overrides: [])
        }
    }

    @Test func differencesNameTheKeys() throws {
        let first = try parse(Self.three)
        let second = try parse(Self.three, ["training.batch=8", "tasks.1.weight=2"])
        let found = first.differences(to: second).map { "\($0.path) \($0.mine) \($0.other)" }
        #expect(found == ["tasks.1.weight 20 2", "training.batch 16 8"])
    }

    @Test func editDistanceCountsEdits() {
        #expect(editDistance("kitten", "sitting") == 3)
        #expect(editDistance("", "abc") == 3 && editDistance("abc", "abc") == 0)
    }

    // MARK: - Policy files

    @Test func policyRoundTrips() throws {
        let folder = try TemporaryFolder()
        let url = folder.url.appendingPathComponent("policy.json")
        let policy = SelectionPolicy(
            tasks: ["seg": [1, 0, 1], "depth": [0, 1, 1]],
            probabilities: ["seg": [0.93, 0.1, 1], "depth": [0.25, 0.5, 1e-7]])
        try policy.write(to: url)
        #expect(try SelectionPolicy.read(url, tasks: ["seg", "depth"], blocks: 3) == policy)
        #expect(policy.selections(of: "seg") == [true, false, true] && policy.selections(of: "x") == nil)
        let text = try String(contentsOf: url, encoding: .utf8)
        #expect(text.hasPrefix(#"{"probabilities":{"depth":[0.25,0.5,1e-07],"seg":"#))
        #expect(try JSONDecoder().decode(SelectionPolicy.self, from: Data(text.utf8)) == policy)
        let bare = try folder.write(#"{"tasks": {"seg": [1, 0]}}"#, "bare.json")
        #expect(try SelectionPolicy.read(bare, tasks: ["seg"], blocks: 2).probabilities.isEmpty)
    }

    @Test(arguments: [
        (#"{"tasks": {"seg": [1, 0]}}"#, "tasks.seg: found 2 values, expected 3, one per block"),
        (#"{"tasks": {"seg": [1, 0, 2]}}"#, "tasks.seg[2]: found 2, expected 1 (select) or 0 (skip)"),
        (#"{"tasks": {"seg": [1, 0, true]}}"#, "tasks.seg[2]: found true"),
        (#"{"tasks": {"seg": 1}}"#, "tasks.seg: found 1, expected a list"),
        (#"{"tasks": {}}"#, "tasks.seg: found nothing, expected a list"),
        (
            #"{"tasks": {"sge": [1, 0, 1]}}"#,
            "tasks.sge: found an unknown task, expected one of seg; the nearest is seg"
        ),
        (#"{"task": {}}"#, "task: found an unknown key"),
        (#"{}"#, "tasks: found nothing"),
        (#"{"tasks": {"seg": [1, 0, 1]}, "probabilities": {"seg": [1, 0, 1.5]}}"#, "probabilities.seg[2]: found 1.5"),
        (#"{"tasks": "#, "found no JSON object"),
    ])
    func badPoliciesAreNamed(text: String, expected: String) throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(text, "p.json")
        do {
            _ = try SelectionPolicy.read(url, tasks: ["seg"], blocks: 3)
            Issue.record("read")
        } catch {
            #expect("\(error)".hasPrefix("\(url.path): \(expected)"), "\(error)")
        }
    }
}
