// A residual network that learns which of its blocks it needs, and then goes on without the others.
import AdaShareDeviceLayer
import AdaShareLayers
import AdaShareOperators
import Foundation

/// A residual block. While its gate v is learned, it is mixed in: y = v_select · max(x + f(x), 0) + v_skip · x.
struct GatedBlock: Layer {
    func callAsFunction(_ x: Value, gates: Value?, row: Int, in s: Scope) -> Value {
        let h = s("conv1").convolution(x, channels: x.shape.channels, kernel: 3, padding: 1)
        let a = s("bn1").batchNorm(h, tail: .relu)
        let b = s("conv2").convolution(a, channels: x.shape.channels, kernel: 3, padding: 1)
        let tail = gates.map { BatchNormTail.mix(residual: x, gates: $0, row: row) }
        return s("bn2").batchNorm(b, tail: tail ?? .addReLU(residual: x))
    }
}

/// The blocks that are asked for, one after the other. A block that is left out is nowhere: there is nothing to skip.
struct Network: Layer {
    let blocks: [Int]
    func callAsFunction(_ image: Value, gates: Value?, in s: Scope) -> Value {
        var x = s("stem").convolution(image, channels: 16, kernel: 3, padding: 1, relu: true)
        for row in blocks { x = GatedBlock()(x, gates: gates, row: row, in: s("blocks")("\(row)")) }
        return s("head").linear(s.globalAveragePool(x), channels: 2)
    }
}

let device = try Device.select(ProcessInfo.processInfo.environment["ADASHARE_DEVICE"])  // nil: the best one
let context = try DeviceContext(device: device, cacheDirectory: nil)
let (depth, batch, size) = (6, 16, 16)

/// Images with two dots, 2 pixels apart (class 0) or 5 (class 1): a question for a block or two, not for six.
func examples() -> [String: any StepValues] {
    func random(below bound: Int) -> Int { Int(drand48() * Double(bound)) }
    let classes = (0..<batch).map { _ in Int32(random(below: 2)) }
    var pixels = [Float](repeating: 0, count: batch * size * size)
    for (image, label) in classes.enumerated() {
        let dot = (image * size + random(below: size)) * size + random(below: size - 5)
        (pixels[dot], pixels[dot + (label == 0 ? 2 : 5)]) = (1, 1)
    }
    return ["image": pixels, "class": classes]
}
/// A network that learns; its gates too, where it has some.
func session(_ blocks: [Int], isGated: Bool = false) throws -> Session {
    try Session(context, seed: 7) { s in
        let logits = isGated ? s("gates").parameter("logits", [depth, 2], initial: .zeros, group: "gates") : nil
        let gates = logits.map { s("gates").gumbelSoftmax($0, straightThrough: true) }
        let scores = Network(blocks: blocks)(s.input("image", [batch, size, size, 1]), gates: gates, in: s("net"))
        let loss = s.crossEntropy(scores, s.integers("class", [batch, 1, 1]))
        s.output("loss", loss)
        guard let logits else { return s.minimise(loss, ["default": .sgd(rate: "rate", momentum: 0.9)]) }
        let sparsity = s("sparsity").record(SparsityLoss(form: .published, first: 0), [logits])[0]
        let total = s("total").sum([loss, s.scaled(sparsity, by: s.scalar("sparsity"))])
        s.minimise(total, ["default": .sgd(rate: "rate", momentum: 0.9), "gates": .adam(rate: "gate rate")])
    }
}
let gated = try session(Array(0..<depth), isGated: true)
for step in 0...400 {
    let (sparsity, temperature) = (min(1, 0.005 * Double(step)), max(0.3, 1 - 0.003 * Double(step)))
    let scalars = ["rate": 0.02, "gate rate": 0.05, "sparsity": sparsity, "temperature": temperature]
    let out = try gated.step(examples(), scalars: scalars)
    if step % 100 == 0 { print("step \(step): loss \(try out.read("loss")[0])") }
}
let logits = try gated.read("gates.logits")
let probabilities = (0..<depth).map { 1 / (1 + exp(logits[2 * $0 + 1] - logits[2 * $0])) }
print("selected with probability", probabilities.map { String(format: "%.2f", $0) }.joined(separator: " "))
let file = URL(fileURLWithPath: CommandLine.arguments.dropFirst().first ?? "gated.safetensors")
try gated.save(to: file)  // with all that training needs: load(from:) goes on

for blocks in [[], (0..<depth).filter { probabilities[$0] > 0.5 }, Array(0..<depth)] {
    let network = try session(blocks)
    try network.loadParameters(from: file)
    _ = try network.step(examples()).read("loss")  // compiles what is new
    let start = ContinuousClock.now
    for _ in 1...50 { try network.step(examples(), scalars: ["rate": 0.002]) }
    let loss = try network.step(examples()).read("loss")[0]
    let time = String(format: "%.1f ms", (ContinuousClock.now - start) / .milliseconds(51))
    print("blocks \(blocks): loss \(loss), \(network.launchCount) launches and \(time) a step")
}
