import AdaShareSupport
import Foundation
import Logging

/// Progress on standard error: one line that is written anew on a terminal, else a line every few seconds.
final class ProgressPrinter {
    private let console: Console
    private var last = Date.distantPast
    /// When what is being waited for began.
    private var waitingSince: Date?
    /// Whether the status line says so.
    private var isWaitShown = false
    private var phase: PhaseReport?
    /// Of the last step whose losses were read, in the phase.
    private var losses: [(name: String, value: Double)] = []
    /// Notes that have been said: what several runs of a command have in common is said once.
    private var said: Set<String> = []
    private let interval: Double

    init(_ console: Console) {
        self.console = console
        interval = console.status == nil ? 5 : 0.2
    }

    func report(_ event: ProgressEvent) {
        switch event {
        case .notice(let text): if said.insert(text).inserted { console.say(.notice, text) }
        case .line(let text): line(text)
        case .detail(let text): console.say(.debug, text)
        case .phase(let report): begin(report)
        case .step(let step):
            losses = step.losses
            show(step)
        case .working(let step):
            // Without a status line, only what is waited for is worth a line before there are losses.
            if console.status != nil || losses.isEmpty { show(step) }
        case .evaluating(let phase, let done, let total):
            transient("\(phase)  evaluating \(done)/\(total)", ["phase": .string(phase)])
            // What follows is an answer, or the next step's line.
            if done == total { console.status?.erase() }
        case .checking(let dataset, let done, let total):
            let bar = ProgressText.bar(done, of: total, width: 30)
            waiting(console.status == nil ? dataset : "\(dataset)  \(bar)", done, total)
        case .compiling(let done, let total): waiting("compiling kernels", done, total)
        case .measuring(let done, let total): waiting("measuring convolutions", done, total)
        case .timing(let what, let done, let total): waiting("timing \(what)", done, total)
        }
    }

    /// A line that stays.
    func line(_ text: String) { console.say(.info, visible(text)) }

    /// Ends what is shown for a while, since what follows may be an answer.
    func finish() { console.status?.erase() }

    private func begin(_ report: PhaseReport) {
        (phase, losses) = (report, [])
        let place = report.count > 1 ? "phase \(report.number) of \(report.count), " : "phase "
        let meaning = report.meaning.isEmpty ? "" : ": \(report.meaning)"
        console.say(
            .info, "\(place)\(report.name)\(meaning), \(report.total) steps",
            [
                "phase": .string(report.name), "phase_number": .stringConvertible(report.number),
                "phases": .stringConvertible(report.count), "iterations": .stringConvertible(report.total),
            ])
    }

    private func show(_ step: StepReport) {
        let isLast = step.iteration == step.total
        let text = ProgressText(step, phase, losses: losses)
        guard let status = console.status else { return transient(text.full, facts(step), force: isLast) }
        guard isLast || isDue else { return }
        last = Date()
        status.show { text.line(width: status.width, hasColours: $0) }
        if isLast { status.keep() }
    }

    private func facts(_ step: StepReport) -> Logger.Metadata {
        var facts: Logger.Metadata = [
            "phase": .string(step.phase), "iteration": .stringConvertible(step.iteration),
            "iterations": .stringConvertible(step.total),
            "images_per_second": .stringConvertible(step.imagesPerSecond),
            "phase_seconds_left": .stringConvertible(step.secondsLeft),
        ]
        if !step.losses.isEmpty {
            let values = step.losses.map { ($0.name, Logger.MetadataValue.stringConvertible($0.value)) }
            facts["loss"] = .dictionary(Dictionary(values) { first, _ in first })
        }
        if let left = step.runSecondsLeft { facts["seconds_left"] = .stringConvertible(left) }
        return facts
    }

    /// Says what takes longer than a second.
    private func waiting(_ what: String, _ done: Int, _ total: Int) {
        guard done < total else {
            if isWaitShown { console.status?.erase() }
            (waitingSince, isWaitShown) = (nil, false)
            return
        }
        let start = waitingSince ?? Date()
        waitingSince = start
        guard Date().timeIntervalSince(start) >= 1 else { return }
        transient("\(what) \(done)/\(total)")
        isWaitShown = true
    }

