import AdaShareDatasets
import AdaShareSchema
import Yams

/// Weights of the classes in a cross-entropy.
public enum ClassWeights: Sendable, Equatable {
    /// All classes weigh the same.
    case equal
    /// One weight per class.
    case values([Double])
    /// A file with one weight per class.
    case file(String)
}

extension ClassWeights: ConfigurationValue {
    public static var expectation: String { "a list of numbers of at least 0, the path of a file, or null" }
    public init?(node: Node) {
        if node.isNull {
            self = .equal
        } else if let items = node.sequence {
            let values = items.compactMap { Double(node: $0) }
            guard values.count == items.count, values.allSatisfy({ $0 >= 0 }) else { return nil }
            self = .values(values)
        } else {
            guard let path = String(node: node), !path.isEmpty else { return nil }
            self = .file(path)
        }
    }
    public var node: Node {
        switch self {
        case .equal: Node("null")
        case .values(let values): Node(values.map(\.node), .implicit, .flow)
        case .file(let path): path.node
        }
    }
}

/// One task of an experiment: `tasks[]` in the file.
public struct TaskConfiguration: Sendable {
    /// Unique name: the key in logs, policies and result files.
    public var name: String
    /// What it predicts.
    public var kind: any TaskKind.Type
    /// The data set's label that it learns; nil for the one named as the kind.
    public var label: String?
    /// Outputs: classes, or what the kind demands.
    public var channels: Int
    /// λ, the weight of its loss.
    public var weight: Double
    /// Class weights of a cross-entropy.
    public var classWeights: ClassWeights
    /// Label value that is left out of loss and metrics.
    public var ignoreLabel: Int
    /// Whether it is trained as the name of the kind says, or as the published code does.
    public var convention = MetricConvention.exact
    /// Number in the parameter names; nil for the position in the list, from 1.
    public var number: Int?
    /// The data set with images of its own; nil where it is the experiment's.
    public var dataset: ReaderConfiguration?

    /// Creates a task; `channels` and `weight` default to those of the kind.
    public init(
        name: String, kind: any TaskKind.Type, channels: Int? = nil, weight: Double? = nil,
        classWeights: ClassWeights = .equal, ignoreLabel: Int = 255, convention: MetricConvention = .exact
    ) {
        self.name = name
        self.kind = kind
        self.channels = channels ?? kind.channels ?? 0
        self.weight = weight ?? kind.defaultWeight
        self.classWeights = classWeights
        self.ignoreLabel = ignoreLabel
        self.convention = convention
    }

    /// The data set's name for what it learns.
    public var labelName: String { label ?? kind.name }

    /// How it is trained, where its numbers cannot be compared otherwise, by name: written into checkpoints and beside
    /// metrics.
    public var facts: [String: String] { kind.conventionKey.map { [$0.name: convention.rawValue] } ?? [:] }

    /// The same task as a checkpoint says that it was trained.
    ///
    /// - Parameter facts: the checkpoint's; what it does not record stays as it is.
    public func trained(as facts: [String: String]) -> TaskConfiguration {
        var task = self
        if let known = kind.conventionKey.flatMap({ facts[$0.name] }).flatMap(MetricConvention.init(rawValue:)) {
            task.convention = known
        }
        return task
    }

    /// What it predicts, with what it says of itself.
    public var made: any TaskKind { kind.init(self) }

    /// Its metrics, in the order of tables.
    public var metricNames: [String] { made.metrics().results()[.exact]?.map(\.name) ?? [] }
}

extension TaskConfiguration: Equatable {
    public static func == (a: Self, b: Self) -> Bool {
        a.kind == b.kind
            && (a.name, a.label, a.channels, a.weight, a.ignoreLabel)
                == (b.name, b.label, b.channels, b.weight, b.ignoreLabel)
            && (a.classWeights, a.convention, a.number) == (b.classWeights, b.convention, b.number)
            && a.dataset == b.dataset
    }
}
