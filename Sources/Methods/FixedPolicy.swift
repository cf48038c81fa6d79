import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import Foundation

/// Weights under a policy that people give.
public struct FixedPolicy: Method {
    public static let kind = "fixed"
    public static let meaning = "the weights under a given policy; one phase, `train`"
    public static var fields: [ConfigurationField<FixedPolicy>] {
        [
            .key(
                "policy", \.policy, defaultText: "null",
                "The policy to train under, needed by `fixed`: \(PolicySource.expectation).")
        ]
    }

    /// `method.policy`: the policy to train under; nil, which `validate` refuses, where the file names none.
    public var policy: PolicySource?

    public init() {}

    public func resolved(_ absolute: (String) -> String) -> FixedPolicy {
        var copy = self
        if case .file(let path)? = policy { copy.policy = .file(absolute(path)) }
        return copy
    }

    public func validate(_ settings: MethodSettings, file: String) throws {
        guard policy == nil else { return }
        throw InputError(file: file, place: "method.policy", found: "nothing", expected: PolicySource.expectation)
    }

    public func foreseenPolicy(_ settings: MethodSettings, macs: PartCosts) throws -> DiscretePolicy? {
        try validate(settings, file: "configuration")
        return try policy?.selection(for: settings.architecture).discrete(tasks: settings.tasks)
    }

    public func phases(_ settings: MethodSettings) -> [PhaseOutline] {
        [PhaseOutline(.train, iterations: settings.wholeLength)]
    }

    public func begin(_ outline: PhaseOutline, in run: any MethodRun) throws -> any TrainingPhase {
        guard let policy else { preconditionFailure("validated before") }
        if let recorded = run.state.policy { try check(policy, against: recorded, in: run) }
        return try WeightTraining.under(run) { try policy.selection(for: run.settings.architecture) }
    }

    /// A run goes on under the policy that it has recorded, though the file be gone, but not beside another one.
    private func check(_ policy: PolicySource, against recorded: SelectionPolicy, in run: any MethodRun) throws {
        if case .file(let path) = policy, !FileManager.default.fileExists(atPath: path) {
            return run.note("\(path): no such file; the policy that the run has recorded is used")
        }
        let now = try policy.selection(for: run.settings.architecture)
        guard now.tasks != recorded.tasks else { return }
        throw InputError(
            file: run.place, place: "method.policy", found: "another policy in \(policy.name) than the run's",
            expected: "the policy it was begun with, or a new run")
    }
}

extension WeightTraining {
    /// The phase `train` under one policy, which is chosen before the first step and then kept.
    static func under(_ run: any MethodRun, choose: () throws -> SelectionPolicy) throws -> WeightTraining {
        if run.state.policy == nil {
            let chosen = try choose()
            let policy = chosen.discrete(tasks: run.settings.tasks)
            if let warning = run.macs.warning(about: policy) { run.note(warning) }
            run.state.policy = chosen
        }
        guard let chosen = run.state.policy else { preconditionFailure("chosen above") }
        try run.write(chosen, named: [:])
        return WeightTraining(
            run, number: PhaseNumber.train, kind: .retrain(chosen.discrete(tasks: run.settings.tasks)), under: chosen,
            isFirst: true
        ) { try $0.initialise(nil, keepingLogits: false) }
    }
}
