import AdaShareExperiments
import AdaShareSchema
import AdaShareSupport
import Foundation

@testable import AdaShareConfiguration

extension Target {
    /// What people write.
    static let configurations: [String: Target] = [
        "yaml": Target { bytes in
            guard let text = String(data: bytes, encoding: .utf8) else { return }
            try check(ExperimentConfiguration.parse(yaml: text, file: "f"))
        },
        "published": Target { bytes in
            guard let text = String(data: bytes, encoding: .utf8) else { return }
            guard let published = try PublishedConfiguration.translate(text, file: "f", vocabulary: .standard) else {
                return
            }
            _ = try ExperimentConfiguration.parse(yaml: published.yaml, file: "f")
        },
        "set": Target { bytes in
            guard let text = String(data: bytes, encoding: .utf8) else { return }
            let options = text.split(separator: "\n", omittingEmptySubsequences: false).prefix(8).map(String.init)
            try check(ExperimentConfiguration.parse(yaml: tasks, file: "f", overrides: options))
        },
        "study": Target { bytes in
            _ = Scratch.file("c.yml", Data(tasks.utf8))
            let study = try Study.read(Scratch.file("study.yml", bytes))
            for row in study.rows { _ = study.folder(row, seed: study.seeds[0]) }
        },
    ]

    private static let tasks = "tasks: [{name: a, kind: segmentation, channels: 3}, {name: b, kind: depth}]\n"

    private static func check(_ configuration: ExperimentConfiguration) throws {
        let text = configuration.yaml()
        let again = try ExperimentConfiguration.parse(yaml: text, file: "f")
        require(again.yaml() == text, "another configuration after writing and reading")
        try configuration.validateForTraining(file: "f")
        _ = try Experiment(configuration).trainingCost
    }
}
