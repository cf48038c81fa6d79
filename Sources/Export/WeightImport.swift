import AdaShareDatasets
import AdaShareExperiments
import AdaShareFiles
import AdaShareLayers
import AdaShareMethods
import AdaShareModels
import AdaShareSupport

/// Weights of other programs as ones that training begins from.
///
/// Names are those of torchvision and timm, or of the published code, with anything before them. All numbers become
/// float32. Images that other networks were trained on enter them otherwise: for y = (x − m) · f before and
/// y′ = (x − m′) · f′ here, with the channels in another order,
///
///     W′ = W · f / f′,  μ′ = μ − Σ W (m′ − m) f
///
/// of the first convolution W and the running mean μ after it give the same features. Only where the convolution
/// reaches beyond the image do they differ: its padding is colour m there and m′ here.
public struct WeightImport {
    /// How images entered the network that weights were trained in.
    public enum Convention: String, Sendable, CaseIterable {
        /// B,G,R 0…255 minus a mean: the published code's.
        case published
        /// R,G,B standardised: torchvision's, and most of timm's.
        case standardisedRGB = "standardised-rgb"
        /// R,G,B from −1 to 1: some of timm's.
        case centredRGB = "centred-rgb"

        /// As a formula.
        public var normalisation: ImageNormalisation {
            switch self {
            case .published: .published
            case .standardisedRGB: .standardisedRGB
            case .centredRGB: .centredRGB
            }
        }
    }

    /// The weights by the names of the published code.
    public let tensors: TensorFile
    /// What a person should know, a line each.
    public let remarks: [String]

    /// Reads what a network can begin from.
    ///
    /// - Parameters:
    ///   - given: a file of another program.
    ///   - experiment: the network.
    ///   - convention: how images entered the other network; nil: as the file records it, else as names of torchvision
    ///     say, else as here.
    ///   - prefix: before the names of the network that is meant, where a file holds several.
    /// - Throws: `InputError` naming the tensor that is missing or of another shape, or what network a file is of.
    public init(
        _ given: TensorFile, for experiment: Experiment, convention: Convention?, prefix: String? = nil
    ) throws {
        let (catalog, architecture) = (experiment.catalog, experiment.architecture)
        let file = try Self.chosen(given, prefix, catalog)
        let absent = catalog.absentBlocks(in: file, of: architecture)
        try Self.check(file)
        let found = try catalog.names(in: file, partial: true, of: architecture)
        var result = TensorFile(file: given.file)
        result.metadata = given.metadata
        var values: [String: [Float]] = [:]
        var converted: [String: Int] = [:]
        for (spec, name) in found {
            values[spec.name] = try ParameterCatalog.values(of: spec, named: name, in: file)
            guard spec.layout != .counter, let type = file.tensors[name]?.dtype, type != .F32 else { continue }
            converted[type.rawValue, default: 0] += 1
        }
        var remarks = [catalog.summary(of: file, found)]
        if !absent.isEmpty {
            remarks.append(
                "start anew, since no task of the file's selects them: blocks "
                    + absent.joined(separator: ", "))
        }
        if !converted.isEmpty {
            remarks.append(
                "to float32: "
                    + converted.sorted { $0.key < $1.key }.map { "\($0.value) tensors of \($0.key)" }
                    .joined(separator: ", "))
        }
        let isForeign = found.contains { $0.1 == catalog.imageNetName(of: $0.0) }
        let recorded = Convention.allCases.first { $0.normalisation.text == given.metadata["input"] }
        let theirs = (convention ?? recorded ?? (isForeign ? .standardisedRGB : nil))?.normalisation
        let ours = try experiment.inputNormalisation()
        if let theirs, theirs != ours {
            Self.fold(theirs, into: ours, &values)
            remarks.append(
                "images entered as \(theirs.text); first convolution and batch norm are changed for \(ours.text)")
        } else if theirs != nil {
            remarks.append("images enter as they did: \(ours.text)")
        }
        if isForeign, architecture.backbone.isBottleneck {
            remarks.append(
                "bottlenecks have their stride in the first convolution here, in the second in torchvision and timm: "
                    + "blocks with a stride give other features")
        }
        var counters = 0
        for spec in catalog.specs {
            guard let numbers = values[spec.name] else {
                guard spec.layout == .counter, values[Self.mean(beside: spec.name)] != nil else { continue }
                counters += 1
                result.add(spec.name, integers: [0], shape: [])
                continue
            }
            for name in catalog.fileNames(of: spec) {
                if spec.layout == .counter {
                    result.add(name, integers: numbers.map { Int64($0) }, shape: [])
                } else {
                    result.add(name, floats: numbers, shape: spec.diskShape)
                }
            }
        }
        if counters > 0 { remarks.append("\(counters) batch counters are missing and begin at 0") }
        result.metadata["input"] = ours.text
        tensors = result
        self.remarks = remarks
    }

