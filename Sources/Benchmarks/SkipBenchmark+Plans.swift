import AdaShareExperiments
import AdaShareProfiling
import AdaShareSupport

extension SkipBenchmark {
    /// Builds the plans of every row in turns, `repeats` times each, and runs none: what a policy costs that has not
    /// been seen before. What comes before the first launch is in `ms`; `binding` happens beside the device's work.
    ///
    /// - Returns: a table of medians, in milliseconds.
    /// - Throws: `DeviceError`, or `InputError` where a tensor is too large for the device.
    public func plans() throws -> String {
        let session = try ExperimentSession.open(experiment, on: context, family: family, report: report)
        var table = Table([
            "plan", "density", "kernels", "ms", "processor ms", "tracing", "lowering", "planning", "binding",
        ])
        for step in steps {
            let bench = try NetworkBench(session, shape: shape, infersOnly: step == .inference)
            let all = Subject(policy: "all_selected", density: 1, kind: bench.reference(step).hardSharing)
            let rows = [all] + rows(step)
            table.add([step.rawValue])
            for (row, times) in zip(rows, try bench.planTimes(rows.map(\.kind), repeats: repeats)) {
                let parts = [times.all, times.processor, times.tracing, times.lowering, times.planning, times.binding]
                table.add(
                    ["  " + row.name, row.density.map(percent) ?? Table.none, "\(times.kernels)"]
                        + parts.map { readable($0, digits: 3) })
            }
        }
        return table.text + "\nA cached plan is found in \(readable(try measureCachedPlan(session), digits: 3)) µs"
    }
}
