import AdaShareDatasets
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSchema
import AdaShareSupport
import AdaShareTasks

extension ExperimentConfiguration {
    /// As many results as a graph tells apart.
    static let maximumTasks = 64
    /// Bytes of a task's name.
    private static let longestName = 100

    /// How convolutions may round, if the device can.
    public var arithmetic: ConvolutionArithmetic {
        if training.exactConvolutions { return .exact }
        return model.precision.arithmetic
    }

    /// Checks what training needs beyond what `parse` has checked: the data set and phases that fit together.
    ///
    /// - Parameter file: named in errors.
    /// - Throws: `InputError` naming the key.
    public func validateForTraining(file: String = "configuration") throws {
        func fail(_ path: String, _ found: String, _ expected: String) -> InputError {
            InputError(file: file, place: path, found: found, expected: expected)
        }
        try validateTasks(file: file)
        for source in try imageSources() { _ = try source.reader.complete(place: source.place, file: file) }
        if training.batch < 1 {
            throw fail("training.batch", "\(training.batch)", "at least 1")
        }
        let settings = try methodSettings()
        try method.chosen.validate(settings, file: file)
        guard method.chosen.phases(settings).contains(where: { $0.iterations > 0 }) else {
            throw fail("training", "0 iterations in all phases", "a phase with iterations")
        }
    }

    /// The network.
    ///
    /// - Throws: `InputError` if it cannot be laid out.
    public func architecture() throws -> NetworkArchitecture {
        let sources = try imageSources()
        return try NetworkArchitecture(
            backbone: model.backbone, width: model.width, head: model.head,
            tasks: tasks.enumerated().map { index, task in
                TaskHead(
                    name: task.name, channels: task.channels, number: task.number,
                    source: sources.firstIndex { $0.tasks.contains(index) } ?? 0)
            },
            isPooled: tasks.contains { $0.kind.extent == .image }, hasTaskBatchNorm: model.hasTaskBatchNorm)
    }

    /// What the method knows before a run.
    ///
    /// - Throws: as `architecture`, or `InputError` where the method cannot be made of that network.
    public func methodSettings() throws -> MethodSettings {
        let architecture = try architecture()
        try method.chosen.check(architecture, file: "configuration")
        return MethodSettings(
            training: training, policy: policy, architecture: architecture, objective: objective.chosen,
            hasInitialWeights: model.initialCheckpoint != nil)
    }

    /// Checks that batches can be divided.
    func validateShards(file: String) throws {
        func fail(_ found: String, _ expected: String) -> InputError {
            InputError(
                file: file, place: "training.shards", found: "\(training.shards)" + found, expected: expected)
        }
        guard training.shards.nonzeroBitCount == 1 else { throw fail("", "a power of two") }
        guard training.batch % training.shards == 0 else {
            throw fail(" with training.batch \(training.batch)", "a number that divides training.batch")
        }
        guard training.shards == 1 || objective.chosen.isLinear else {
            throw fail(
                " with objective \(type(of: objective.chosen).kind)", "1: its total is no sum over parts of a batch")
        }
    }

    /// Checks that precisions go together.
    func validatePrecision(file: String) throws {
        guard training.exactConvolutions, model.precision != .float32 else { return }
        throw InputError(
            file: file, place: "training.exact_convolutions",
            found: "true with model.precision \(model.precision.rawValue)",
            expected: "false, or model.precision float32")
    }

    /// Of the stages of a network so wide.
    private static func channels(width: Double) -> [Int] {
        [64, 128, 256, 512].map { NetworkArchitecture.scaled($0, by: width) }
    }