    private static func mean(beside counter: String) -> String {
        counter.dropLast(ParameterCatalog.counterSuffix.count) + ".running_mean"
    }

    /// The tensors of the network that is meant, without what stands before their names.
    private static func chosen(
        _ given: TensorFile, _ prefix: String?, _ catalog: ParameterCatalog
    ) throws -> TensorFile {
        if let prefix {
            guard given.allNames.contains(where: { $0.hasPrefix(prefix) }) else {
                throw InputError(
                    file: given.file, found: "no name that begins with '\(prefix)'",
                    expected: "names such as \(given.allNames.first ?? "none")")
            }
            return given.dropping(prefix)
        }
        let file = catalog.adapted(given)
        let prefixes = ParameterCatalog.prefixes(in: file)
        if prefixes.count > 1, !file.holds("conv1.weight"), !file.holds("backbone.conv1.weight") {
            throw InputError(
                file: given.file, found: "several networks: \(prefixes.map { "'\($0)'" }.joined(separator: ", "))",
                expected: "--prefix with one of them")
        }
        return file
    }

    /// Says of a residual network that is no plain one what it is.
    private static func check(_ file: TensorFile) throws {
        let names = file.allNames
        func fail(_ place: String, _ found: String, _ expected: String) -> InputError {
            InputError(file: file.file, place: place, found: found, expected: expected)
        }
        let plain = "a plain one: resnet18, resnet34, resnet50 or resnet101"
        for name in names where name.hasSuffix("conv1.0.weight") {
            throw fail(name, "a network with a stem of three convolutions, as timm's resnet..d, ..s and ..t", plain)
        }
        for name in names where name.hasPrefix("layer") {
            if name.contains(".se.") || name.contains(".attn.") || name.contains(".conv3.attn") {
                throw fail(name, "a network with attention in its blocks", plain)
            }
            if name.hasSuffix("downsample.1.weight"), file.tensors[name]?.shape.count == 4 {
                throw fail(name, "a network that pools before its projections, as timm's resnet..d", plain)
            }
        }
    }

    /// Changes the first convolution and what follows it for images that enter otherwise.
    private static func fold(
        _ theirs: ImageNormalisation, into ours: ImageNormalisation, _ values: inout [String: [Float]]
    ) {
        let (stem, norm) = ("backbone.conv1.weight", "bn1.running_mean")
        for name in values.keys.sorted() where name == stem || name.hasSuffix("." + stem) {
            guard let weights = values[name] else { continue }
            let prefix = name.dropLast(stem.count) + "backbone."
            let taps = 7 * 7
            var changed = weights
            var shift = [Double](repeating: 0, count: weights.count / (3 * taps))
            for filter in shift.indices {
                for here in 0..<3 {
                    guard let there = (0..<3).first(where: { theirs.order[$0] == ours.order[here] }) else { continue }
                    let factor = Double(theirs.factor[there])
                    let offset = Double(ours.mean[here] - theirs.mean[there]) * factor
                    for tap in 0..<taps {
                        let weight = Double(weights[(filter * 3 + there) * taps + tap])
                        changed[(filter * 3 + here) * taps + tap] = Float(weight * factor / Double(ours.factor[here]))
                        shift[filter] += weight * offset
                    }
                }
            }
            values[name] = changed
            for (mean, numbers) in values where mean.hasPrefix(prefix) && mean.hasSuffix(norm) {
                guard !mean.dropFirst(prefix.count).contains("blocks."), numbers.count == shift.count else { continue }
                values[mean] = zip(numbers, shift).map { Float(Double($0) - $1) }
            }
        }
    }
}
