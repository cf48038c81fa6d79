import Foundation
import Models
import Tasks

/// The parts of a run, in order.
public enum Phase: String, Codable, Sendable, CaseIterable {
    case warmup, policy, retrain
    /// Hard sharing trained for the retraining's iterations, to compare with.
    case baseline

    /// Whose weights a run is judged by: those of the first of these phases that has finished.
    public static let byMaturity: [Phase] = [.retrain, .policy, .warmup]

    /// Which random numbers belong to the phase.
    var number: UInt32 {
        switch self {
        case .warmup: 1
        case .policy: 2
        case .retrain: 3
        case .baseline: 4
        }
    }
}

/// Where a run stands; with the tensors of a checkpoint it determines everything that follows.
public struct RunState: Codable, Sendable, Equatable {
    public var phase: Phase
    /// Steps of the phase that are done.
    public var iteration = 0
    /// The iteration the weights are of, where the best checkpoint replaced the last one.
    public var weightsIteration: Int?
    /// Phases that are over.
    public var finished: [Phase] = []
    /// Validation metrics at the end of warm-up, what scores are relative to.
    public var reference: [String: [Metric]]?
    /// Best validation score so far, by phase.
    public var bestScore: [String: Double] = [:]
    /// Iteration of the best checkpoint, by phase.
    public var bestIteration: [String: Int] = [:]
    /// Policies drawn after policy learning, by task name.
    public var sampledPolicies: [SelectionPolicy] = []
    /// The policy that is retrained; with several budgets that of the first.
    public var policy: SelectionPolicy?
    /// The policies of several budgets, by the budgets' names; nil in states of older versions.
    public var policies: [String: SelectionPolicy]?
    /// What the learned policy costs.
    public var policyCost: PolicyCost?
    /// Seconds spent, by phase.
    public var seconds: [String: Double] = [:]
    /// Bytes held on the device at the end of a phase; nil in states of older versions.
    public var bytes: [String: Int]?
    /// Length of the log when the checkpoint was written.
    public var logOffset: UInt64 = 0

    public init(phase: Phase) { self.phase = phase }

    private enum CodingKeys: String, CodingKey {
        // The name on disk is that of the first version, so that every run can be resumed.
        case phase = "stage"
        case iteration, weightsIteration, finished, reference, bestScore, bestIteration, sampledPolicies, policy
        case policies, policyCost, seconds, bytes, logOffset
    }

    /// Facts that follow from `iteration`, stored so that a person can read them.
    public struct Derived: Codable, Sendable {
        public var policyEpoch: Int?
        public var openBlocks: Int?
        public var temperature: Double?
        /// Per loader: pass and steps taken in it.
        public var positions: [String: [Int]] = [:]

        public init() {}
    }
}