    private var isDue: Bool { Date().timeIntervalSince(last) >= interval }

    private func transient(_ text: String, _ facts: Logger.Metadata = [:], force: Bool = false) {
        guard force || isDue else { return }
        last = Date()
        guard let status = console.status else { return console.say(.info, text, facts) }
        status.show { _ in clipped(visible(text), to: status.width) }
    }
}

/// What is said of a step.
struct ProgressText {
    private let step: StepReport
    private let phase: PhaseReport?
    private let losses: [(name: String, value: Double)]

    /// - Parameter losses: of the last step whose losses were read.
    init(_ step: StepReport, _ phase: PhaseReport?, losses: [(name: String, value: Double)]) {
        self.step = step
        self.phase = phase.flatMap { $0.name == step.phase ? $0 : nil }
        self.losses = losses.filter { $0.name != "total" }.map { (visible($0.name), $0.value) }
        total = losses.first { $0.name == "total" }?.value
    }

    private let total: Double?
    private var count: String { "\(step.iteration)/\(step.total)" }
    private var speed: String { "\(readable(step.imagesPerSecond)) images/s" }
    private var totalLoss: String? { total.map { "total \(readable($0))" } }
    private var wait: String? { step.waitShare.map { "waiting for data \(readable(100 * $0, digits: 2)) %" } }
    private var isOnly: Bool { phase.map { $0.count < 2 } ?? true }

    /// Everything, for a line of its own.
    var full: String {
        var parts = [step.phase, count] + losses.map { "\($0.name) \(readable($0.value))" }
        parts += [totalLoss, speed, wait].compactMap { $0 }
        let left = "\(readableDuration(seconds: step.secondsLeft)) left"
        let all = step.runSecondsLeft.map { ", of the run about \(readableDuration(seconds: $0))" }
        return (parts + [left + (all ?? "")]).joined(separator: "  ")
    }

    /// What fits: where the run is and how long it will take, then the rest in the order of its worth, of losses the
    /// total and then those of the first tasks.
    func line(width: Int, hasColours: Bool) -> String {
        let gap = 2
        let name = isOnly ? step.phase : "\(step.phase) \(phase?.number ?? 1)/\(phase?.count ?? 1)"
        let place = clipped(name, to: max(1, width - gap - count.count))
        var left = width - columns(of: place) - gap - count.count
        guard left >= 0 else { return clipped("\(place) \(count)", to: width) }
        func fits(_ text: String?) -> String? {
            guard let text, columns(of: text) + gap <= left else { return nil }
            left -= columns(of: text) + gap
            return text
        }
        let time = fits("\(readableDuration(seconds: step.runSecondsLeft ?? step.secondsLeft)) left")
        let shortest = 10
        let hasBar = left >= shortest + gap
        if hasBar { left -= shortest + gap }
        let (sum, speed) = (fits(totalLoss), fits(speed))
        var own: [String] = []
        for loss in losses where sum != nil || totalLoss == nil {
            guard let text = fits("\(clipped(loss.name, to: 16)) \(readable(loss.value))") else { break }
            own.append(text)
        }
        let wait = fits(wait)
        let bar = hasBar ? Self.bar(step.iteration, of: step.total, width: shortest + max(0, min(20, left))) : nil
        let coloured = bar.map { hasColours ? "\u{1B}[36m\($0)\u{1B}[0m" : $0 }
        return ([place, coloured, count] + own + [sum, speed, wait, time]).compactMap { $0 }
            .joined(separator: String(repeating: " ", count: gap))
    }

    /// How much is done, drawn.
    static func bar(_ done: Int, of total: Int, width: Int) -> String {
        let filled = width * min(done, total) / max(1, total)
        return String(repeating: "━", count: filled) + String(repeating: "─", count: width - filled)
    }
}
