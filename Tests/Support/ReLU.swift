import AdaShareDeviceLayer

@testable import AdaShareOperators

/// y = max(x, 0), the plainest operator that is not linear, by the kernel of ReLU and dropout that drops nothing.
public struct ReLU: DifferentiableOperator {
    public init() {}
    public var recomputation: Recomputation { .whenAsked }
    public func outputShapes(_ inputs: [Shape]) -> [Shape] { [inputs[0]] }
    public func inPlaceInputs(output: Int) -> [Int] { [0] }

    public func encode(_ e: inout LaunchEncoder) throws {
        let groups = roundUp(e.inputs[0].storedCount, to: 64) / (4 * e.library.family.vectorWidth)
        e.launch(
            "random", "dropout",
            [
                .input(0), .output(0), .zeros, .uint(0), .uint(0), .float(Float(0)), .int(Int32(groups)), .uint(0),
                .int(0), .int(0),
            ],
            e.library.range(groups))
    }

    public func backward(_ call: BackwardCall, in recorder: any Recorder) -> [Value?] {
        guard let dy = call.gradients[0] else { return [nil] }
        return recorder.record(ReLUGradient(), [call.outputs[0], dy])
    }
}
