import AdaShareFiles
import AdaShareGraph
import AdaShareLayers
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import Foundation

extension NetworkRuntime {
    /// Every parameter under its published name, OIHW shapes, counters as I64 scalars; waits for the device.
    public func checkpoint() throws -> TensorFile {
        var file = TensorFile()
        let beside = graphs.catalog.specs.map(\.name).filter(graphs.catalog.beside.contains)
        if !beside.isEmpty { file.metadata[ParameterCatalog.besideKey] = beside.joined(separator: ",") }
        for spec in graphs.catalog.specs {
            let values = try read(spec)
            for name in graphs.catalog.fileNames(of: spec) {
                if spec.layout == .counter {
                    file.add(name, integers: values.map { Int64($0) }, shape: [])
                } else {
                    file.add(name, floats: values, shape: spec.diskShape)
                }
            }
        }
        return file
    }

    /// Sets every parameter from a checkpoint of the same architecture.
    ///
    /// Logits may be missing: published checkpoints of the warm-up and ImageNet weights have none. A part of a network
    /// leaves other tasks' tensors unread, unless its tasks read each other's features.
    ///
    /// - Parameters:
    ///   - file: tensors in disk order, by the names of the catalogue.
    ///   - partial: also accept missing heads, batch counters and layers of a method's own, for initial weights; batch
    ///     norms and backbones per task may begin from those of a network whose tasks share them, and tensors may be
    ///     called as torchvision calls them.
    /// - Throws: `InputError` naming the tensor that is missing, unknown or of another shape; nothing is changed then.
    public func load(_ file: TensorFile, partial: Bool = false) throws {
        let file = graphs.catalog.adapted(file)
        let found = try graphs.catalog.names(in: file, partial: partial, of: graphs.architecture)
        for (spec, name) in found { try write(spec) { try ParameterCatalog.values(of: spec, named: name, in: file) } }
    }

