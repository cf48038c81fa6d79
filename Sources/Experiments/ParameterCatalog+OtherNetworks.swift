import AdaShareFiles
import AdaShareModels
import AdaShareSupport

/// Files of residual networks that the configuration does not describe: what they are, and which key would.
extension ParameterCatalog {
    /// Refuses weights of another depth, of other blocks or of another width.
    ///
    /// - Parameters:
    ///   - file: as `adapted` has it; by names of torchvision where `partial` says so.
    ///   - partial: as for `names`.
    ///   - architecture: the network.
    /// - Throws: `InputError` naming a tensor, what was found and expected, and what to do.
    func refuseOtherNetworks(in file: TensorFile, partial: Bool, of architecture: NetworkArchitecture) throws {
        try refuseOtherBlocks(in: file, of: architecture)
        for spec in specs where spec.name.hasPrefix("backbone.") && spec.layout == .convolution {
            guard let name = names(of: spec, in: file, partial: partial).first, let entry = file.tensors[name],
                entry.shape != spec.diskShape
            else { continue }
            let own = "\(spec.diskShape), as model.width \(architecture.width) has it"
            let width = file.width(by: name.hasPrefix("backbone.") ? .published : .torchvision)
            let advice =
                if let width, NetworkArchitecture.scaled(64 << 3, by: width) != architecture.stages.last?.planes {
                    "; model.width \(width) has the file's"
                } else {
                    "; the file's network is no plain residual one of any width: such weights cannot be taken"
                }
            throw InputError(
                file: file.file, place: name, found: "shape \(entry.shape)", expected: own + advice)
        }
    }

    /// Blocks of the file that the network lacks, or the other way round.
    private func refuseOtherBlocks(in file: TensorFile, of architecture: NetworkArchitecture) throws {
        let names = file.allNames
        let known = TensorFile.BlockNames.allCases.first { naming in names.contains { naming.block(of: $0) != nil } }
        guard let naming = known else { return }
        let absent = Set(absentBlocks(in: file, of: architecture))
        let found = Dictionary(names.compactMap { name in naming.block(of: name).map { ($0, name) } }) { first, _ in
            first
        }
        let isBottleneck = found.keys.contains { file.holds(naming.prefix($0) + "conv3.weight") }
        let wanted = architecture.blocks.map { TensorFile.Block(stage: $0.stage, position: $0.position) }
        let missing = zip(architecture.blocks, wanted).filter { !absent.contains($0.name) && found[$1] == nil }.map(\.1)
        let others = Set(found.keys).subtracting(wanted)
        guard !missing.isEmpty || !others.isEmpty || isBottleneck != architecture.backbone.isBottleneck else { return }
        let all = Set(found.keys).union(zip(architecture.blocks, wanted).filter { absent.contains($0.0.name) }.map(\.1))
        let counts = (0..<4).map { stage in all.count { $0.stage == stage } }
        let kind = BackboneKind.allCases.first { $0.blocksPerStage == counts && $0.isBottleneck == isBottleneck }
        let place =
            others.min().flatMap { found[$0] } ?? missing.min().map { naming.prefix($0) + "conv1.weight" }
            ?? naming.prefix(wanted[0]) + "conv1.weight"
        throw InputError(
            file: file.file, place: place,
            found: kind?.rawValue ?? "\(isBottleneck ? "bottlenecks" : "basic blocks"), \(counts) in four stages",
            expected: "\(architecture.backbone.rawValue), as model.backbone says"
                + (kind.map { "; model.backbone \($0.rawValue) has the file's" } ?? ""))
    }
}

extension TensorFile {
    /// A residual block, by stage and position in it.
    fileprivate struct Block: Hashable, Comparable {
        let stage, position: Int

        static func < (a: Block, b: Block) -> Bool { (a.stage, a.position) < (b.stage, b.position) }
    }

    /// How files name blocks.
    fileprivate enum BlockNames: CaseIterable {
        case published, torchvision

        /// The block that a tensor belongs to; nil for others.
        func block(of name: String) -> Block? {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            switch self {
            case .published:
                guard parts.count > 4, parts[0] == "backbone", parts[1] == "blocks", let stage = Int(parts[2]),
                    let position = Int(parts[3])
                else { return nil }
                return Block(stage: stage, position: position)
            case .torchvision:
                guard parts.count > 2, parts[0].hasPrefix("layer"), let stage = Int(parts[0].dropFirst(5)),
                    let position = Int(parts[1])
                else { return nil }
                return Block(stage: stage - 1, position: position)
            }
        }

        /// What the names of a block's tensors begin with.
        func prefix(_ block: Block) -> String {
            switch self {
            case .published: "backbone.blocks.\(block.stage).\(block.position)."
            case .torchvision: "layer\(block.stage + 1).\(block.position)."
            }
        }

        var stem: String {
            switch self {
            case .published: "backbone.conv1.weight"
            case .torchvision: "conv1.weight"
            }
        }
    }

    /// The width of the plain residual network that a file is of, as its stem and its last stage say; nil for another
    /// network.
    fileprivate func width(by naming: BlockNames) -> Double? {
        let last = naming.prefix(Block(stage: 3, position: 0)) + "conv1.weight"
        guard let stem = tensors[naming.stem]?.shape, let planes = tensors[last]?.shape.first, stem.count == 4 else {
            return nil
        }
        let width = Double(planes) / 512
        let isPlain = stem == [NetworkArchitecture.scaled(64, by: width), 3, 7, 7]
        return isPlain && width <= 16 ? width : nil
    }
}
