import AdaShareDatasets
import AdaShareFiles
import AdaShareLayers
import AdaShareModels
import Foundation
import TestSupport
import Testing

@testable import AdaShareTraining

/// Numbers from a name and an index, as `tools/golden/README.md` defines them: inputs and parameters of golden
/// networks.
struct GoldenFormula: Hashable, Sendable {
    let salt: String

    private func values<T>(_ name: String, _ count: Int, _ value: (UInt64) -> T) -> [T] {
        var base: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(salt)/\(name)".utf8 { base = (base ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return [T](unsafeUninitializedCapacity: count) { buffer, initialized in
            for i in 0..<count {
                var splitmix64 = SeededGenerator(seed: base &+ UInt64(i))
                (buffer.baseAddress! + i).initialize(to: value(splitmix64.next()))
            }
            initialized = count
        }
    }

    /// u in [0, 1), 24 bits.
    func uniform(_ name: String, _ count: Int) -> [Double] { values(name, count) { Double($0 >> 40) * 0x1p-24 } }

    /// Values within ±scale.
    func symmetric(_ name: String, _ count: Int, scale: Double) -> [Float] {
        let scale = Double(Float(scale))
        return values(name, count) { Float((Double($0 >> 40) * 0x1p-24 - 0.5) * 2 * scale) }
    }

    /// Gumbel uniforms in (0, 1).
    func noise(step: Int, task: Int, blocks: Int) -> [Float] {
        noise("task\(task)", step: step, count: blocks * 2)
    }

    /// Uniforms in (0, 1) of that name.
    func noise(_ name: String, step: Int, count: Int) -> [Float] {
        values("noise/\(step)/\(name)", count) { Float((Double($0 >> 41) + 0.5) * 0x1p-23) }
    }

    func probe(_ name: String, _ count: Int) -> [Float] { symmetric("probe/\(name)", count, scale: 1) }

    /// First values of a parameter, in disk order.
    func initialValues(_ spec: ParameterSpec) -> [Float] {
        let count = spec.elementCount
        switch spec.layout {
        case .convolution, .linear:
            let fanIn = count / spec.diskShape[0]
            return symmetric(spec.name, count, scale: (6 / Double(fanIn)).squareRoot())
        case .matrix:
            return symmetric(spec.name, count, scale: 1)
        case .counter:
            return [0]
        case .vector:
            if spec.name.hasSuffix(".running_mean") { return [Float](repeating: 0, count: count) }
            if spec.name.hasSuffix(".running_var") { return [Float](repeating: 1, count: count) }
            if spec.name.hasSuffix(".bias") { return symmetric(spec.name, count, scale: 0.1) }
            return uniform(spec.name, count).map { Float(0.5 + $0) }
        }
    }

    /// Images and labels of every golden network.
    func batch(count: Int, height: Int, width: Int, classes: Int = 7) -> Batch {
        let pixels = count * height * width
        let colour = [count, 3, height, width]
        var batch = Batch(count: count, height: height, width: width, indices: Array(0..<count))
        batch.image = channelsLast(symmetric("input/image", 3 * pixels, scale: 2), colour)
        batch.segmentation = uniform("input/segmentation", pixels).map { u in
            let label = Int32(u * Double(classes + 1))
            return label == classes ? 255 : label
        }
        var normals = channelsLast(
            uniform("input/normals", 3 * pixels).map { Float(($0 * 255).rounded(.down)) }, colour)
        for (pixel, hole) in uniform("input/normals_holes", pixels).enumerated() where hole < 0.125 {
            for channel in 0..<3 { normals[3 * pixel + channel] = 255 }
        }
        batch.normals = normals
        let holes = uniform("input/depth_holes", pixels)
        batch.depth = zip(uniform("input/depth", pixels), holes).map { $1 < 0.125 ? 0 : Float(0.5 + 4 * $0) }
        return batch
    }
}

@Suite struct GoldenFormulaTests {
    /// Every sample of the file, equal to the bit.
    @Test func repeatsTheSamples() throws {
        let file = try TensorFile.golden("formula")
        let formula = GoldenFormula(salt: "79")
        let batch = formula.batch(count: 2, height: 33, width: 41)
        let head = try NetworkArchitecture(
            backbone: .resnet18, width: 0.25, head: .light, tasks: [TaskHead(name: "segmentation", channels: 7)])
        let catalog = ParameterCatalog(head)
        for name in file.names {
            let place = name.split(separator: "/", maxSplits: 1).map(String.init)
            switch place[0] {
            case "uniform": #expect(try file.floats(name) == formula.uniform("example", 16).map { Float($0) })
            case "noise": #expect(try file.floats(name) == formula.noise(step: 0, task: 1, blocks: 8))
            case "probe": #expect(try file.floats(name) == formula.probe(place[1], 16))
            case "init":
                #expect(try file.floats(name) == formula.initialValues(try #require(catalog[place[1]])), "\(name)")
            default:
                switch name {
                case "input/segmentation": #expect(try file.integers(name).map { Int32($0) } == batch.segmentation)
                case "input/image": #expect(try file.floats(name) == channelsFirst(batch.image, [2, 33, 41, 3]))
                case "input/normals": #expect(try file.floats(name) == channelsFirst(batch.normals, [2, 33, 41, 3]))
                case "input/depth": #expect(try file.floats(name) == batch.depth)
                default: Issue.record("nothing to compare \(name) with")
                }
            }
        }
        // Negative control: another salt gives other numbers.
        #expect(
            try file.floats("uniform/example") != GoldenFormula(salt: "80").uniform("example", 16).map { Float($0) })
    }
}
