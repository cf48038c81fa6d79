import AdaShareSchema
import AdaShareSupport
import Foundation
import Yams

/// A configuration file of the published code, said in this project's keys.
///
/// - Source: github.com/sunxm2357/AdaShare, the code published with Sun, Panda, Feris, Saenko 2020, and its `domainnet`
///   branch.
public struct PublishedConfiguration: Sendable {
    /// The keys that it sets, as YAML.
    public let yaml: String
    /// What has no counterpart and what is done instead, each a line that begins with the file's own key.
    public let remarks: [String]
    /// Where in the file it is said what a key of ours is set to.
    let places: [String: String]
    /// Where it was read.
    private let file: String

    /// The YAML below its remarks as comments: a configuration of this project.
    public var text: String {
        let head = ["\(file) is a configuration of the published code. In this project's keys it says:"]
        let without = remarks.isEmpty ? [] : ["", "Without a counterpart:"] + remarks.map { "- \($0)" }
        return (head + without).map { $0.isEmpty ? "#" : "# \($0)" }.joined(separator: "\n") + "\n" + yaml
    }

    /// Translates a file; nil where it is none of the published code's.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - vocabulary: the names of task kinds and readers, with those that they have in published files.
    /// - Throws: `InputError` if it cannot be read, lacks a key, or asks for what is not to be had here.
    public static func read(_ url: URL, vocabulary: Vocabulary = .standard) throws -> PublishedConfiguration? {
        try translate(ExperimentConfiguration.text(of: url), file: url.path, vocabulary: vocabulary)
    }

    /// The same of text; `file` names it in errors.
    static func translate(_ text: String, file: String, vocabulary: Vocabulary) throws -> PublishedConfiguration? {
        // Ours have neither; most need no second reading to tell.
        let marks = ["dataload", "tasks_num_class"]
        guard marks.contains(where: { text.contains($0) }) else { return nil }
        let tree = try ConfigurationTree(yaml: text, file: file, overrides: [])
        let names = Set((tree.root.mapping ?? [:]).compactMap { $0.key.scalar?.string })
        guard !names.isDisjoint(with: marks) else { return nil }
        var translation = PublishedTranslation(tree, vocabulary: vocabulary)
        try translation.run()
        return PublishedConfiguration(
            yaml: try translation.yaml(), remarks: translation.remarks, places: translation.places, file: file)
    }

    /// An error about a key of ours as one about the file's; of what an option has said it stays as it is.
    func located(_ error: InputError) -> InputError {
        guard error.file == file, var place = error.place else { return error }
        while places[place] == nil, let dot = place.lastIndex(of: ".") { place = String(place[..<dot]) }
        return InputError(
            file: file, place: places[place] ?? error.place.map { "translated: \($0)" }, found: error.found,
            expected: error.expected)
    }
}
