import AdaShareExperiments
import AdaShareMethods
import AdaShareModels
import AdaShareSupport
import AdaShareTasks
import AdaShareTraining
import Foundation

extension RunReport {
    /// Mean over tasks of the mean over metrics of the gain over hard sharing, exact convention, in percent; nil where
    /// the run has trained none.
    func gain(_ network: RunSummary) -> Double? {
        (network.hardSharing ?? summary?.hardSharing).flatMap { RelativeGain.overall(network.metrics, over: $0) }
    }

    /// What the run is, in a few facts.
    var header: String {
        let model = experiment.architecture
        var facts: [(String, String)] = [
            ("method", experiment.configuration.method.kind),
            ("backbone", "\(model.backbone.rawValue), \(readable(model.width)) × as wide"),
            ("tasks", experiment.tasks.map(\.name).joined(separator: ", ")),
        ]
        if let summary {
            facts.append(("device", "\(summary.device), \(summary.arithmetic)"))
            let parts = networks.filter { $0.sameAs == nil && $0.title != Self.ownTitle }.map(\.summary)
            let seconds = ([summary] + parts).flatMap(\.secondsPerPhase.values).reduce(0, +)
            facts.append(("training", readableDuration(seconds: seconds)))
            for network in networks {
                let (cost, over) = (network.summary, network.isOverBudget ? ", over its budget" : "")
                let share = Double(cost.macs) / Double(max(1, cost.cost.backbone.macsHardSharing))
                let name = networks.count > 1 ? "work, \(network.title)" : "work"
                facts.append((name, "\(percent(share)) of hard sharing's multiply-accumulates\(over)"))
            }
            if let gain = summary.gainOverHardSharing {
                facts.append(("accuracy", "\(signed(gain)) % against hard sharing, mean over tasks and metrics"))
            }
        } else if let phase = standing.phase {
            let steps = standing.iterations.map { " of \($0)" } ?? ""
            facts.append(("state", "\(standingNow): \(phase), step \(standing.iteration)\(steps)"))
        }
        if let part = standing.part { facts.append(("state", "\(standingNow): \(part.text)")) }
        for error in leftOut { facts.append(("left out", "\(error)")) }
        let list = facts.map { "<div><dt>\(escapedXML($0.0))</dt><dd>\(escapedXML($0.1))</dd></div>" }.joined()
        return "<header><h1>\(escapedXML(name))</h1><dl>\(list)</dl></header>"
    }

    private var standingNow: String { RunDirectory.isHeld(folder) ? "running" : "not finished" }

    /// Every metric beside a constant guess and, where that was trained, hard sharing.
    var results: String? {
        guard let summary else { return nil }
        let convention = MetricConvention.exact.rawValue
        let hasShared = summary.hardSharing != nil
        let rows = experiment.tasks.flatMap { task in
            (summary.metrics[task.name]?[convention] ?? []).map { metric -> [String] in
                func value(_ metrics: [String: [String: [Metric]]]?) -> String {
                    metrics?[task.name]?[convention]?.first { $0.name == metric.name }.map { readable($0.value) } ?? "–"
                }
                let arrow = metric.higherIsBetter ? "↑" : "↓"
                return ["\(task.name) \(metric.name)\(unit(metric)) \(arrow)", value(summary.constantGuess)]
                    + (hasShared ? [value(summary.hardSharing)] : []) + networks.map { value($0.summary.metrics) }
            }
        }
        return "<section><h2>Results</h2><p>Exact convention, \(summary.images) images of split "
            + "\(escapedXML(summary.split)); ↑ higher is better, ↓ lower is better.</p>"
            + table(
                ["", "best constant guess"] + (hasShared ? ["hard sharing"] : []) + networks.map(\.marked), rows)
            + Self.remarks(networks.map { ($0.title, $0) }) + "</section>"
    }

    /// What became of the budgets of networks that a table has, by what it calls them.
    static func remarks(_ networks: [(name: String, network: Network)]) -> String {
        let twins = networks.compactMap { name, network in
            network.sameAs.map { "\(name) is the \($0), which was trained once." }
        }
        let over = networks.contains { $0.network.isOverBudget } ? [SideRuns.overLegend + "."] : []
        return (over + twins).map { "<p>\(escapedXML($0))</p>" }.joined()
    }

    /// The network under the run's policy, of several that of the first budget, as a file of its own, SVG.
    ///
    /// - Throws: `InputError` where it has come to no policy yet, or has a network of another kind.
    public func networkPicture() throws -> String {
        guard let (_, policy) = policies.first else {
            throw InputError(
                file: name, found: "no policy",
                expected: "a run of a network under a policy that has come to one")
        }
        let costs = experiment.trainingCost.parts
        return NetworkDrawing(
            experiment.architecture, policy.discrete(tasks: experiment.tasks.map(\.name)), costs
        ).file
    }

