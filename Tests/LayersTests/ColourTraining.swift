import AdaShareDeviceLayer
import AdaShareLayers
import AdaShareOperators
import TestSupport

/// A small network and what it is trained on: images whose colour is their class.
enum ColourTraining {
    private static let (batch, size, classes) = (8, 8, 3)

    /// Images whose colour is their class.
    static func images(_ seed: UInt64) -> (pixels: [Float], classes: [Int32]) {
        var random = SeededGenerator(seed: seed)
        let labels = (0..<batch).map { _ in Int32.random(in: 0..<Int32(classes), using: &random) }
        let pixels = labels.flatMap { label in
            (0..<(size * size)).flatMap { _ in
                (0..<3).map { Float.random(in: 0..<0.5, using: &random) + ($0 == Int(label) ? 0.5 : 0) }
            }
        }
        return (pixels, labels)
    }

    /// A network of gated blocks; `groups` learn.
    static func session(
        _ groups: KeyValuePairs<ParameterGroup, Optimizer> = [
            "default": .sgd(rate: "rate", momentum: 0.9), "gates": .adam(rate: "gateRate"),
        ], family: KernelFamily? = nil, seed: UInt64 = 7
    ) throws -> Session {
        try Session(TestDevice.context(), family: family ?? TestDevice.nativeFamily(), seed: seed) { s in
            let image = s.input("image", [Self.batch, Self.size, Self.size, 3])
            let scores = GatedNetwork(classes: Self.classes)(image, in: s("net"))
            let loss = s.crossEntropy(scores, s.integers("label", [Self.batch, 1, 1]))
            s.output("loss", loss)
            s.minimise(loss, groups)
        }
    }

    /// Losses of steps `first` and after.
    static func train(
        _ session: Session, from first: Int = 0, steps: Int,
        scalars: [String: Double] = ["rate": 0.05, "gateRate": 0.01]
    ) throws -> [Float] {
        try (first..<(first + steps)).map { step in
            let batch = Self.images(UInt64(step))
            let out = try session.step(["image": batch.pixels, "label": batch.classes], scalars: scalars)
            return try out.read("loss")[0]
        }
    }
}