    /// What a file of initial weights is to this network, in one line.
    ///
    /// - Throws: as `load`.
    package func summary(ofInitial file: TensorFile) throws -> String {
        let file = graphs.catalog.adapted(file)
        let found = try graphs.catalog.names(in: file, partial: true, of: graphs.architecture)
        return graphs.catalog.summary(of: file, found)
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
    /// Where a file names tensors that were learned beside the network, which a network without them leaves unread.
    static let besideKey = "beside_network"

    /// What the names of batch counters end in.
    package static let counterSuffix = ".num_batches_tracked"
    /// Names of one convolution of every network's, as it is called here and by torchvision and timm.
    private static let anchors = ["backbone.blocks.0.0.conv1.weight", "layer1.0.conv1.weight"]

    /// What other tools have put before the names of a network, such as `module.`; several where a file has several.
    package static func prefixes(in file: TensorFile) -> [String] {
        var found: Set<String> = []
        for name in file.allNames {
            for anchor in anchors where name.hasSuffix("." + anchor) {
                found.insert(String(name.dropLast(anchor.count)))
            }
        }
        return found.sorted()
    }

    /// A file by the names of the catalogue, where another tool has put something before those of its network.
    package func adapted(_ given: TensorFile) -> TensorFile {
        guard !specs.contains(where: { !names(of: $0, in: given, partial: true).isEmpty }) else { return given }
        let prefixes = Self.prefixes(in: given)
        return prefixes.count == 1 ? given.dropping(prefixes[0]) : given
    }

    /// What a file of initial weights is to this network, in one line.
    ///
    /// - Parameters:
    ///   - file: as `adapted` has it.
    ///   - found: what is taken from it.
    package func summary(of file: TensorFile, _ found: [(ParameterSpec, String)]) -> String {
        let (taken, known) = (Set(found.map(\.1)), Set(found.map(\.0.name)))
        // Counts of batches decide nothing.
        let wanted = specs.filter { $0.layout != .counter }
        let fresh = wanted.filter { !known.contains($0.name) }.map { spec in
            let other = file.tensors[spec.name].map { " (\(spec.diskShape), in the file \($0.shape))" }
            return spec.name + (other ?? "")
        }
        let all = Set(wanted.flatMap { fileNames(of: $0) })
        let unused = file.allNames.filter {
            !taken.contains($0) && !all.contains($0) && !$0.hasSuffix(Self.counterSuffix)
        }
        func list(_ names: [String]) -> String {
            let most = 6
            return names.prefix(most).joined(separator: ", ")
                + (names.count > most ? " and \(names.count - most) more" : "")
        }
        return "\(wanted.count - fresh.count) of \(wanted.count) tensors are taken"
            + (fresh.isEmpty ? "" : "; fresh: \(list(fresh))") + (unused.isEmpty ? "" : "; not used: \(list(unused))")
    }

    /// The parameters a checkpoint holds and what it calls them, checked against this network.
    ///
    /// - Throws: as `NetworkRuntime.load`.
    package func names(
        in file: TensorFile, partial: Bool, of architecture: NetworkArchitecture
    ) throws -> [(ParameterSpec, String)] {
        try refuseOtherNetworks(in: file, partial: partial, of: architecture)
        let theirs = Set(file.metadata[Self.besideKey]?.split(separator: ",").map(String.init) ?? [])
        if joinsTasks, !partial, let other = file.names.first(where: architecture.leavesOut(tensor:)) {
            throw InputError(
                file: file.file, place: other, found: "a network of more tasks, whose features these tasks read",
                expected: "all of its tasks: such a network cannot be used for some of them")
        }
        for name in file.allNames
        where !mayHold(name) && !partial && !architecture.leavesOut(tensor: name) && !theirs.contains(name) {
            throw InputError(
                file: file.file, place: name, found: "a tensor this network does not have",
                expected: "a checkpoint of \(architecture.summary)")
        }
        var found: [(ParameterSpec, String)] = []
        let absent = partial ? absentBlocks(in: file, of: architecture) : []
        for spec in specs {
            let names = self.names(of: spec, in: file, partial: partial)
            // A head of other outputs starts anew.
            if partial, spec.group == .heads, let entry = names.first.flatMap({ file.tensors[$0] }),
                entry.shape != spec.diskShape
            {
                continue
            }
            guard let name = names.first else {
                let optional =
                    spec.group == .policy || beside.contains(spec.name) || spec.layout == .counter
                    || (partial && (spec.group == .heads || own.contains(spec.name)))
                    || absent.contains { isTensor(spec, of: $0) }
                if optional { continue }
                throw InputError(
                    file: file.file, place: fileNames(of: spec)[0], found: "no such tensor",
                    expected: "shape \(spec.diskShape), a checkpoint of \(architecture.summary)")
            }
            let values = try Self.values(of: spec, named: name, in: file)
            for other in names.dropFirst() where try Self.values(of: spec, named: other, in: file) != values {
                throw InputError(
                    file: file.file, place: other, found: "other values than in \(name)",
                    expected: "the same: one convolution of all tasks")
            }
            found.append((spec, name))
        }
        return found
    }

    /// Under which of its names a file holds a tensor, or what it may begin from.
    func names(of spec: ParameterSpec, in file: TensorFile, partial: Bool) -> [String] {
        let own = fileNames(of: spec).filter(file.holds)
        guard own.isEmpty, partial else { return own }
        let others = [commonName(of: spec) ?? spec.name, imageNetName(of: spec)].compactMap { $0 }
        return others.first(where: file.holds).map { [$0] } ?? []
    }

    /// A parameter's values in disk order.
    ///
    /// - Throws: `InputError` for another shape, or what is no finite number.
    package static func values(of spec: ParameterSpec, named name: String, in file: TensorFile) throws -> [Float] {
        guard spec.layout == .counter else {
            let values = try file.floats(name, shape: spec.diskShape)
            // A variance below 0 makes every output no number.
            let isVariance = name.hasSuffix(".running_var")
            if let bad = values.firstIndex(where: { !$0.isFinite || isVariance && $0 < 0 }) {
                throw InputError(
                    file: file.file, place: name, found: "\(values[bad]) at element \(bad)",
                    expected: isVariance ? "finite numbers from 0" : "finite numbers")
            }
            return values
        }
        let counts = try file.integers(name, shape: file.tensors[name]?.shape == [1] ? [1] : [])
        // float32 holds every count up to 2²⁴ exactly.
        guard counts.allSatisfy({ (0...(1 << 24)).contains($0) }) else {
            throw InputError(
                file: file.file, place: name, found: "\(counts[0]) batches", expected: "0 to \(1 << 24)")
        }
        return counts.map { Float($0) }
    }
}

extension NetworkArchitecture {
    fileprivate var summary: String {
        "\(backbone.rawValue), width \(width), \(head.rawValue) heads, "
            + (hasTaskBatchNorm ? "batch norm per task, " : "") + "tasks "
            + tasks.map { "\($0.name) (\($0.channels))" }.joined(separator: ", ")
    }
}
