import AdaShareGraph
import AdaShareOperators
import Foundation

/// Random loss weighting: Σ w · λ · loss with w = K · softmax(n), n normal, drawn anew for each step.
///
/// - Source: Lin, Ye, Zhang, Tsang, "Reasonable effectiveness of random weighting", TMLR 2022.
public struct RandomWeights: Objective {
    public static let kind = "random"
    public static let meaning = "weights drawn anew for each step (Lin et al. 2022)"

    public var isLinear: Bool { true }

    public init() {}

    public func total(_ losses: [Value], in recorder: StepRecorder) -> Value { recorder.hostWeighted(losses) }

    public func term(_ loss: Value, of task: Int, in recorder: StepRecorder) -> Value {
        recorder.hostWeighted(loss, of: task)
    }

    public func weights(_ present: [Int], of count: Int, state: StepState, history: LossHistory) -> [Double]? {
        let uniforms = Philox.uniforms(rows: count, columns: 2, name: "objective/weights", state: state).map(
            Double.init)
        // Box and Muller.
        let normals = (0..<count).map {
            (-2 * log(uniforms[2 * $0])).squareRoot() * cos(2 * .pi * uniforms[2 * $0 + 1])
        }
        return shares(normals, among: present)
    }
}
