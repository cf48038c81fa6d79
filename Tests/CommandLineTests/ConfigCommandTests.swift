import AdaShareDatasets
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration

extension CommandLineTests {
    /// Files of the published code where a configuration is expected.
    @Suite(.needsDevice) struct ConfigCommandTests {
        private let folder: TemporaryFolder
        private let theirs: URL

        init() throws {
            folder = try TemporaryFolder()
            theirs = try folder.write(
                """
                exp_name: rooms
                seed: [7, 8]
                backbone: ResNet18
                tasks: ["seg", "sn", "depth"]
                tasks_num_class: [6, 3, 1]
                lambdas: [1, 20, 3]
                policy_model: task-specific
                dataload: { dataset: NYU_v2, dataroot: "\(folder.file("rooms").path)", crop_h: 32, crop_w: 32 }
                policy: True
                is_sparse: True
                is_curriculum: True
                curriculum_speed: 1
                train:
                  batch_size: 4
                  total_iters: 6
                  warm_up_iters: 2
                  lr: 0.001
                  backbone_lr: 0.001
                  reg_w: 0.001
                  weight_iter_alternate: 1
                  alpha_iter_alternate: 1
                  print_freq: 1
                  resume: False

                """, "theirs.yml")
        }

        @Test func translationsAreConfigurations() throws {
            let said = Command.run(["config", "translate", theirs.path])
            #expect(said.status == 0 && said.errors.isEmpty, "\(said.errors)")
            #expect(said.output.contains("# - train.resume: ") && said.output.contains("# - exp_name: "))
            let mine = try folder.write(said.output, "mine.yml")
            #expect(try ExperimentConfiguration.load(mine) == ExperimentConfiguration.load(theirs))
            expectFailure(["config", "translate", mine.path], mine.path, "neither dataload nor tasks_num_class")
            expectFailure(["config", "translate", folder.file("no.yml").path], "no.yml", "no such file")
        }

        @Test func everyCommandTakesThem() throws {
            try TinyRooms.write(to: folder.file("rooms"), count: 20)
            let run = folder.file("run")
            let small = ["--set", "model.width=0.0625", "--set", "model.head=light"]
            let trained = Command.run(
                ["train", "--config", theirs.path, "--output", run.path, "--no-search", "--phases", "warmup"] + small)
            #expect(trained.status == 0, "\(trained.errors)")
            #expect(trained.errors.hasPrefix("# \(theirs.path) is a configuration of the published code."))
            let resolved = try ExperimentConfiguration.load(run.appendingPathComponent("config.yml"))
            #expect(resolved.training.seed == 7 && resolved.training.policy.iterations == 4)
            #expect(resolved.tasks.map(\.name) == ["segmentation", "normals", "depth"])
            // The answer is JSON alone.
            let cost = Command.run(["cost", "--config", theirs.path, "--json"] + small)
            #expect(try cost.status == 0 && cost.json().keys.contains("blocks"), "\(cost.output)")
            #expect(cost.errors.contains("# - seed: 7, the first"))
            let checked = Command.run(["data", "check", "--config", theirs.path, "--json"])
            #expect(checked.status == 0 && checked.errors.contains("is a configuration of the published code"))
            let image = folder.file("rooms/img/000001.png").path
            let weights = run.appendingPathComponent("checkpoints/warmup.safetensors").path
            let predicted = Command.run(
                ["predict", "--config", theirs.path, "--checkpoint", weights, "--output", folder.file("p").path, image]
                    + small)
            #expect(predicted.status == 0 && predicted.errors.contains("published code"), "\(predicted.errors)")
        }
    }
}
