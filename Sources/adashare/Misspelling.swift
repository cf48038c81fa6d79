import AdaShareSupport
import ArgumentParser

/// A command or an option that there is not, which the parser may complain of as something else: what follows an
/// unknown option is a stray value to it.
enum Misspelling {
    /// What is wrong with the first such name of a command line that could not be parsed; nil where all are known.
    static func error(in arguments: [String]) -> String? {
        error(in: arguments[...], of: AdaShareCommand.self)
    }

    private static func error(in arguments: ArraySlice<String>, of command: any ParsableCommand.Type) -> String? {
        let known = command.configuration.subcommands
        if !known.isEmpty, let name = arguments.first, !name.hasPrefix("-") {
            if let next = known.first(where: { $0._commandName == name }) {
                return error(in: arguments.dropFirst(), of: next)
            }
            return name == "help"
                ? nil
                : error(
                    name, "command of \(command._commandName)",
                    known.filter { $0.configuration.shouldDisplay }.map { $0._commandName }, listing: true)
        }
        let options = options(of: command)
        let names = arguments.prefix { $0 != "--" }.map { String($0.prefix { $0 != "=" }) }
        return names.first { name in
            name.hasPrefix("--") ? !options.contains(name) : name.hasPrefix("-") && options.contains("-" + name)
        }.map { error($0, "option of \(command._commandName)", options.sorted()) }
    }

    private static func error(
        _ found: String, _ kind: String, _ known: [String], listing: Bool = false
    ) -> String {
        let near = nearest(to: found, in: known).flatMap { editDistance(found, $0) * 2 <= found.count ? $0 : nil }
        return "Error: found '\(found)', which is no \(kind)"
            + (near.map { "; the nearest is \($0)" } ?? (listing ? "; these are \(known.joined(separator: ", "))" : ""))
            + "."
    }

    /// What the parser itself takes.
    private static let parsers = [
        "--help", "--help-hidden", "--version", "--generate-completion-script", "--experimental-dump-help",
    ]

    /// As its help has them, hidden ones included.
    private static func options(of command: any ParsableCommand.Type) -> Set<String> {
        let help = command.helpMessage(includeHidden: true, columns: 200)
        let names = help.split(separator: "\n").filter { $0.hasPrefix("  -") }.flatMap { line in
            line.split { " ,/".contains($0) }.prefix { $0.hasPrefix("-") || $0.hasPrefix("<") }
        }
        return Set(names.filter { $0.hasPrefix("--") }.map(String.init)).union(parsers)
    }
}
