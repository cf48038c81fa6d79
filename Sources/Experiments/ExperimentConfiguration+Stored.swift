import AdaShareConfiguration
import AdaShareTasks
import Foundation

extension ExperimentConfiguration {
    /// As a run's folder keeps it: files named from the root, so that the run can be evaluated and resumed from any
    /// folder, and class weights as numbers, so that their file is not needed again.
    ///
    /// - Parameter known: what the folder keeps already, whose class weights stand where their file is gone.
    /// - Throws: `InputError` if class weights cannot be read.
    public func stored(beside known: ExperimentConfiguration? = nil) throws -> ExperimentConfiguration {
        var result = withAbsolutePaths
        for (index, task) in result.tasks.enumerated() {
            guard case .file(let path) = task.classWeights else { continue }
            let weights = known?.tasks.first { $0.name == task.name }?.classWeights
            if let weights, weights == .file(path) || !FileManager.default.fileExists(atPath: path) {
                result.tasks[index].classWeights = weights
            } else {
                let values = try Experiment.classWeights(in: path, classes: task.channels)
                result.tasks[index].classWeights = .values(values.map { Double($0) })
            }
        }
        return result
    }
}
