import AdaShareDatasets
import AdaShareGraph
import AdaShareMethods
import AdaShareOperators
import AdaShareSupport
import Foundation
import SwiftProtobuf

/// What an exported network is given.
public enum ExportedInput: String, CaseIterable, Sendable {
    /// `image`, uint8 [N, H, W, 3]: pixels as files have them, red first; the model does what training did to them.
    case pixels
    /// `image`, float32 [N, 3, H, W]: what training made of pixels.
    case normalised
}

extension NetworkExport {
    /// The version of ONNX's operators that models ask for, and of its file format.
    private static let (operators, format) = (18, 8)

    /// The network as an ONNX model: one output for each task, named after it, before any softmax or other decision;
    /// batch, height and width are the caller's.
    ///
    /// - Parameters:
    ///   - input: what it is given.
    ///   - foldsBatchNorms: whether convolutions take the batch norms behind them into their weights.
    ///   - version: of this program.
    /// - Returns: the file's contents.
    /// - Throws: `InputError` for a model above 2 GB, the most that the format holds.
    public func onnx(_ input: ExportedInput, foldsBatchNorms: Bool = true, version: String) throws -> Data {
        var writer = ONNXWriter(foldsBatchNorms: foldsBatchNorms)
        for task in parts.flatMap(\.tasks) { writer.reserve(names[task]) }
        let image = writer.image(input, normalisation)
        for part in parts {
            writer.write(part, image: image)
            for task in part.tasks {
                guard
                    let value = part.graph.outputs.first(where: { $0.name == StepGraphs.outputName(names[task]) })?
                        .value
                else {
                    preconditionFailure("no prediction of \(names[task])")
                }
                let channels = experiment.architecture.tasks[task].channels
                let isMap = experiment.tasks[task].kind.label.extent == .pixels
                if isMap {
                    _ = writer.add("Identity", [writer.name(of: value)], named: names[task])
                    writer.output(
                        names[task], [.named("batch"), .fixed(channels), .named("rows"), .named("columns")],
                        "at the resolution of the last features")
                } else {
                    _ = writer.add("Flatten", [writer.name(of: value)], numbers: ["axis": 1], named: names[task])
                    writer.output(names[task], [.named("batch"), .fixed(channels)], "of the whole image")
                }
            }
        }
        let bytes = writer.graph.initializer.reduce(0) { $0 + $1.rawData.count }
        guard bytes < 1 << 31 - 1 << 20 else {
            throw InputError(
                file: "export", found: "\(bytes) bytes of weights",
                expected: "less than 2 GB, which is all that ONNX's format holds; --tasks exports some of the tasks")
        }
        let model = ONNXModelProto.with { model in
            model.irVersion = Int64(Self.format)
            (model.producerName, model.producerVersion) = ("adashare", version)
            model.opsetImport = [.with { $0.version = Int64(Self.operators) }]
            model.graph = writer.graph
            model.graph.name = parts.flatMap(\.tasks).map { names[$0] }.joined(separator: "+")
            var facts = facts
            facts["input"] = input == .pixels ? "R,G,B 0...255, uint8, as files have them" : normalisation.text
            model.metadataProps = facts.sorted { $0.key < $1.key }.map { key, value in
                .with { ($0.key, $0.value) = (key, value) }
            }
        }
        return try model.serializedData()
    }
}

extension ONNXWriter {
    /// Declares the input and makes of it what the network reads.
    ///
    /// - Returns: the tensor that the network reads.
    fileprivate mutating func image(_ input: ExportedInput, _ normalisation: ImageNormalisation) -> String {
        let name = "image"
        let (batch, height, width) = (ONNXAxis.named("batch"), ONNXAxis.named("height"), ONNXAxis.named("width"))
        switch input {
        case .normalised:
            self.input(name, .float, [batch, .fixed(3), height, width], normalisation.text)
            return name
        case .pixels:
            self.input(name, .uint8, [batch, height, width, .fixed(3)], "red, green and blue, 0 to 255")
            func channels(_ values: SIMD3<Float>) -> [Float] { (0..<3).map { values[$0] } }
            var result = add(
                "Transpose", [name], integers: ["perm": [0, 3, 1, 2]], named: "pixels/channels_first")
            result = add(
                "Cast", [result], numbers: ["to": ONNXTensorProto.DataType.float.rawValue], named: "pixels/float")
            let order = (0..<3).map { normalisation.order[$0] }
            if order != [0, 1, 2] {
                let indices = constant("pixels/order", order)
                result = add("Gather", [result, indices], numbers: ["axis": 1], named: "pixels/ordered")
            }
            let mean = constant("pixels/mean", channels(normalisation.mean), [1, 3, 1, 1])
            result = add("Sub", [result, mean], named: "pixels/centred")
            guard normalisation.factor != SIMD3(repeating: 1) else { return result }
            let factor = constant("pixels/factor", channels(normalisation.factor), [1, 3, 1, 1])
            return add("Mul", [result, factor], named: "pixels/scaled")
        }
    }
}
