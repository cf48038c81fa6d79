import AdaShareConfiguration
import AdaShareSupport
import ArgumentParser
import Foundation

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Translate configurations of the published code.",
        subcommands: [Translate.self])

    struct Translate: ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say a configuration of the published code in this project's keys.",
            discussion: """
                Prints YAML that every command takes, with a comment for each key that has no counterpart: what is \
                done instead. Commands that take --config translate such files themselves, to the same.
                """)

        @Argument(help: "YAML as in the folder yamls of the published code.", completion: .file()) var file: String

        func run(on console: Console) throws {
            let url = URL(fileURLWithPath: file)
            guard let published = try PublishedConfiguration.read(url) else {
                throw InputError(
                    file: url.path, found: "neither dataload nor tasks_num_class",
                    expected: "a configuration of the published code")
            }
            // What could not be read back would be no answer.
            _ = try ExperimentConfiguration.load(url)
            try console.print(String(published.text.dropLast()))
        }
    }
}