    /// Checks the list of tasks: names, outputs and class weights.
    func validateTasks(file: String) throws {
        func fail(_ path: String, _ found: String, _ expected: String) -> InputError {
            InputError(file: file, place: path, found: found, expected: expected)
        }
        if tasks.isEmpty {
            throw fail("tasks", "no task", "at least one")
        }
        if tasks.count > Self.maximumTasks {
            throw fail("tasks", "\(tasks.count) tasks", "at most \(Self.maximumTasks)")
        }
        if policy.budget != nil, !policy.budgets.isEmpty {
            throw fail("policy.budgets", "policy.budget beside it", "one of the two")
        }
        let budgets = policy.budgets + (policy.budget.map { [$0] } ?? [])
        let isInTime = budgets.contains { if case .milliseconds = $0 { true } else { false } }
        if isInTime, !policy.isTimed {
            throw fail("policy.budget_for", "macs with a budget in milliseconds", "inference or training")
        }
        let blocks = model.backbone.blocksPerStage.reduce(0, +)
        guard policy.sharedBlocks < blocks else {
            throw fail(
                "policy.shared_blocks", "\(policy.sharedBlocks) of the \(blocks) blocks of \(model.backbone.rawValue)",
                "at most \(blocks - 1): with all of them shared there is no policy to learn (method: hard_sharing)")
        }
        var widths = [Self.channels(width: model.width)]
        for factor in training.narrowBaselines {
            let width = model.width * factor
            let channels = Self.channels(width: width)
            guard width >= 0.015625, !widths.contains(channels) else {
                throw fail(
                    "training.narrow_baselines", "\(PolicyBudget.share(factor).name), stages of \(channels) channels",
                    "factors whose networks differ: channels are multiples of 16, at least 16, and the width at least "
                        + "0.015625")
            }
            widths.append(channels)
        }
        if !training.narrowBaselines.isEmpty, !training.hardSharingBaseline {
            throw fail(
                "training.narrow_baselines", "narrower networks without hard sharing to compare them with",
                "training.hard_sharing_baseline: true")
        }
        if !policy.budgets.isEmpty, policy.discrete == .argmax {
            throw fail(
                "policy.discrete", "argmax with policy.budgets, which it is not held to",
                "budget, frontier or sample")
        }
        if !budgets.isEmpty, policy.cost == .shared, tasks.count > ExpectedCostLoss.maximumTasks {
            throw fail(
                "policy.cost", "shared with \(tasks.count) tasks",
                "passes, or at most \(ExpectedCostLoss.maximumTasks) tasks: shared work is summed over all sets of "
                    + "tasks"
            )
        }
        if policy.discrete.needsBudget {
            if budgets.isEmpty {
                throw fail(
                    "policy.discrete", "\(policy.discrete.rawValue) without a policy.budget",
                    "a budget, argmax or sample")
            }
            if !PolicyDraw.canSearch(tasks: tasks.count, form: policy.cost) {
                throw fail(
                    "policy.discrete", "\(policy.discrete.rawValue) with \(tasks.count) tasks that share work",
                    (policy.budgets.isEmpty ? "argmax, " : "")
                        + "sample, policy.cost passes, or at most \(PartCosts.mostTasksSharing) tasks")
            }
        }
        if tasks.allSatisfy({ $0.weight == 0 }) {
            throw fail(
                "tasks.0.weight", tasks.count > 1 ? "0, as of every task" : "0 of the only task",
                "a weight above 0 of a task at least")
        }
        let reservedNames = [StepGraphs.totalName] + vocabulary.methods.all.flatMap { $0.lossNames }
        var seen: [String: Int] = [:]
        for (index, task) in tasks.enumerated() {
            let path = "tasks.\(index)"
            // Pictures are called by it, and options list it.
            let isBad = task.name.contains { "/\\,".contains($0) || $0.isNewline }
            let hasOuterBlank = [task.name.first, task.name.last].contains { $0?.isWhitespace ?? true }
            if isBad || hasOuterBlank {
                throw fail(
                    "\(path).name", "'\(task.name)'",
                    "a name without slashes and commas, not empty, without blanks around it")
            }
            // Files are called `<image>_<task>.png`, in 255 bytes at most.
            guard task.name.utf8.count <= Self.longestName else {
                throw fail(
                    "\(path).name", "\(task.name.utf8.count) bytes",
                    "at most \(Self.longestName), since files are called by it")
            }
            if task.name == "panel" || reservedNames.contains(task.name) {
                throw fail(
                    "\(path).name", "'\(task.name)', which logs, losses or pictures use themselves", "another name")
            }
            if let earlier = seen.updateValue(index, forKey: task.name) {
                throw fail("\(path).name", "'\(task.name)', the name of tasks.\(earlier)", "a name of its own")
            }
            if task.kind.extent != tasks[0].kind.extent {
                throw fail(
                    "\(path).kind", "\(task.kind.name) beside \(tasks[0].kind.name)",
                    "tasks that all predict pixels, or all whole images")
            }
            if let channels = task.kind.channels, task.channels != channels {
                throw fail("\(path).channels", "\(task.channels)", "\(channels) for kind \(task.kind.name)")
            }
            if task.kind.channels == nil && task.channels < 2 {
                throw fail(
                    "\(path).channels", task.channels < 1 ? "nothing" : "\(task.channels)",
                    "the number of classes, at least 2, for kind \(task.kind.name)")
            }
            if task.classWeights != .equal && task.kind.channels != nil {
                throw fail("\(path).class_weights", "weights", "none for kind \(task.kind.name)")
            }
            if case .values(let values) = task.classWeights, values.count != task.channels {
                throw fail("\(path).class_weights", "\(values.count) weights", "\(task.channels), one per class")
            }
            if case .values(let values) = task.classWeights, !values.contains(where: { $0 > 0 }) {
                throw fail("\(path).class_weights", "only zeros", "a weight above 0")
            }
        }
    }
}

extension ExperimentConfiguration {
    /// How tasks are trained, where their numbers cannot be compared otherwise, by name.
    public var facts: [String: String] {
        tasks.map(\.facts).reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    }
}

/// How tasks were trained in one clause, such as "normals trained as exact", with a comma before it; empty without
/// facts.
public func clause(_ facts: [String: String]) -> String {
    facts.sorted { $0.key < $1.key }.map { ", \($0.key) trained as \($0.value)" }.joined()
}
