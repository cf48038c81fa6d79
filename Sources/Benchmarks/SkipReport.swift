import AdaShareExperiments
import AdaShareSupport
import Foundation

/// What the skip benchmark measured; encodes to its JSON.
public struct SkipReport: Sendable, Encodable {
    /// A step of training, or inference.
    public enum Step: String, Sendable, Codable, CaseIterable {
        /// Inference, a step of the weights under a fixed policy, or a step of policy learning that moves weights or
        /// logits.
        case inference, retrain, weights, logits
    }

    /// One policy in one step.
    public struct Row: Sendable, Encodable {
        /// What was measured.
        public let step: Step
        /// Backbone and number of tasks: rows of different networks do not compare.
        public let network: String
        /// all_selected, alike, random, hard_skip, soft, published, only_<task>, or what a policy of one's own is
        /// called.
        public let policy: String
        /// Selected (block, task) pairs ÷ all; nil where every open pair is computed.
        public let density: Double?
        /// Blocks with a free policy, in soft steps.
        public let open: Int?
        /// Median time of a step, in milliseconds.
        public var ms: Double
        /// The all-selected run's own kernel times summed over the kernels this policy needs; the mixes of soft steps,
        /// which it does not have, at their times in the step with every block open.
        public var idealMs: Double
        /// Ideal ÷ measured: the median over the repeats, each beside its neighbouring all-selected runs.
        public var fidelity: Double
        /// (max − min) ÷ median of the measured times.
        public var spread: Double
        /// Of the time from the first kernel's start to the last one's end, what the device was idle in: median over
        /// the repeats.
        public let idleShare: Double
        /// What the host took to launch the step's kernels, in microseconds each: median over the repeats.
        public let launchUs: Double
        /// Kernels launched per step.
        public let kernels: Int
        /// Multiply-accumulates of the launched plan.
        public let macs: Int
        /// Planned bytes: activations, gradients, workspace, parameters, optimiser state, inputs.
        public let bytes: Int
        /// Milliseconds before the first launch: to trace, lower and plan the step.
        public let planMs: Double
        /// Median time of the all-selected runs beside this row, in milliseconds.
        public let referenceMs: Double
        /// What each task alone takes, added up, in units of everything selected in one pass.
        public var passes: Double
        /// How often the row was measured; its best stands.
        public var attempts: Int
        /// One all-selected pass per task ÷ measured: `passes` · `referenceMs` ÷ `ms`.
        public var speedup: Double
        /// Hard sharing in one pass ÷ measured: `referenceMs` ÷ `ms`. Logit steps have a backward pass per task under
        /// hard sharing too.
        public let speedupHardSharing: Double
    }

    /// What is needed to build the same network elsewhere.
    public struct Network: Sendable, Encodable {
        /// One task's output.
        public struct Task: Sendable, Encodable {
            /// As in the configuration.
            public let name: String
            /// Of its output.
            public let channels: Int
        }
        /// As in the configuration's `model`.
        public let backbone, head: String
        /// Channels ÷ the published ones.
        public let width: Double
        /// Residual blocks.
        public let blocks: Int
        /// In the order of the policy's rows.
        public let tasks: [Task]

        init(_ experiment: Experiment) {
            let architecture = experiment.architecture
            (backbone, head) = (architecture.backbone.rawValue, architecture.head.rawValue)
            (width, blocks) = (architecture.width, architecture.blocks.count)
            tasks = architecture.tasks.map { Task(name: $0.name, channels: $0.channels) }
        }
    }

    /// What it was measured on, with which kernels and when (ISO 8601).
    public let device, driver, kernelFamily, date: String
    /// What convolutions multiplied: exact, float32, tf32 or bfloat16.
    public let precision: String
    /// The benchmark's own network; published policies of others come beside it.
    public let network: Network
    /// Images per step, their size in pixels, timed runs of each row.
    public let batch, height, width, repeats: Int
    /// Microseconds to find a cached plan again.
    public let cachedPlanUs: Double
    /// Grouped by step, then network.
    public var rows: [Row] = []

    /// The rows of one step as text.
    public func table(_ step: Step) -> String {
        var table = Table([
            step.rawValue, "density", "ms", "ideal ms", "fidelity", "speedup", "hard sharing ÷ it", "idle", "kernels",
            "µs/launch", "GMACs", "MB", "spread",
        ])
        var network: String?
        for row in rows where row.step == step {
            if network != row.network {
                network = row.network
                table.add([row.network])
            }
            table.add([
                "  " + row.policy + (row.open.map { ", last \($0) open" } ?? ""),
                row.density.map(percent) ?? Table.none, readable(row.ms), readable(row.idealMs),
                readable(row.fidelity, digits: 4) + (row.attempts > 1 ? " (best of \(row.attempts))" : ""),
                readable(row.speedup, digits: 3), readable(row.speedupHardSharing, digits: 3),
                readable(100 * row.idleShare, digits: 2) + " %", "\(row.kernels)", readable(row.launchUs, digits: 3),
                readable(Double(row.macs) / 1e9), readable(Double(row.bytes) / 1e6),
                repeats > 1 ? readable(row.spread, digits: 3) : Table.none,
            ])
        }
        return table.text
    }

    /// A line about policies that take longer than hard sharing in one pass; nil where none does by more than the noise
    /// of a measurement.
    public var warning: String? {
        let slower = rows.filter { $0.density != nil && $0.speedupHardSharing < 1 / (1 + max($0.spread, 0.03)) }
        guard !slower.isEmpty else { return nil }
        let names = slower.map { row in
            "\(row.step.rawValue) \(row.policy) \(row.density.map(percent) ?? "") "
                + "(\(readable(1 / row.speedupHardSharing, digits: 3)) ×)"
        }
        return "slower than hard sharing in one pass, which computes every task: " + names.joined(separator: ", ")
    }

    /// Writes the rows as JSON, whole or not at all.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws {
        try AtomicFile.write(Data((try JSONText.pretty(self) + "\n").utf8), to: url)
    }
}
