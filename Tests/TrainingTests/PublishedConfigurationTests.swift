import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareDatasets
@testable import AdaShareTraining

/// Files with the keys of the published code's.
@Suite struct PublishedConfigurationTests {
    /// What the published files of the five settings say, key by key.
    struct Setting: Sendable, CustomTestStringConvertible {
        var name: String
        var backbone = "ResNet34"
        var tasks: [(name: String, channels: Int, weight: Int)]
        var data: String
        var dataKeys = ""
        var crop = 224
        var speed = 3
        var train: String
        var more = ""
        var testDescription: String { name }

        /// In the order and the style of the published files.
        var text: String {
            func list(_ values: [String]) -> String { "[" + values.joined(separator: ", ") + "]" }
            return """
                exp_name: an_experiment
                seed: [88, 45, 50]
                backbone: \(backbone)
                tasks: \(list(tasks.map { "\"\($0.name)\"" }))
                lambdas: \(list(tasks.map { "\($0.weight)" }))
                tasks_num_class: \(list(tasks.map { "\($0.channels)" }))
                policy_model: \(data == "DomainNet" ? "blockwise" : "task-specific")
                \(more)
                paths:
                  log_dir: ../logs/
                  checkpoint_dir: ../checkpoints
                dataload:
                  dataset: \(data)
                  dataroot: "/data/sets"
                  crop_h: \(crop)
                  crop_w: \(crop)
                \(dataKeys)

                policy: True
                init_neg_logits:
                is_sparse: True
                is_sharing: True
                skip_layer: 0
                is_curriculum: True
                curriculum_speed: \(speed)
                fix_BN: False
                diff_sparsity_weights: True
                retrain_from_pl: False

                train:
                  print_freq: 100
                  policy_lr: 0.01
                  decay_temp_freq: 100
                  init_temp: 5
                  decay_temp: 0.965
                  resume: False
                  retrain_resume: False
                  policy_iter: best
                  which_iter: warmup
                  init_method: equal
                  hard_sampling: False
                \(train)

                test:
                  which_iter: best

                """
        }
    }

    private static let nyu = """
          batch_size: 16
          total_iters: 20000
          warm_up_iters: 4000
          lr: 0.001
          backbone_lr: 0.001
          decay_lr_freq: 4000
          decay_lr_rate: 0.5
          val_freq: 400
        """

