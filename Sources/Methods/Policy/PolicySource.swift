import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import Foundation
import Yams

/// A policy as people name it.
public enum PolicySource: Sendable, Equatable {
    /// Hard sharing: every task selects every block.
    case all
    /// The publication's for this network.
    case published
    /// So large a part of all decisions, drawn with a seed.
    case random(density: Double, seed: UInt64)
    /// A file as `train` writes it, `policy.json`.
    case file(String)

    /// How they are written.
    public static let expectation = "a file, all, published, random:DENSITY or random:DENSITY:SEED"

    /// - Parameter text: `all`, `published`, `random:0.5`, `random:0.5:7` or a path; `./all` is a file.
    /// - Returns: nil for a density outside 0...1 or a seed that is none.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch parts[0] {
        case "": return nil
        case "all" where parts.count == 1: self = .all
        case "published" where parts.count == 1: self = .published
        case "random":
            guard parts.count == 2 || parts.count == 3, let density = Double(parts[1]), (0...1).contains(density),
                let seed = parts.count == 3 ? UInt64(parts[2]) : 1
            else { return nil }
            self = .random(density: density, seed: seed)
        default: self = .file(text)
        }
    }

    /// What tables call it.
    public var name: String {
        switch self {
        case .all: "all"
        case .published: "published"
        case .random(let density, let seed): "random:\(readable(density)):\(seed)"
        case .file(let path): URL(fileURLWithPath: path).lastPathComponent
        }
    }
}

extension PolicySource {
    /// The policy for a network.
    ///
    /// - Returns: with the probabilities that a file has.
    /// - Throws: `InputError` if a file cannot be read or does not fit, or nothing is published for this network.
    public func selection(for architecture: NetworkArchitecture) throws -> SelectionPolicy {
        let (names, blocks) = (architecture.tasks.map(\.name), architecture.blocks.count)
        switch self {
        case .all: return .allSelected(tasks: names, blocks: blocks)
        case .random(let density, let seed):
            return SelectionPolicy(
                .nested(density: density, tasks: names.count, blocks: blocks, seed: seed), tasks: names)
        case .published:
            if let published = PublishedPolicies.all.first(where: { $0.fits(architecture) }) {
                return SelectionPolicy(published.policy, tasks: names)
            }
            func describe(_ backbone: BackboneKind, _ tasks: [String]) -> String {
                "\(backbone.rawValue) with tasks \(tasks.joined(separator: ", "))"
            }
            throw InputError(
                file: "the published policy", found: describe(architecture.backbone, names),
                expected: PublishedPolicies.all.map { describe($0.backbone, $0.tasks.map(\.name)) }
                    .joined(separator: "; or "))
        case .file(let path):
            return try SelectionPolicy.read(
                URL(fileURLWithPath: path), tasks: names, blocks: blocks, allowsOthers: architecture.isPart)
        }
    }
}

extension PublishedPolicy {
    /// Whether the policy belongs to a network with this backbone and these tasks.
    package func fits(_ architecture: NetworkArchitecture) -> Bool {
        backbone == architecture.backbone && tasks.map(\.name) == architecture.tasks.map(\.name)
    }
}

extension PolicySource: ConfigurationValue {
    public init?(node: Node) {
        guard let text = node.plain ?? node.scalar?.string else { return nil }
        self.init(text)
    }

    public var node: Node {
        switch self {
        case .file(let path): Node(path)
        case .random(let density, let seed): Node("random:\(density):\(seed)")
        case .all, .published: Node(name)
        }
    }
}
