import AdaShareTraining

@testable import AdaShareConfiguration

extension ConfigurationReference {
    /// The reference as a Markdown page, one table per section.
    var markdown: String {
        var text = """
            # Configuration

            A YAML file. Only `tasks` is required, and to train, `dataset.kind`. `--set path=value` changes one key
            (`--set training.batch=8`, `--set tasks.0.weight=2`); the value is YAML. An unknown key is an error.

            """
        var section = ""
        for key in keys {
            let head = String(key.path.prefix { $0 != "." && $0 != "[" })
            if head != section {
                section = head
                text += "\n## \(head)\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
            }
            text += "| `\(key.path)` | \(key.type) | \(key.defaultText) | \(key.meaning) |\n"
        }
        return text
    }
}
