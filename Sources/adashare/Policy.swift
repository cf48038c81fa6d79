import AdaShareConfiguration
import AdaShareExperiments
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareProfiling
import AdaShareSupport
import AdaShareTraining
import ArgumentParser
import Foundation

struct Policy: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take another discrete policy from what a run has learned, without training.",
        discussion: """
            From the probabilities in the run's policy.json: the most probable policy within --budget, what reaches \
            --threshold, or the most probable one of --sample draws (within --budget, if given). Prints it block by \
            task, with its cost beside hard sharing's. To retrain it: adashare train --config FILE --phases retrain \
            --policy FILE; where its retraining starts from learned weights, with --set \
            model.initial_checkpoint=RUN/checkpoints/policy.safetensors.
            """)

    @Option(
        name: .customLong("run"), help: "Run folder that `train` wrote, with policy learning finished.",
        completion: .file())
    var path: String
    @Option(
        help: ArgumentHelp(
            "Most it may cost: a share of hard sharing, with --cost passes of a full pass per task; or, in a run "
                + "whose budgets count time, milliseconds such as 12ms.")
    ) var budget: PolicyBudget?
    @Option(help: "Select what has at least this probability, from 0 to 1.") var threshold: Double?
    @Option(help: "Draw so many policies, 1 to 4096.") var sample: Int?
    @Option(help: "Seed of the draws of --sample. Default: 1.") var seed: UInt64?
    @Option(help: "What the budget charges: shared or passes. Default: the run's policy.cost.") var cost: CostForm?
    @Option(help: ArgumentHelp("Write the policy, JSON as in policy.json.", valueName: "file"), completion: .file())
    var output: String?
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard budget != nil || threshold != nil || sample != nil else {
            throw ValidationError("Expected --budget, --threshold or --sample.")
        }
        if threshold != nil && (budget != nil || sample != nil) {
            throw ValidationError("--threshold goes with neither --budget nor --sample.")
        }
        if budget == nil && cost != nil {
            throw ValidationError("--cost: expected with --budget, which it is for.")
        }
        if seed != nil && sample == nil {
            throw ValidationError("--seed: expected with --sample, whose draws it is for.")
        }
        if let threshold, !(0...1).contains(threshold) {
            throw ValidationError("--threshold: found \(threshold), expected from 0 to 1.")
        }
        if let sample, !(1...4096).contains(sample) {
            throw ValidationError("--sample: found \(sample), expected from 1 to 4096.")
        }
    }

    func run(on console: Console) throws {
        let folder = try RunDirectory(URL(fileURLWithPath: path), mode: .read)
        var experiment = try Experiment(folder.readConfiguration())
        if experiment.configuration.policy.isTimed {
            experiment.partTimes = try folder.readTimes(for: experiment)
            if experiment.partTimes == nil, budget != nil {
                throw InputError(
                    file: folder.times.path, found: "no such file",
                    expected: "the parts' times, in which this run counts budgets")
            }
        }
        let names = experiment.tasks.map(\.name)
        guard FileManager.default.fileExists(atPath: folder.policy.path) else {
            throw InputError(
                file: folder.policy.path, found: "no such file",
                expected: "the policy that policy learning ends with: this run has not come to that")
        }
        let learned = try SelectionPolicy.read(
            folder.policy, tasks: names, blocks: experiment.architecture.blocks.count)
        let probabilities = names.compactMap { learned.probabilities[$0] }
        guard probabilities.count == names.count else {
            throw InputError(
                file: folder.policy.path, found: "no probabilities (method \(experiment.configuration.method.kind))",
                expected: "those that policy learning ends with")
        }
        if let output {
            try checkWritable(output, "the policy")
            var inputs = InputFiles([])
            inputs.add(run: folder.url.path)
            try inputs.check([output])
        }
        let (model, costs) = (experiment.trainingCost, experiment.budgetCosts)
        let form = cost ?? experiment.configuration.policy.cost
        if budget != nil, !PolicyDraw.canSearch(tasks: names.count, form: form) {
            throw ValidationError(
                "--budget: found \(names.count) tasks, expected --cost passes or at most "
                    + "\(PartCosts.mostTasksSharing) tasks."
            )
        }
        if case .milliseconds? = budget, costs.unit != .nanoseconds {
            throw ValidationError("--budget: found milliseconds, expected a share: the run's budgets count no time.")
        }
        let draw = PolicyDraw(costs: costs, form: form, budget: budget, open: learned.open ?? 0)
        /// Of the decisions that were learned.
        func logProbability(_ policy: DiscretePolicy) -> Double {
            DiscretePolicy(select: policy.select.map { Array($0.dropFirst(draw.open)) })
                .logProbability(under: probabilities.map { Array($0.dropFirst(draw.open)) })
        }
        let policy: DiscretePolicy
        var within: Int?
        if let sample {
            let drawn = draw.samples(
                probabilities, numbers: names.indices.map(experiment.architecture.number), count: sample,
                seed: seed ?? 1)
            let best = drawn.max { logProbability($0) < logProbability($1) }
            policy = best ?? draw.cheapest(probabilities)
            if best == nil {
                console.say(.notice, "no sample is within the budget: the cheapest policy is taken")
            }
            within = drawn.count
        } else if let threshold {
            policy = draw.thresholded(probabilities, at: threshold)
        } else {
            policy = draw.mostProbable(probabilities)
        }
        let chosen = SelectionPolicy(policy, tasks: names, probabilities: learned.probabilities, open: learned.open)
        if let output { try chosen.write(to: URL(fileURLWithPath: output)) }
        let report = model.report(policy: policy)
        if json {
            return try console.print(
                try JSONText.pretty(
                    Report(
                        policy: chosen, shareOfHardSharing: model.parts.share(of: policy, .shared),
                        budget: budget?.name, charged: form.rawValue, chargedUnit: costs.unit.rawValue,
                        chargedShare: costs.share(of: policy, form),
                        milliseconds: costs.unit == .nanoseconds ? costs.milliseconds(of: policy, form) : nil,
                        isWithinBudget: draw.isWithinBudget(policy), samplesWithinBudget: within,
                        logProbability: logProbability(policy), cost: report)))
        }
        try console.print(chosen.table(blocks: report.blocks.map(\.name), tasks: names) + "\n")
        let isOver = !draw.isWithinBudget(policy)
        try console.print(
            report.totals(isOver ? form : nil, marked: SideRuns.overMark)
                + (isOver ? SideRuns.overLegend + "\n" : ""))
        for remark in draw.remarks(on: policy, from: probabilities) { try console.print(remark) }
        if costs.unit == .nanoseconds {
            try console.print(
                "step of \(experiment.configuration.policy.budgetFor.rawValue): "
                    + "\(readable(costs.milliseconds(of: policy, form))) ms, "
                    + "\(percent(costs.share(of: policy, form))) of \(form.base)")
        }
        let charged = form == .shared ? "" : "\(percent(model.parts.share(of: policy, form))) of \(form.base), "
        try console.print(
            "backbone: \(charged)\(percent(model.parts.share(of: policy, .shared))) of hard sharing, log-probability "
                + readable(logProbability(policy)))
        if let output { try console.print("wrote \(output)") }
    }

    private struct Report: Encodable {
        let policy: SelectionPolicy
        let shareOfHardSharing: Double
        let budget: String?
        let charged, chargedUnit: String
        let chargedShare: Double
        /// Of a step, where the run's budgets count time.
        let milliseconds: Double?
        let isWithinBudget: Bool
        /// Of --sample; with none the policy is the cheapest one.
        let samplesWithinBudget: Int?
        let logProbability: Double
        let cost: CostReport
    }
}
