/// A policy from the publication with the network it belongs to.
public struct PublishedPolicy: Sendable, Hashable {
    /// Human name of the setting.
    public let name: String
    /// The backbone that it was learned for.
    public let backbone: BackboneKind
    /// The tasks, in the order of its rows, with their output channels.
    public let tasks: [TaskHead]
    /// The decisions, [task][block].
    public let policy: DiscretePolicy

    init(_ name: String, _ backbone: BackboneKind, _ rows: [(task: String, channels: Int, skipped: Set<Int>)]) {
        self.name = name
        self.backbone = backbone
        tasks = rows.map { TaskHead(name: $0.task, channels: $0.channels) }
        policy = DiscretePolicy(skipped: rows.map(\.skipped), blocks: backbone.blocksPerStage.reduce(0, +))
    }
}

/// The learned policies of the publication; skipped blocks are counted from 1.
///
/// - Source: the policies published with Sun, Panda, Feris, Saenko 2020 (arXiv 1911.12423; code:
///   github.com/sunxm2357/AdaShare).
public enum PublishedPolicies {
    /// NYU v2 with ResNet-18: segmentation of 40 classes and normals.
    public static let nyu2 = PublishedPolicy(
        "NYU v2 2-task", .resnet18,
        [
            ("segmentation", 40, [2]),
            ("normals", 3, [6]),
        ])

    /// NYU v2 with ResNet-34: segmentation of 40 classes, normals and depth.
    public static let nyu3 = PublishedPolicy(
        "NYU v2 3-task", .resnet34,
        [
            ("segmentation", 40, [7]),
            ("normals", 3, [10, 11, 12]),
            ("depth", 1, [6, 11, 12]),
        ])

    /// Cityscapes with ResNet-34: segmentation of 19 classes and depth.
    public static let cityscapes = PublishedPolicy(
        "Cityscapes 2-task", .resnet34,
        [
            ("segmentation", 19, [6, 7, 9, 13]),
            ("depth", 1, [3, 10]),
        ])

    /// Tiny-Taskonomy with ResNet-34: segmentation of 17 classes, normals, depth, keypoints and edges.
    public static let taskonomy = PublishedPolicy(
        "Tiny-Taskonomy 5-task", .resnet34,
        [
            ("segmentation", 17, []),
            ("normals", 3, [6, 13]),
            ("depth", 1, [5, 7]),
            ("keypoints", 1, [4]),
            ("edges", 1, [10, 11, 13]),
        ])

    /// All of them, those of fewer tasks first.
    public static let all = [nyu2, cityscapes, nyu3, taskonomy]
}
