import AdaShareExperiments
import AdaShareSupport
import Foundation

extension Trainer {
    /// Says before the first step where the disk has less room than the run's checkpoints will take.
    ///
    /// - Throws: `InputError` where not even one fits.
    func checkRoom() throws {
        guard let free = DiskSpace.free(run.checkpoints.path) else { return }
        let weights = catalog.specs.reduce(0) { $0 + 4 * $1.elementCount }
        // Optimisers keep up to two numbers for each weight.
        let pair = 3 * weights
        let training = experiment.configuration.training
        let phases = outlines.count { $0.iterations > 0 && !$0.isElsewhere }
        // One pair replaces another; phases end with their weights, and with the best of them.
        let wanted = 2 * pair + phases * weights * (training.evaluateEvery > 0 ? 2 : 1)
        guard free < wanted else { return }
        func mega(_ bytes: Int) -> String { readable(Double(bytes) / 1e6) + " MB" }
        guard free >= pair else {
            throw InputError(
                file: run.checkpoints.path, found: "\(mega(free)) of free space",
                expected: "at least \(mega(pair)) for a checkpoint, and \(mega(wanted)) for all of the run's")
        }
        report(
            .notice(
                "\(run.checkpoints.path) has \(mega(free)) of free space, and the run's checkpoints take up to "
                    + mega(wanted)))
    }
}
