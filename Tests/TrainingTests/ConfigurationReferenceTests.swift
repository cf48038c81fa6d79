import Foundation
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareTraining

@Suite struct ConfigurationReferenceTests {
    private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("docs/configuration.md")

    /// `UPDATE_DOCS=1 tools/test --filter ConfigurationReferenceTests` writes the page.
    @Test func pageIsUpToDate() throws {
        if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
            try Data(ConfigurationReference().markdown.utf8).write(to: Self.page)
        }
        let text = try? String(contentsOf: Self.page, encoding: .utf8)
        #expect(
            text == ConfigurationReference().markdown,
            "run: UPDATE_DOCS=1 tools/test --filter ConfigurationReferenceTests")
    }

    @Test func everyKeyIsDocumentedOnce() {
        let keys = ConfigurationReference().keys
        #expect(Set(keys.map(\.path)).count == keys.count)
        for key in keys {
            #expect(!key.type.isEmpty && !key.defaultText.isEmpty && key.meaning.hasSuffix("."), "\(key.path)")
            #expect(ConfigurationReference().markdown.contains("| `\(key.path)` |"))
        }
    }

    @Test func keysOfTheContractExist() {
        let paths = Set(ConfigurationReference().keys.map(\.path))
        let promised = [
            "tasks[]": "name kind channels weight",
            "dataset":
                "kind root crop augmentation.kind augmentation.scale augmentation.mirror shuffle normals validation",
            "model": "backbone width head dropout initial_checkpoint",
            "training": "seed batch log_every checkpoint_every warmup.iterations policy.iterations retrain.iterations "
                + "learning_rate.heads learning_rate.backbone",
            "policy": "sparsity sharing sampling curriculum_speed temperature",
        ]
        for (section, names) in promised {
            for name in names.split(separator: " ") {
                #expect(paths.contains("\(section).\(name)"), "\(section).\(name)")
            }
        }
    }
}
