import AdaShareGraph
import AdaShareOperators
import Foundation

/// A model while a graph is written into it.
///
/// Values of the graph lie [N, H, W, C], those of the model [N, C, H, W]: only the names of axes differ, since nothing
/// else in a network of convolutions depends on them.
struct ONNXWriter {
    private(set) var graph = ONNXGraphProto()
    /// Whether convolutions take the batch norms behind them into their weights.
    let foldsBatchNorms: Bool
    /// By value of the graph being written.
    private var names: [Int: String] = [:]
    private var weights: [Int: NetworkExport.Weight] = [:]
    /// The nodes that read a value.
    private var readers: [Int: [Graph.Node]] = [:]
    private var postponed: [Int: Graph.Node] = [:]
    private var shared: [String: [String]] = [:]
    private var used: Set<String> = []
    private var prefix = ""
    private var label = ""

    init(foldsBatchNorms: Bool) { self.foldsBatchNorms = foldsBatchNorms }

    /// Writes what a part of a network computes.
    ///
    /// - Parameters:
    ///   - part: its graph and weights.
    ///   - image: the tensor that its images are in.
    mutating func write(_ part: NetworkExport.Part, image: String) {
        (names, weights, readers, postponed, shared) = ([:], [:], [:], [:], [:])
        prefix = part.prefix.isEmpty ? "" : part.prefix + "/"
        for external in part.graph.externals {
            if let weight = part.weights[external.name] {
                weights[external.value.id] = weight
            } else if external.name.hasPrefix("input/image") {
                names[external.value.id] = image
            }
        }
        for node in part.graph.nodes { for input in node.inputs { readers[input.id, default: []].append(node) } }
        for node in part.graph.nodes {
            guard let operation = node.operation as? any ONNXOperator else {
                preconditionFailure("no ONNX for \(node.operation)")
            }
            label = node.label
            operation.write(node, into: &self)
        }
    }

    /// The tensor that a value of the graph is.
    func name(of value: Value) -> String {
        guard let name = names[value.id] else { preconditionFailure("a value that nothing has computed") }
        return name
    }

    /// The tensor of a parameter, in disk order.
    mutating func parameter(_ value: Value) -> String {
        if let name = names[value.id] { return name }
        let weight = weight(value)
        let name = constant(weight.spec.name, weight.values, weight.modelShape)
        names[value.id] = name
        return name
    }

    /// A parameter's values and description.
    func weight(_ value: Value) -> NetworkExport.Weight {
        guard let weight = weights[value.id] else { preconditionFailure("a value that is no parameter") }
        return weight
    }

    /// The only node that reads a value; nil where there is none, or several.
    func reader(of value: Value) -> Graph.Node? { readers[value.id]?.count == 1 ? readers[value.id]?[0] : nil }

    /// Leaves a convolution to the batch norm that reads it.
    mutating func postpone(_ node: Graph.Node) { postponed[node.outputs[0].id] = node }

    /// The convolution that was left to the reader of its result.
    func postponed(_ value: Value) -> Graph.Node? { postponed[value.id] }

    /// Tensors that are made where they are first needed.
    ///
    /// - Parameters:
    ///   - key: what they are known by.
    ///   - make: adds them, and gives their names.
    mutating func shared(_ key: String, make: (inout ONNXWriter) -> [String]) -> [String] {
        if let known = shared[key] { return known }
        let made = make(&self)
        shared[key] = made
        return made
    }

    /// Says which tensor a value of the graph is.
    mutating func set(_ value: Value, _ name: String) { names[value.id] = name }

    /// Appends a node and gives its result a name.
    ///
    /// - Returns: the result.
    mutating func add(
        _ type: String, _ inputs: [String], integers: KeyValuePairs<String, [Int]> = [:],
        numbers: KeyValuePairs<String, Int> = [:], floats: KeyValuePairs<String, Double> = [:], named: String? = nil
    ) -> String {
        let output = named ?? unused(prefix + label + "/" + type.lowercased())
        append(type, inputs, [output], integers, numbers, floats)
        return output
    }

