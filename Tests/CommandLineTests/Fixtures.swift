import AdaShareDatasets
import AdaShareSupport
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

/// Root of the suites that run commands: one after the other.
@Suite(.serialized) struct CommandLineTests {}

/// Configurations small enough for a test.
enum Tiny {
    static let tasks = """
        tasks:
          - { name: segmentation, kind: segmentation, channels: 6 }
          - { name: normals, kind: normals }
          - { name: depth, kind: depth }

        """
    static let scenes = "dataset: { kind: scenes, count: 40, size: [32, 32], crop: [32, 32], augmentation: dense }\n"
    static let light = "model: { backbone: resnet18, width: 0.125, head: light, dropout: 0 }\n"

    /// A few steps of every phase, with everything that has state.
    static let complete =
        tasks + scenes + """
            model: { backbone: resnet18, width: 0.125, head: four_rate, dropout: 0.5 }
            training:
              batch: 4
              log_every: 1
              checkpoint_every: 3
              evaluate_every: 4
              warmup: { iterations: 5 }
              policy: { iterations: 16 }
              retrain: { iterations: 5 }
              hard_sharing_baseline: true
            policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 }, samples: 2 }

            """
    static let completePhases = [("warmup", 5), ("policy", 16), ("retrain", 5), ("baseline", 5)]

    /// Two steps of warm-up on a folder in the format of NYU v2.
    static func folder(_ root: String) -> String {
        tasks + light + """
            dataset: { kind: nyu_v2, root: \(root), crop: [32, 32], augmentation: none, validation: 0 }
            training: { batch: 4, log_every: 1, warmup: { iterations: 2 }, policy: { iterations: 0 },
                        retrain: { iterations: 0 } }

            """
    }
}

/// Rooms in the format of NYU v2, 32 × 32: made once, then copied.
enum TinyRooms {
    private static let made = Mutex<[Int: LastingFolder]>([:])

    /// - Parameters:
    ///   - url: a folder that is not there yet.
    ///   - count: how many; all of eight are in train.
    static func write(to url: URL, count: Int = 8) throws {
        let owner = try made.withLock { made -> LastingFolder in
            if let known = made[count] { return known }
            let owner = try LastingFolder()
            try writeNYUFormat(
                try ScenesDataset(count: count, height: 32, width: 32, seed: 3), to: owner.folder.file("rooms"))
            made[count] = owner
            return owner
        }
        try FileManager.default.copyItem(at: owner.folder.file("rooms"), to: url)
    }
}

/// A folder that lasts as long as the tests' process; nothing would release it from a static value.
final class LastingFolder: Sendable {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        Self.all.withLock { $0.append(folder.url) }
        _ = Self.removal
    }

    private static let all = Mutex<[URL]>([])
    private static let removal: Void = {
        atexit { LastingFolder.all.withLock { for url in $0 { try? FileManager.default.removeItem(at: url) } } }
    }()
}

/// A run of `Tiny.complete` that nothing disturbed, made once; tests that change a run copy it.
final class FinishedRun: Sendable {
    let folder: URL
    let configuration: URL
    let outcome: Outcome

    private static let made = Result<FinishedRun, any Error> { try FinishedRun(name: "run", []) }
    private static let warmed = Result<FinishedRun, any Error> {
        try FinishedRun(name: "warmed", ["--phases", "warmup"])
    }
    private static let owner = Result<LastingFolder, any Error> { try LastingFolder() }

    /// The whole of it.
    static func get() throws -> FinishedRun { try made.get() }
    /// Its warm-up alone.
    static func afterWarmup() throws -> FinishedRun { try warmed.get() }

    private init(name: String, _ more: [String]) throws {
        let owner = try Self.owner.get().folder
        configuration = try owner.write(Tiny.complete, "tiny.yml")
        folder = owner.file(name)
        outcome = try Program.run(["train", "--config", configuration.path, "--output", folder.path] + more)
    }

    func copy(to url: URL) throws { try FileManager.default.copyItem(at: folder, to: url) }
    func checkpoint(_ phase: String) -> URL { folder.appendingPathComponent("checkpoints/\(phase).safetensors") }
    func events() throws -> [JSONValue] { try EventLog.read(folder.appendingPathComponent("metrics.jsonl")) }
}