    static let settings = [
        Setting(
            name: "nyu_v2_2task", backbone: "ResNet18", tasks: [("seg", 40, 1), ("sn", 3, 20)], data: "NYU_v2",
            crop: 321, train: nyu + "\n  reg_w: 0.05\n  reg_w_hamming: 0.05"),
        Setting(
            name: "nyu_v2_3task", tasks: [("seg", 40, 1), ("sn", 3, 20), ("depth", 1, 3)], data: "NYU_v2", crop: 321,
            train: nyu + "\n  reg_w: 0.001\n  reg_w_hamming: 0.05"),
        Setting(
            name: "cityscapes_2task", tasks: [("seg", 19, 1), ("depth", 1, 20)], data: "CityScapes",
            dataKeys: "  small_res: False",
            train: nyu.replacing(" lr: 0.001", with: " lr: 0.0001") + "\n  reg_w: 0.01\n  reg_w_hamming: 0.1"),
        Setting(
            name: "taskonomy_5task",
            tasks: [("seg", 17, 1), ("sn", 3, 3), ("depth", 1, 2), ("keypoint", 1, 7), ("edge", 1, 7)],
            data: "Taskonomy", speed: 1,
            train: """
                  batch_size: 16
                  total_iters: 100000
                  warm_up_iters: 20000
                  retrain_total_iters: 30000
                  lr: 0.0001
                  backbone_lr: 0.0001
                  reg_w: 0.001
                  reg_w_hamming: 0.005
                  val_freq: 1000
                  decay_lr_freq: 12000
                  decay_lr_rate: 0.3
                  weight_iter_alternate: 400
                  alpha_iter_alternate: 100
                """),
        Setting(
            name: "domainnet_6task",
            tasks: ["real", "painting", "quickdraw", "clipart", "infograph", "sketch"].map { ($0, 345, 1) },
            data: "DomainNet",
            dataKeys: "  domains: ['real', 'painting', 'quickdraw', 'clipart', 'infograph', 'sketch']", speed: 1,
            train: """
                  batch_size: 32
                  total_iters: 20000
                  warm_up_iters: 4000
                  fc_lr: 0.001
                  backbone_lr: 0.00001
                  val_freq: 400
                  imagenet_pretrain: True
                  weight_iter_alternate: 400
                  alpha_iter_alternate: 100
                  reg_w: 0.01
                  reg_w_hamming: 0.1
                  decay_fc_lr_freq: 2000
                  decay_fc_lr_rate: 0.3
                """, more: "task_bn: True\nis_deterministic: False"),
    ]

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Every key of the resolved configuration, but for the place of the data and how often a run looks at itself.
    @Test(arguments: settings) func saysWhatOurFileSays(_ setting: Setting) throws {
        let url = try folder.write(setting.text, "theirs.yml")
        let theirs = try ExperimentConfiguration.load(url)
        try theirs.validateForTraining()
        let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let ours = try ExperimentConfiguration.load(
            repository.appendingPathComponent("configs/published/\(setting.name).yml"))
        let found = theirs.differences(to: ours)
        func isPlace(_ path: String) -> Bool { path.hasSuffix("dataset.root") || path.hasSuffix("class_weights") }
        let places = found.filter { isPlace($0.path) }
        #expect(!places.isEmpty && places.allSatisfy { $0.mine.hasPrefix("/data/sets") && $0.other.hasPrefix("data/") })
        #expect(places.contains { $0.path.hasSuffix("class_weights") } == (setting.name == "taskonomy_5task"))
        let rest = found.filter { !isPlace($0.path) }.map { "\($0.path) \($0.mine) \($0.other)" }
        let often = setting.name == "taskonomy_5task" ? "1000 5000" : "400 1000"
        #expect(
            rest == ["training.seed 88 1", "training.log_every 100 20", "training.evaluate_every \(often)"], "\(rest)")
        // What is printed is a configuration, the same one; changes are ours.
        let published = try #require(try PublishedConfiguration.read(url))
        let printed = try ExperimentConfiguration.parse(yaml: published.text, file: "printed", overrides: [])
        #expect(printed == theirs)
        let changed = try ExperimentConfiguration.load(url, overrides: ["training.batch=3"])
        #expect(changed.differences(to: theirs).map(\.path) == ["training.batch"])
    }

    @Test func namesWhatHasNoCounterpart() throws {
        func remarks(_ name: String, _ change: (String, String) = ("", "")) throws -> [String] {
            let text = try #require(Self.settings.first { $0.name == name }).text
            let changed = change.0.isEmpty ? text : text.replacing(change.0, with: change.1)
            let url = try folder.write(changed, "theirs.yml")
            return try #require(try PublishedConfiguration.read(url)).remarks
        }
        let keys = try remarks("cityscapes_2task").map { String($0.prefix { $0 != ":" }) }
        #expect(
            Set(keys) == [
                "exp_name", "seed", "paths", "dataload.small_res", "train.resume", "train.retrain_resume",
                "train.which_iter", "train.policy_iter", "train.decay_temp_freq", "train.val_freq",
                "train.reg_w_hamming", "test",
            ], "\(keys)")
        let weighted = Self.settings[3].text
        let translated = try PublishedConfiguration.translate(weighted, file: "t.yml", vocabulary: .standard)
        #expect(try #require(translated).yaml.contains("class_weights: /data/sets/semseg_prior_factor.npy"))
        let domains = try remarks("domainnet_6task")
        #expect(domains.contains { $0.hasPrefix("train.imagenet_pretrain: ") && $0.contains("resnet34_imagenet") })
        #expect(domains.contains { $0.contains("Adam in policy learning") })
        let odd = try remarks("nyu_v2_2task", ("train:\n", "train:\n  novel: 3\n  policy_decay_lr_freq: 5\n"))
        #expect(odd.contains("train.novel: unknown here, and without effect"))
        #expect(odd.contains("train.policy_decay_lr_freq: rates stay as they are in policy learning"))
        func expect(_ change: (String, String), of name: String = "nyu_v2_2task", _ part: String) throws {
            let found = try remarks(name, change)
            #expect(found.contains { $0.contains(part) }, "\(found)")
        }
        try expect(("policy_lr: 0.01", "policy_lr: 0.2"), "train.policy_lr: 0.01, as the published code takes")
        try expect(("diff_sparsity_weights: True", "diff_sparsity_weights: False"), "all blocks weigh the same")
        try expect(("hard_sampling: False", "hard_sampling: True"), "train.hard_sampling: decisions are made")
        try expect(("init_neg_logits:", "init_neg_logits: -10"), "init_neg_logits: without effect")
        try expect((" lr: 0.001", " fc_lr: 0.1\n  lr: 0.001"), "train.fc_lr: not read by the published code for NYU_v2")
        try expect(("train:\n", "train:\n  imagenet_pretrain: True\n"), "train.imagenet_pretrain: not read")
        try expect(("train:\n", "train:\n  decay_fc_lr_freq: 5\n"), "train.decay_fc_lr_freq: not read")
        try expect(("  decay_lr_rate: 0.5\n", ""), "train.decay_lr_freq: without effect")
        try expect(("total_iters: 20000\n  ", ""), "train.warm_up_iters: without effect")
        try expect(
            ("imagenet_pretrain: True", "imagenet_pretrain: False\n  lr: 0.002"), of: "domainnet_6task",
            "train.fc_lr: not read by the published code for DomainNet with imagenet_pretrain False")
        _ = try remarks("nyu_v2_2task", ("train:\n", "train:\n  novel: 3\n"))
        // Every line of the head is a comment.
        let text = try #require(try PublishedConfiguration.read(folder.file("theirs.yml"))).text
        #expect(text.hasPrefix("# ") && text.contains("\n# - train.novel: unknown") && text.contains("\ntasks:\n"))
    }

    @Test func otherValuesAreTranslatedToo() throws {
        func load(_ changes: (String, String)...) throws -> ExperimentConfiguration {
            var text = Self.settings[0].text
            for change in changes {
                #expect(text.contains(change.0))
                text = text.replacing(change.0, with: change.1)
            }
            return try ExperimentConfiguration.load(folder.write(text, "theirs.yml"))
        }
        let plain = try load(
            ("is_curriculum: True", "is_curriculum: False"), ("is_sparse: True", "is_sparse: False"),
            ("is_sharing: True", "is_sharing: False"), ("retrain_from_pl: False", "retrain_from_pl: True"),
            ("hard_sampling: False", "hard_sampling: True"), ("seed: [88, 45, 50]", "seed: 7"))
        #expect(!plain.policy.curriculum && plain.policy.sparsity == 0 && plain.policy.sharing == 0)
        #expect(plain.policy.sparsityLayerWeights && plain.training.retrain.start == .learned)
        #expect(plain.policy.sampling == .straightThrough && plain.training.seed == 7)
        let chosen = try load(
            ("init_method: equal", "init_method: all_chosen"), ("init_neg_logits:", "init_neg_logits: -10"))
        #expect(chosen.policy.initial == .allChosen && chosen.policy.initialScale == 10)
        #expect(try load(("init_method: equal", "init_method: random")).policy.initial == .normal)
        // Only logits that begin as chosen have a rate of their own there.
        let slow = ("policy_lr: 0.01", "policy_lr: 0.2")
        #expect(try load(slow).policy.learningRate == 0.01)
        let both = try load(
            slow, ("init_method: equal", "init_method: all_chosen"), ("init_neg_logits:", "init_neg_logits: -10"))
        #expect(both.policy.learningRate == 0.2 && plain.policy.discrete == .argmax)
        let domains = Self.settings[4].text.replacing("imagenet_pretrain: True", with: "imagenet_pretrain: False")
        let single = try ExperimentConfiguration.load(
            folder.write(domains.replacing("fc_lr: 0.001", with: "lr: 0.002"), "theirs.yml"))
        #expect(single.training.learningRate.heads == 0.002 && single.training.learningRate.backbone == 0.002)
        #expect(single.model.initialCheckpoint == nil && single.training.learningRateDecay.every == 0)
        let steady = try load(("  decay_lr_freq: 4000\n  decay_lr_rate: 0.5\n", ""))
        #expect(steady.training.learningRateDecay.every == 0)
    }

    /// What the published code's files for tests have, which is no training.
    @Test func filesForTestsHaveNoTraining() throws {
        var setting = Self.settings[1]
        setting.train = ""
        let url = try folder.write(setting.text, "theirs.yml")
        let configuration = try ExperimentConfiguration.load(url)
        #expect(configuration.tasks.map(\.name) == ["segmentation", "normals", "depth"])
        #expect(configuration.model.backbone == .resnet34)
        let published = try #require(try PublishedConfiguration.read(url))
        #expect(published.remarks.contains { $0.hasPrefix("train.total_iters: missing") })
    }

    @Test(arguments: [
        ("policy_model: task-specific", "policy_model: other", "policy_model: found 'other'"),
        ("policy: True", "policy: False", "policy: found 'False', expected True"),
        ("skip_layer: 0", "skip_layer: 2", "skip_layer: found 2, expected 0"),
        ("backbone: ResNet18", "backbone: WRN", "backbone: found 'WRN', expected one of resnet18"),
        ("dataset: NYU_v2", "dataset: ImageNet", "found 'ImageNet', expected one of NYU_v2, CityScapes"),
        ("[\"seg\", \"sn\"]", "[\"seg\", \"pose\"]", "tasks.1: found 'pose', expected one of seg, sn, depth"),
        ("[40, 3]", "[40]", "tasks_num_class: found [40], expected 2 numbers"),
        ("[1, 20]", "[1, 20, 3]", "lambdas: found [1, 20, 3], expected 2 numbers"),
        ("total_iters: 20000", "total_iters: 200", "train.total_iters: found 200, expected at least"),
        ("is_sparse: True", "is_sparse: maybe", "is_sparse: found 'maybe', expected True or False"),
        ("[40, 3]", "[40, 4]", "tasks_num_class.1: found 4, expected 3"),
        ("[40, 3]", "[1e30, 3]", "tasks_num_class: found [1e30, 3], expected 2 numbers"),
        ("[40, 3]", "[40.7, 3]", "tasks_num_class: found [40.7, 3], expected 2 numbers"),
        ("lambdas: [1, 20]", "lambdas: [1, -20]", "lambdas.1: found -20"),
        ("reg_w: 0.05", "reg_w: -0.05", "train.reg_w: found -0.05"),
        ("  reg_w: 0.05", "", "train.reg_w: found nothing, expected a number, as is_sparse is True"),
        ("  reg_w_hamming: 0.05", "", "train.reg_w_hamming: found nothing, expected a number, as is_sharing"),
        ("  crop_w: 321\n", "", "dataload.crop_w: found nothing, expected a number, as crop_h is"),
        ("crop_h: 321", "crop_h: 0", "dataload.crop_h: found"),
        ("init_temp: 5", "init_temp: -5", "train.init_temp: found -5"),
        ("init_method: equal", "init_method: all_chosen", "init_neg_logits: found nothing, expected a number"),
        ("  dataroot: \"/data/sets\"\n", "", "dataload.dataroot: found nothing, expected a folder"),
    ])
    func whatIsNotToBeHadIsRefused(found: String, changed: String, expected: String) throws {
        let text = Self.settings[0].text
        #expect(text.contains(found))
        let url = try folder.write(text.replacing(found, with: changed), "theirs.yml")
        do {
            _ = try ExperimentConfiguration.load(url)
            Issue.record("loaded")
        } catch {
            #expect("\(error)".contains(expected) && "\(error)".hasPrefix(url.path), "\(error)")
        }
    }

    @Test func positiveLogitsAreRefused() throws {
        let text = Self.settings[0].text.replacing("init_neg_logits:", with: "init_neg_logits: 3")
        let url = try folder.write(text.replacing("init_method: equal", with: "init_method: all_chosen"), "theirs.yml")
        #expect(throws: InputError.self) { try ExperimentConfiguration.load(url) }
        let drawn = Self.settings[4].text.replacing("hard_sampling: False", with: "hard_sampling: True")
        #expect(throws: InputError.self) { try ExperimentConfiguration.load(folder.write(drawn, "theirs.yml")) }
    }

    @Test func ourOwnFilesAreNotTheirs() throws {
        let url = try folder.write(ConfigurationTests.three, "ours.yml")
        #expect(try PublishedConfiguration.read(url) == nil)
        #expect(try ExperimentConfiguration.load(url).tasks.count == 3)
    }
}
