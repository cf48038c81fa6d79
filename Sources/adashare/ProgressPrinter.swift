import AdaShareSupport
import Foundation

/// Progress on standard error: one line that is rewritten on a terminal, else a line every few seconds.
final class ProgressPrinter {
    private let console: Console
    private var last = Date.distantPast
    private var isOpen = false
    /// When what is being waited for began.
    private var waitingSince: Date?
    /// Whether the line that is being rewritten says so.
    private var isWaitShown = false
    private let interval: Double

    init(_ console: Console) {
        self.console = console
        interval = console.isTerminal ? 0.2 : 5
    }

    func report(_ event: ProgressEvent) {
        switch event {
        case .notice(let text): line("note: \(text)")
        case .line(let text): line(text)
        case .step(let step): transient(describe(step), force: step.iteration == step.total)
        case .evaluating(let phase, let done, let total):
            transient("\(phase)  evaluating \(done)/\(total)", force: false)
            // What follows is an answer, or the next step's line.
            if done == total, isOpen { erase() }
        case .checking(let dataset, let done, let total):
            let width = 30
            let filled = width * done / max(1, total)
            let bar = String(repeating: "━", count: filled) + String(repeating: "─", count: width - filled)
            waiting("\(dataset)  \(bar)", done, total)
        case .compiling(let done, let total): waiting("compiling kernels", done, total)
        case .measuring(let done, let total): waiting("measuring convolutions", done, total)
        }
    }

    /// Says what takes longer than a second.
    private func waiting(_ what: String, _ done: Int, _ total: Int) {
        guard done < total else {
            if isOpen, isWaitShown { erase() }
            (waitingSince, isWaitShown) = (nil, false)
            return
        }
        let start = waitingSince ?? Date()
        waitingSince = start
        guard Date().timeIntervalSince(start) >= 1 else { return }
        transient("\(what) \(done)/\(total)", force: false)
        isWaitShown = true
    }

    /// A line that stays.
    func line(_ text: String) {
        finish()
        write(text + "\n")
    }

    /// Ends a line that is being rewritten.
    func finish() {
        if isOpen { write("\n") }
        isOpen = false
    }

    /// Takes a line back that was being rewritten, since what follows may be an answer.
    private func erase() {
        write(Console.lineStart)
        isOpen = false
    }

    private func transient(_ text: String, force: Bool) {
        guard force || Date().timeIntervalSince(last) >= interval else { return }
        last = Date()
        if console.isTerminal {
            write(Console.lineStart + text)
            isOpen = true
            if force { finish() }
        } else {
            write(text + "\n")
        }
    }

    private func describe(_ step: StepReport) -> String {
        let losses =
            step.losses.filter { $0.key != "total" }.sorted { $0.key < $1.key }
            .map { "\($0.key) \(readable($0.value))" } + ["total \(readable(step.losses["total"] ?? .nan))"]
        return "\(step.phase)  \(step.iteration)/\(step.total)  \(losses.joined(separator: "  "))  "
            + "\(readable(step.imagesPerSecond)) images/s  "
            + (step.waitShare.map { "waiting for data \(readable(100 * $0, digits: 2)) %  " } ?? "")
            + "\(readableDuration(seconds: step.secondsLeft)) left"
    }

    private func write(_ text: String) { console.remark(text) }
}
