import AdaShareSupport
import Foundation

/// What the operator benchmark measured; encodes to its JSON.
public struct OperatorReport: Sendable, Encodable {
    /// One pass of one case.
    public struct Row: Sendable, Encodable {
        /// Such as `3x3 4×56×56×64→64`.
        public let `case`: String
        /// forward, data_gradient, weight_gradient; other for what is no convolution.
        public let pass: String
        /// 3x3, dilated, 1x1, strided, stem; batch_norm, batch_norm_relu, max_pool, cross_entropy, adam.
        public let kind: String
        /// Of what is no convolution: forward, or data_gradient for its gradient.
        public let direction: String
        /// Such as direct or winograd_4x4; nil for what is no convolution.
        public let algorithm: String?
        /// Input [N, H, W, C], or the parameter's shape.
        public let input: [Int]
        /// Output channels.
        public let outputs: Int
        /// Of convolutions and pools, else 0.
        public let kernel, stride, dilation, padding: Int
        /// Milliseconds of the fastest run, packing and transforming of weights included: others on the machine only
        /// ever make a run longer.
        public let ms: Double
        /// (max − min) ÷ median of the runs.
        public let spread: Double
        /// 2 · multiply-accumulates of the direct sum ÷ time; nil for what is no convolution.
        public let gflops: Double?
        /// GFLOP/s ÷ the device's measured peak of multiply-adds; Winograd may exceed 1.
        public let peakShare: Double?
        /// What the kernels' arguments hold, scratch memory too and what is updated in place twice, ÷ time; nil for
        /// convolutions.
        public let gbPerSecond: Double?
        /// That ÷ the device's measured bandwidth of copying; what stays in a cache may exceed 1.
        public let copyShare: Double?
        /// Runs in the hard-sharing step of resnet34, three tasks, full heads, 224×224, batch 8.
        public let countInStep: Int
        /// Share of that step's rows, by time.
        public var stepShare: Double = 0
    }

    /// What it was measured on, with which kernels and when (ISO 8601).
    public let device, driver, kernelFamily, date: String
    /// What convolutions multiplied: float32, tf32 or bfloat16.
    public let precision: String
    /// Least timed runs of each row; short ones run more often.
    public let repeats: Int
    /// Multiply-adds in registers, measured, in GFLOP/s.
    public let peakGflops: Double
    /// Copying from memory to memory, measured, in GB/s read and written.
    public let copyGBPerSecond: Double
    /// Largest part of the step first.
    public var rows: [Row]

    /// The rows as text.
    public var table: String {
        var table = Table([
            "case", "pass", "algorithm", "ms", "GFLOP/s", "GB/s", "of peak or copying", "share of step", "spread",
        ])
        for row in rows {
            table.add([
                row.case, row.pass, row.algorithm ?? Table.none, readable(row.ms),
                row.gflops.map { readable($0) } ?? Table.none,
                row.gbPerSecond.map { readable($0) } ?? Table.none,
                (row.peakShare ?? row.copyShare).map(percent) ?? Table.none,
                "\(readable(row.stepShare * 100, digits: 3)) %", readable(row.spread, digits: 3),
            ])
        }
        return table.text + "\n\n" + "Convolutions in \(precision). "
            + "GFLOP/s count the direct sum, so Winograd, which multiplies less, can exceed the peak; what stays in a "
            + "cache can exceed copying."
    }

    /// Writes the rows as JSON, whole or not at all.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws {
        try AtomicFile.write(Data((try JSONText.pretty(self) + "\n").utf8), to: url)
    }
}