    /// The network under a policy, and how probable each of its decisions was.
    func network(_ title: String, _ policy: SelectionPolicy) -> String {
        let names = experiment.tasks.map(\.name)
        let discrete = policy.discrete(tasks: names)
        let costs = experiment.trainingCost.parts
        let drawing = NetworkDrawing(experiment.architecture, discrete, costs)
        let share = percent(costs.share(of: discrete, .shared))
        var result =
            "<section><h2>\(escapedXML(title))\(isBeforeTrials ? ", before trials" : "")</h2>"
            + "<p>\(share) of hard sharing's multiply-accumulates. A box is a block that is computed, once for all the "
            + "tasks whose lanes it covers; dashed lanes skip it. Lanes in one band carry the same features. Bars: "
            + "what each block costs, and how often it is computed.</p>"
            + figure(drawing.svg)
        if !policy.probabilities.isEmpty {
            result += PolicyMap(names, policy, history.probabilities, open: policy.open ?? 0).html
        }
        return result + "</section>"
    }

    /// How probable decisions are while a policy is learned; nil once there is one, or where nothing is learned.
    var policySoFar: String? {
        guard let policy = policyInTheMaking, let last = history.probabilities.last else { return nil }
        return "<section><h2>Policy, while it is learned</h2>"
            + PolicyMap(
                experiment.tasks.map(\.name), policy, history.probabilities,
                open: policy.open ?? 0,
                about: "At step \(last.step); framed cells are more probably selected than not."
            ).html + "</section>"
    }

    /// Losses and metrics over all phases, and over those of the runs that belong to it.
    var curves: String? {
        let all = [course("", history)] + parts.map { course($0.title, $0.history) }
        let sections = all.compactMap { $0 }
        return sections.isEmpty
            ? nil : "<section><h2>Course of training</h2>" + sections.joined() + "</section>"
    }

    private func course(_ title: String, _ history: RunHistory) -> String? {
        guard !history.losses.isEmpty || !history.metrics.isEmpty else { return nil }
        let spans = history.spans.map { Chart.Span($0.phase, from: Double($0.first), to: Double($0.last)) }
        let colours: [Chart.Colour] = [.blue, .vermillion, .green, .purple, .grey]
        func panel(_ curve: RunHistory.Curve, _ colour: Chart.Colour, _ marker: Chart.Marker?, _ axis: String)
            -> Chart.Panel
        {
            // A line for each phase, since what is trained changes between them.
            let points = curve.thinned(to: 400).map { Chart.Point(Double($0.step), $0.value) }
            let lines = Dictionary(grouping: points) { point in spans.firstIndex { point.x <= $0.high } ?? spans.count }
            return Chart.Panel(
                curve.name, x: Chart.Axis("step"), y: Chart.Axis(axis),
                series: lines.sorted { $0.key < $1.key }.map { _, points in
                    Chart.Series("", colour, points.count == 1 ? .circle : marker, line: .solid, points: points)
                }, spans: spans)
        }
        let losses = history.losses.enumerated().map {
            panel($1, colours[$0 % colours.count], nil, $1.name == "total" ? "weighted sum of losses" : "loss")
        }
        let first = experiment.tasks.compactMap { task in
            history.metrics.first { $0.name.hasPrefix(task.name + " ") && isFirst($0.name, of: task.name) }
        }
        let metrics = first.enumerated().map { panel($1, colours[$0 % colours.count], .circle, "validation, exact") }
        func chart(_ title: String, _ panels: [Chart.Panel]) -> String {
            panels.isEmpty
                ? ""
                : figures(Chart(title, panels: panels, panelSize: Chart.Size(width: 440, height: 270)))
        }
        let suffix = title.isEmpty ? "" : ", \(title)"
        return chart("Losses" + suffix, losses) + chart("Metrics" + suffix, metrics)
    }

    /// Whether a metric is the one that its task is judged by first.
    private func isFirst(_ name: String, of task: String) -> Bool {
        let list = summary?.metrics[task]?[MetricConvention.exact.rawValue]
        guard let known = list?.first?.name else { return true }
        return name == "\(task) \(known)"
    }

    /// What the network costs, and where costs were measured, accuracy against them.
    var costs: String? {
        guard let summary else { return nil }
        let backbone = summary.cost.backbone
        let hard = Double(max(1, backbone.macsHardSharing))
        func row(_ name: String, _ macs: Int) -> [String] {
            [name, readable(Double(macs) / 1e6), percent(Double(macs) / hard)]
        }
        let rows =
            [
                row("all blocks, one pass per task", backbone.macsAll),
                row("hard sharing, one pass for all", backbone.macsHardSharing),
            ] + networks.map { row($0.marked, $0.summary.macs) }
        var result =
            "<section><h2>Cost of an image</h2>"
            + table(["below the heads", "M multiply-accumulates", "of hard sharing"], rows)
            + Self.remarks(networks.map { ($0.title, $0) })
        if let tradeoff {
            result += table(
                [
                    "\(tradeoff.batch) images on \(tradeoff.device)", "ms, inference", "ms, training step",
                    "accuracy against hard sharing",
                ],
                tradeoff.points.map {
                    [
                        $0.name + ($0.isOver(tradeoff.measure) ? SideRuns.overMark : ""),
                        readable($0.inferenceMs, digits: 3), readable($0.trainingMs, digits: 3),
                        $0.gain.map { signed($0) + " %" } ?? "–",
                    ]
                })
            if tradeoff.isDisturbed ?? false { result += "<p>\(escapedXML(Tradeoff.disturbance))</p>" }
            if let chart = tradeoff.chart { result += figures(chart) }
        }
        return result + "</section>"
    }
}