    /// Appends a node that has several results.
    mutating func split(_ input: String, into count: Int) -> [String] {
        let outputs = (0..<count).map { _ in unused(prefix + label + "/split") }
        append("Split", [input], outputs, [:], ["axis": 1, "num_outputs": count], [:])
        return outputs
    }

    private mutating func append(
        _ type: String, _ inputs: [String], _ outputs: [String], _ integers: KeyValuePairs<String, [Int]>,
        _ numbers: KeyValuePairs<String, Int>, _ floats: KeyValuePairs<String, Double>
    ) {
        graph.node.append(
            .with { node in
                (node.opType, node.name, node.input, node.output) = (type, outputs[0], inputs, outputs)
                node.attribute =
                    integers.map { key, values in
                        .with { ($0.name, $0.ints, $0.type) = (key, values.map(Int64.init), .ints) }
                    }
                    + numbers.map { key, value in .with { ($0.name, $0.i, $0.type) = (key, Int64(value), .int) } }
                    + floats.map { key, value in .with { ($0.name, $0.f, $0.type) = (key, Float(value), .float) } }
            })
    }

    /// Adds a tensor that stays as it is.
    ///
    /// - Returns: its name, which is another where that one is taken.
    mutating func constant(_ name: String, _ values: [Float], _ shape: [Int]) -> String {
        let name = unused(prefix + name)
        graph.initializer.append(
            .with { tensor in
                tensor.name = name
                tensor.dims = shape.map(Int64.init)
                tensor.dataType = Int32(ONNXTensorProto.DataType.float.rawValue)
                tensor.rawData = values.withUnsafeBytes { Data($0) }
            })
        return name
    }

    /// As `constant(_:_:_:)`, of integers.
    mutating func constant(_ name: String, _ values: [Int]) -> String {
        let name = unused(prefix + name)
        graph.initializer.append(
            .with { tensor in
                tensor.name = name
                tensor.dims = [Int64(values.count)]
                tensor.dataType = Int32(ONNXTensorProto.DataType.int64.rawValue)
                tensor.rawData = values.map(Int64.init).withUnsafeBytes { Data($0) }
            })
        return name
    }

    /// Declares what the model is given.
    mutating func input(_ name: String, _ type: ONNXTensorProto.DataType, _ axes: [ONNXAxis], _ about: String) {
        used.insert(name)
        graph.input.append(Self.declaration(name, type, axes, about))
    }

    /// Declares what the model gives.
    mutating func output(_ name: String, _ axes: [ONNXAxis], _ about: String) {
        graph.output.append(Self.declaration(name, .float, axes, about))
    }

    /// Keeps a name for what is added under it later.
    mutating func reserve(_ name: String) { used.insert(name) }

    private static func declaration(
        _ name: String, _ type: ONNXTensorProto.DataType, _ axes: [ONNXAxis], _ about: String
    ) -> ONNXValueInfoProto {
        .with { value in
            (value.name, value.docString) = (name, about)
            value.type.tensorType.elemType = Int32(type.rawValue)
            value.type.tensorType.shape.dim = axes.map { axis in
                .with {
                    switch axis {
                    case .fixed(let extent): $0.dimValue = Int64(extent)
                    case .named(let name): $0.dimParam = name
                    }
                }
            }
        }
    }

    private mutating func unused(_ name: String) -> String {
        var (candidate, number) = (name, 1)
        while !used.insert(candidate).inserted {
            number += 1
            candidate = "\(name)_\(number)"
        }
        return candidate
    }
}

/// An extent that is known, or one that is the image's.
enum ONNXAxis {
    case fixed(Int)
    case named(String)
}

extension NetworkExport.Weight {
    /// Linear layers are convolutions of one tap.
    var modelShape: [Int] { spec.layout == .linear ? spec.diskShape + [1, 1] : spec.diskShape }
}
