import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareSupport
import ArgumentParser
import Foundation

/// A command that reads a configuration, which then has a name in errors about its keys.
protocol ConfiguredCommand {
    /// The file; nil where the command has it from elsewhere.
    var configurationFile: String? { get }
    /// Its `--set` options.
    var overrides: [String] { get }
}

extension ConfiguredCommand {
    /// An error about a key of the configuration, with the file or option it is from in place of the word.
    func located(_ error: any Error) -> any Error {
        guard let error = error as? InputError, error.file == "configuration", error.others.isEmpty else {
            return error
        }
        let option = overrides.last { option in
            let key = option.prefix { $0 != "=" }
            return error.place == String(key) || error.place?.hasPrefix(key + ".") ?? false
        }
        guard let file = option.map({ "--set \($0)" }) ?? configurationFile else { return error }
        return InputError(file: file, place: error.place, found: error.found, expected: error.expected)
    }
}

/// One that reads it as options say.
protocol OptionsCommand: ConfiguredCommand {
    var options: ConfigurationOptions { get }
}

extension OptionsCommand {
    var configurationFile: String? { options.config }
    var overrides: [String] { options.overrides }
}

extension Cost: OptionsCommand {}
extension Tune: OptionsCommand {}
extension DataCheck: OptionsCommand {}
extension DataPreview: OptionsCommand {}
extension Import: OptionsCommand {}
extension Predict: ConfiguredCommand {
    var configurationFile: String? { config ?? path.map { $0 + "/\(RunDirectory.Entry.configuration.name)" } }
}
extension Train: ConfiguredCommand {}
extension Evaluate: ConfiguredCommand {
    var configurationFile: String? { path + "/\(RunDirectory.Entry.configuration.name)" }
}

/// Checks that the folders of data sets are there: they may have moved since a run was made.
///
/// - Throws: `InputError` naming the option that says where they are now.
func checkData(of configuration: ExperimentConfiguration) throws {
    for source in try configuration.imageSources() {
        guard let reader = source.reader.reader, type(of: reader).needsRoot, let root = source.reader.root,
            !root.isEmpty, !FileManager.default.fileExists(atPath: root)
        else { continue }
        throw InputError(
            file: root, found: "no such folder",
            expected: "the data set; where it has moved, --set \(source.place).root=PATH")
    }
}

/// The configuration of a run, with options that say where its data is now.
///
/// - Throws: `InputError` for an option that would change what was trained.
func readConfiguration(of run: RunDirectory, _ overrides: [String]) throws -> ExperimentConfiguration {
    let stored = try run.readConfiguration()
    guard !overrides.isEmpty else { return stored }
    let configuration = try ExperimentConfiguration.load(run.configuration, overrides: overrides)
    for difference in stored.differences(to: configuration) where !configuration.mayChange(difference.path) {
        throw InputError(
            file: "--set \(difference.path)=\(difference.other)", found: "a key that says what was trained",
            expected: "one that changes no result, such as dataset.root")
    }
    return configuration
}
