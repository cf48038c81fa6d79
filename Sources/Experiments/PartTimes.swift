import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareMethods
import AdaShareModels
import AdaShareOperators

/// What the parts of a network take in one step on a device, measured under hard sharing.
///
/// Their sum for a policy is what its step is planned to take. Each part has its kernels' times and its launches' share
/// of what lies between kernels, so that all parts together are the measured step.
public struct PartTimes: Sendable, Hashable, Codable {
    /// A step of inference or of training.
    public let step: BudgetMeasure
    /// Where it was measured, and with which kernels.
    public let device, kernelFamily: String
    /// Images of the step and their size in pixels.
    public let batch, height, width: Int
    /// The parts, in nanoseconds.
    public let costs: PartCosts
    /// Part of `costs.once`: the updates of the stem, in ns.
    public let stemOnce: Int
    /// Part of `costs.once`: head and loss of each task, with their updates, in ns, in task order.
    public let heads: [Int]
    /// Part of `costs.once`: what belongs to neither stem, blocks nor heads, in ns.
    public let rest: Int

    /// Creates times.
    package init(
        step: BudgetMeasure, device: String, kernelFamily: String, batch: Int, height: Int, width: Int,
        costs: PartCosts,
        stemOnce: Int, heads: [Int], rest: Int
    ) {
        (self.step, self.device, self.kernelFamily) = (step, device, kernelFamily)
        (self.batch, self.height, self.width) = (batch, height, width)
        (self.costs, self.stemOnce, self.heads, self.rest) = (costs, stemOnce, heads, rest)
    }

    /// Milliseconds of the step under hard sharing.
    public var hardSharingMs: Double { Double(costs.hardSharing(.shared)) / 1e6 }
}
