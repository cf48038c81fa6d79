import AdaShareModels
import AdaShareSupport
import AdaShareTasks
import Foundation

/// Where a run stands; with the tensors of a checkpoint it determines everything that follows.
public struct RunState: Codable, Sendable, Equatable {
    /// The phase that runs, or ran last.
    public var phase: Phase
    /// Steps of the phase that are done.
    public var iteration = 0
    /// The iteration the weights are of, where the best checkpoint replaced the last one.
    public var weightsIteration: Int?
    /// Phases that are over.
    public var finished: [Phase] = []
    /// Validation metrics that scores are relative to: of the end of the first phase, or of what a later one began
    /// with.
    public var reference: [String: [Metric]]?
    /// Best validation score so far, by phase.
    public var bestScore: [String: Double] = [:]
    /// Metrics that the best checkpoint's score is without, because they were not finite, by phase.
    public var bestLeftOut: [String: Int] = [:]
    /// Iteration of the best checkpoint, by phase.
    public var bestIteration: [String: Int] = [:]
    /// The policy that the network is trained for, once it is known.
    public var policy: SelectionPolicy?
    /// `ContentHash` of the weights that the run began from; nil where it began from new ones.
    public var initialHash: String?
    /// What the method keeps.
    public var method: [String: JSONValue] = [:]
    /// Mean losses, where the objective looks at them.
    public var losses = LossHistory()
    /// Seconds spent, by phase.
    public var seconds: [String: Double] = [:]
    /// Seconds that the run has been worked on, whatever was done, until its last checkpoint.
    public var elapsed = 0.0
    /// What steps waited for images, by phase.
    public var dataWaits: [String: DataWait] = [:]
    /// Bytes held on the device at the end of a phase.
    public var bytes: [String: Int] = [:]
    /// Whether the evaluation after the last step is still to be made, since the process stopped within it.
    public var isEvaluationDue = false
    /// Length of the log when the checkpoint was written.
    public var logOffset: UInt64 = 0

    /// Where a run begins.
    public init(phase: Phase) { self.phase = phase }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        // The name on disk is that of the first version, so that every run can be resumed.
        case phase = "stage"
        case iteration, weightsIteration, finished, reference, bestScore, bestLeftOut, bestIteration, policy,
            initialHash
        case method, losses, seconds, elapsed, dataWaits, bytes, isEvaluationDue, logOffset
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        phase = try values.decode(Phase.self, forKey: .phase)
        iteration = try values.decode(Int.self, forKey: .iteration)
        weightsIteration = try values.decodeIfPresent(Int.self, forKey: .weightsIteration)
        finished = try values.decode([Phase].self, forKey: .finished)
        reference = try values.decodeIfPresent([String: [Metric]].self, forKey: .reference)
        bestScore = try values.decode([String: Double].self, forKey: .bestScore)
        bestLeftOut = try values.decodeIfPresent([String: Int].self, forKey: .bestLeftOut) ?? [:]
        bestIteration = try values.decode([String: Int].self, forKey: .bestIteration)
        policy = try values.decodeIfPresent(SelectionPolicy.self, forKey: .policy)
        initialHash = try values.decodeIfPresent(String.self, forKey: .initialHash)
        losses = try values.decodeIfPresent(LossHistory.self, forKey: .losses) ?? LossHistory()
        seconds = try values.decode([String: Double].self, forKey: .seconds)
        elapsed = try values.decodeIfPresent(Double.self, forKey: .elapsed) ?? seconds.values.reduce(0, +)
        dataWaits = try values.decodeIfPresent([String: DataWait].self, forKey: .dataWaits) ?? [:]
        bytes = try values.decodeIfPresent([String: Int].self, forKey: .bytes) ?? [:]
        isEvaluationDue = try values.decodeIfPresent(Bool.self, forKey: .isEvaluationDue) ?? false
        logOffset = try values.decode(UInt64.self, forKey: .logOffset)
        if let known = try values.decodeIfPresent([String: JSONValue].self, forKey: .method) {
            method = known
            return
        }
        // Older states have what the method keeps beside everything else.
        let known = Set(CodingKeys.allCases.map(\.rawValue))
        let everything = try JSONValue(from: decoder)
        guard case .object(let members) = everything else { return }
        method = members.filter { !known.contains($0.key) }
    }

    /// What a method keeps under its key; nil where there is nothing, or something else.
    public func kept<Value: Decodable>(_ key: String, as type: Value.Type = Value.self) -> Value? {
        guard let value = method[key], let text = try? JSONText.line(value) else { return nil }
        return try? JSONText.decode(type, from: Data(text.utf8))
    }

    /// Keeps something for the method.
    ///
    /// - Throws: what encoding throws.
    public mutating func keep(_ value: some Encodable, as key: String) throws {
        method[key] = try JSONValue.parse(Data(JSONText.line(value).utf8))
    }
}
