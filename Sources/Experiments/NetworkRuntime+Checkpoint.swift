import Files
import Foundation
import Graph
import Layers
import Methods
import Models
import Operators
import Support

extension NetworkRuntime {
    /// Every parameter under its published name, OIHW shapes, counters as I64 scalars; waits for the device.
    public func checkpoint() throws -> TensorFile {
        var file = TensorFile()
        for spec in graphs.catalog.specs {
            let values = try read(spec)
            if spec.layout == .counter {
                file.add(spec.name, integers: values.map { Int64($0) }, shape: [])
            } else {
                file.add(spec.name, floats: values, shape: spec.diskShape)
            }
        }
        return file
    }

    /// Sets every parameter from a checkpoint of the same architecture.
    ///
    /// Logits may be missing: published checkpoints of the warm-up and ImageNet weights have none. A part of a network
    /// leaves other tasks' tensors unread.
    ///
    /// - Parameter partial: also accept missing heads and batch counters, for initial weights.
    /// - Throws: `InputError` naming the tensor that is missing, unknown or of another shape; nothing is changed then.
    public func load(_ file: TensorFile, partial: Bool = false) throws {
        let loaded = try graphs.catalog.values(in: file, partial: partial, of: graphs.architecture)
        for (spec, values) in loaded { try write(spec, values) }
    }

    /// The optimisers' state, stored layout, by name.
    package func optimizerState() throws -> [(name: String, values: [Float])] {
        try executor.store.names.filter { $0.hasPrefix(OptimizerState.prefix) }.map {
            ($0, try executor.store.read($0))
        }
    }

    /// Restores what `optimizerState` gave.
    package func restoreOptimizerState(_ name: String, _ values: [Float], file: String) throws {
        if name == StepGraphs.lossSumsName, graphs.objective.readsHistory, values.count == graphs.lossSumsShape.count {
            return try executor.store.write(name, graphs.lossSumsShape, values)
        }
        let parameter = String(name.dropFirst(OptimizerState.prefix.count).prefix { $0 != "/" })
        guard let spec = graphs.catalog[parameter], spec.elementCount == values.count else {
            throw InputError(
                file: file, place: name, found: "\(values.count) values",
                expected: "the state of a parameter of \(graphs.architecture.summary)")
        }
        try executor.store.write(name, spec.storedShape, values)
    }
}

extension ParameterCatalog {
    /// The parameters a checkpoint holds, in disk order, checked against this network.
    ///
    /// - Throws: as `NetworkRuntime.load`.
    func values(
        in file: TensorFile, partial: Bool, of architecture: NetworkArchitecture
    ) throws -> [(ParameterSpec, [Float])] {
        for name in file.names where self[name] == nil && !partial && !architecture.leavesOut(tensor: name) {
            throw InputError(
                file: file.file, place: name, found: "a tensor this network does not have",
                expected: "a checkpoint of \(architecture.summary)")
        }
        var loaded: [(ParameterSpec, [Float])] = []
        for spec in specs {
            guard file.tensors[spec.name] != nil else {
                let optional =
                    spec.group == .policy || spec.group == .objective
                    || (partial && (spec.group == .heads || spec.layout == .counter))
                if optional { continue }
                throw InputError(
                    file: file.file, place: spec.name, found: "no such tensor",
                    expected: "shape \(spec.diskShape), a checkpoint of \(architecture.summary)")
            }
            if spec.layout == .counter {
                let counts = try file.integers(spec.name, shape: [])
                // float32 holds every count up to 2²⁴ exactly.
                guard counts.allSatisfy({ (0...(1 << 24)).contains($0) }) else {
                    throw InputError(
                        file: file.file, place: spec.name, found: "\(counts[0]) batches", expected: "0 to \(1 << 24)")
                }
                loaded.append((spec, counts.map { Float($0) }))
            } else {
                let values = try file.floats(spec.name, shape: spec.diskShape)
                if let bad = values.firstIndex(where: { !$0.isFinite }) {
                    throw InputError(
                        file: file.file, place: spec.name, found: "\(values[bad]) at element \(bad)",
                        expected: "finite numbers")
                }
                loaded.append((spec, values))
            }
        }
        return loaded
    }
}

extension NetworkArchitecture {
    fileprivate var summary: String {
        "\(backbone.rawValue), width \(width), \(head.rawValue) heads, tasks "
            + tasks.map { "\($0.name) (\($0.channels))" }.joined(separator: ", ")
    }
}
