/// What a task predicts; decides its loss, its metrics and its label files.
public enum TaskKind: String, Sendable, CaseIterable, ConfigurationChoice {
    /// One class per pixel; cross-entropy.
    case segmentation
    /// A surface normal per pixel; cosine loss.
    case normals
    /// A distance in metres per pixel; absolute error.
    case depth
    /// A key point strength per pixel; absolute error.
    case keypoints
    /// An edge strength per pixel; absolute error.
    case edges
    /// One class per image; cross-entropy.
    case classification

    /// The number of outputs that this kind must have, or `nil` where it is the number of classes.
    public var fixedChannels: Int? {
        switch self {
        case .segmentation, .classification: nil
        case .normals: 3
        case .depth, .keypoints, .edges: 1
        }
    }

    /// The loss weight λ where the file gives none: NYU v2 3-task's, or Taskonomy's for what NYU v2 lacks.
    public var defaultWeight: Double {
        switch self {
        case .segmentation, .classification: 1
        case .normals: 20
        case .depth: 3
        case .keypoints, .edges: 7
        }
    }
}

/// Weights of the classes in a cross-entropy.
public enum ClassWeights: Sendable, Equatable {
    /// All classes weigh the same.
    case equal
    /// One weight per class.
    case values([Double])
    /// A file with one weight per class.
    case file(String)
}

/// One task of the experiment: `tasks[]` in the file.
public struct TaskConfiguration: Sendable, Equatable {
    /// Unique name: the key in logs, policies and result files.
    public var name: String
    /// What it predicts.
    public var kind: TaskKind
    /// Outputs: classes, or 3 for normals, or 1.
    public var channels: Int
    /// λ, the weight of its loss.
    public var weight: Double
    /// Class weights of a cross-entropy.
    public var classWeights: ClassWeights
    /// Label value that is left out of loss and metrics.
    public var ignoreLabel: Int
    /// Number in the parameter names; nil for the position in the list, from 1.
    public var number: Int?

    /// Creates a task; `channels` and `weight` default to those of the kind.
    public init(
        name: String, kind: TaskKind, channels: Int? = nil, weight: Double? = nil,
        classWeights: ClassWeights = .equal, ignoreLabel: Int = 255
    ) {
        self.name = name
        self.kind = kind
        self.channels = channels ?? kind.fixedChannels ?? 0
        self.weight = weight ?? kind.defaultWeight
        self.classWeights = classWeights
        self.ignoreLabel = ignoreLabel
    }
}
