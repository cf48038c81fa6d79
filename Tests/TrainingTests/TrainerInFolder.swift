import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareSupport
import TestSupport

@testable import AdaShareTraining

extension Trainer {
    /// A trainer on the device under test, with a run of its own: `run` in a folder.
    ///
    /// - Parameters:
    ///   - configuration: what is trained.
    ///   - folder: kept as long as the run is.
    ///   - mode: whether the run is new.
    ///   - dataset: nil for the configuration's.
    ///   - report: told what the trainer tells people.
    convenience init(
        _ configuration: ExperimentConfiguration, in folder: TemporaryFolder, mode: RunDirectory.Mode = .create,
        dataset: (any Dataset)? = nil, report: @escaping (ProgressEvent) -> Void = { _ in }
    ) throws {
        let directory = try RunDirectory(folder.file("run"), mode: mode)
        try directory.prepare(configuration)
        try self.init(
            experiment: Experiment(configuration), dataset: dataset, context: TestDevice.context(), run: directory,
            report: report)
    }
}
