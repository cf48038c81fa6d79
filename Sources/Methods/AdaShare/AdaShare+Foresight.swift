import AdaShareModels

extension AdaShare {
    /// Policy learning mixes more blocks the further its curriculum is: what its steps take with one block open and
    /// with all, with the rest on a line between these.
    public func typicalSteps(
        of outline: PhaseOutline, _ settings: MethodSettings, policy: DiscretePolicy?
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String]) {
        switch outline.phase {
        case .policy: return policySteps(outline.iterations, settings)
        case .trials:
            return ([(.hardSharing, 1)], ["trials are counted under hard sharing: their policies are not known yet"])
        case .retrain:
            guard let policy else {
                return ([(.hardSharing, 1)], ["retraining is counted under hard sharing: its policy is not known yet"])
            }
            return ([(.retrain(policy), 1)], [])
        default: return ([(.hardSharing, 1)], [])
        }
    }

    private func policySteps(
        _ iterations: Int, _ settings: MethodSettings
    ) -> (steps: [(kind: StepKind, share: Double)], notes: [String]) {
        let (blocks, learning) = (settings.policy.learnedBlocks(of: settings.architecture), PolicySettings(settings))
        let schedule = PolicySchedule(settings)
        var notes: [String] = []
        if schedule == nil {
            notes.append("weight and logit steps are counted alike: their number needs the data set")
        }
        if settings.policy.sampling == .hardSkip {
            notes.append("policy learning takes less: hard_skip leaves out what it does not draw, which is not counted")
        }
        var shares: [StepKind: Double] = [:]
        func add(_ isWeights: Bool, _ part: Double, _ share: Double) {
            for (open, share) in [(1, share * (1 - part)), (blocks, share * part)] {
                shares[isWeights ? learning.weights(open: open) : learning.logits(open: open), default: 0] += share
            }
        }
        for iteration in 0..<iterations {
            let step = schedule?.step(iteration)
            let part = Double((step?.open ?? blocks) - 1) / Double(max(1, blocks - 1))
            let share = 1 / Double(iterations)
            if let step {
                add(step.kind == .weights, part, share)
            } else {
                add(true, part, share / 2)
                add(false, part, share / 2)
            }
        }
        let kinds = [1, blocks].flatMap { [learning.weights(open: $0), learning.logits(open: $0)] }
        return (kinds.compactMap { kind in shares.removeValue(forKey: kind).map { (kind, $0) } }, notes)
    }

    public func namedKinds(_ settings: MethodSettings, policy: DiscretePolicy) -> [(name: String, kind: StepKind)] {
        let (blocks, learning) = (settings.policy.learnedBlocks(of: settings.architecture), PolicySettings(settings))
        return [
            ("warmup", .hardSharing), ("weights", learning.weights(open: blocks)),
            ("logits", learning.logits(open: blocks)), ("retrain", .retrain(policy)),
        ]
    }
}
