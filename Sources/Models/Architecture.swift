import AdaShareSupport
import Foundation

/// A residual backbone of the method, by its published name.
public enum BackboneKind: String, Sendable, CaseIterable, Codable {
    /// 18 and 34 layers of basic blocks, 50 and 101 of bottlenecks.
    ///
    /// - Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, table 1.
    case resnet18, resnet34, resnet50, resnet101

    /// Residual blocks in each of the four stages, bottom to top.
    public var blocksPerStage: [Int] {
        switch self {
        case .resnet18: [2, 2, 2, 2]
        case .resnet34, .resnet50: [3, 4, 6, 3]
        case .resnet101: [3, 4, 23, 3]
        }
    }

    /// Whether the blocks are bottlenecks (1×1, 3×3, 1×1) instead of basic (3×3, 3×3).
    public var isBottleneck: Bool { self == .resnet50 || self == .resnet101 }

    /// Output channels of a block over its inner width: 4 for bottlenecks, else 1.
    public var expansion: Int { isBottleneck ? 4 : 1 }
}

/// What a dense task puts on the last features.
public enum HeadKind: String, Sendable, Codable, CaseIterable {
    /// Four dilated branches with rates 6, 12, 18, 24, summed.
    case fourRate = "four_rate"
    /// One 1×1 convolution with bias.
    case light
}

/// One task: its name and how many channels (or classes) its head puts out.
public struct TaskHead: Sendable, Hashable {
    /// Key of the task in policies, costs and outputs; distinct in a network.
    public var name: String
    /// Output channels of the head: classes, or numbers per pixel or image.
    public var channels: Int
    /// Number in the parameter names `task<number>_…`; nil for the position in the list, from 1.
    ///
    /// Set where a network is a part of one with more tasks, so that its tensors and noise keep their names.
    public var number: Int?
    /// Which images it is given: tasks of one number are given the same ones, and share what they do with them.
    public var source: Int

    /// Creates the head of a task.
    ///
    /// - Parameters:
    ///   - name: key of the task.
    ///   - channels: output channels, at least 1.
    ///   - number: in the names of its parameters, from 1; nil for the position in the list.
    ///   - source: which images it is given; equal for tasks that share what they do with them.
    public init(name: String, channels: Int, number: Int? = nil, source: Int = 0) {
        self.name = name
        self.channels = channels
        self.number = number
        self.source = source
    }
}

/// One of the four stages of a backbone.
public struct ResidualStage: Sendable, Hashable {
    /// Position from the bottom, from 0.
    public let index: Int
    /// Inner width of the blocks: 64, 128, 256, 512 times the width multiplier.
    public let planes: Int
    /// Channels that leave every block of the stage: `planes` times the expansion.
    public let outputChannels: Int
    /// Residual blocks of the stage.
    public let blockCount: Int
    /// Stride of the first block; the others have stride 1.
    public let stride: Int
    /// Dilation of every 3×3 convolution of the stage.
    public let dilation: Int
}

/// The shape of a multi-task residual network: what there is, without weights, values or device.
///
/// Tasks of pixels use the dilated form (strides 1/2/1/1, dilations 1/1/2/4, output stride 8, max pool in ceil mode),
/// tasks of whole images the ordinary one (strides 1/2/2/2, no dilation, floor mode).
///
/// - Source: Sun, Panda, Feris, Saenko 2020 (arXiv 1911.12423) and its code, github.com/sunxm2357/AdaShare.
public struct NetworkArchitecture: Sendable, Hashable {
    /// Which residual network the tasks share: block type and blocks per stage.
    public let backbone: BackboneKind
    /// Factor on all channel counts; 1 is the published network.
    public let width: Double
    /// Head of tasks of pixels; without effect on others.
    public let head: HeadKind
    /// Tasks in order; `number(task:)` names their parameters.
    public let tasks: [TaskHead]
    /// Whether tasks have an output for the whole image: linear heads on pooled features of the ordinary form.
    public let isPooled: Bool
    /// Whether every task has batch norms of its own in the backbone, scales, shifts and statistics, while tasks share
    /// its convolutions.
    public let hasTaskBatchNorm: Bool
    /// Hidden channels of a four-rate branch, already scaled by `width`.
    public let headHidden: Int
    /// What lies below the blocks.
    public let stem: Stem
    /// The four stages of the backbone, bottom to top.
    public let stages: [ResidualStage]
    /// All residual blocks, bottom to top.
    public let blocks: [ResidualBlock]

    /// Lays out the network.
    ///
    /// Channel counts are scaled by `width` and rounded to a multiple of 16, at least 16.
    ///
    /// - Parameters:
    ///   - backbone: which residual network.
    ///   - width: channel multiplier, above 0 and at most 16.
    ///   - head: head of dense tasks.
    ///   - tasks: at least one, names distinct and not empty, channels at least 1.
    ///   - isPooled: the ordinary, not dilated form with linear heads.
    ///   - hasTaskBatchNorm: batch norms of its own for every task. Each task must be given images of its own: tasks of
    ///     the same images would have no pass in common then, nor anything else than the stem's convolution.
    ///   - headHidden: hidden channels of a four-rate branch before scaling.
    /// - Throws: `InputError` for a width, task or hidden size outside these bounds, or batch norms per task
    ///   where tasks are given the same images.
    public init(
        backbone: BackboneKind, width: Double = 1, head: HeadKind = .fourRate, tasks: [TaskHead],
        isPooled: Bool = false, hasTaskBatchNorm: Bool = false, headHidden: Int = 1024
    ) throws {
        guard width.isFinite, width > 0, width <= 16 else { throw InputError.badWidth(width) }
        guard (1...65536).contains(headHidden) else { throw InputError.badHeadHidden(headHidden) }
        try Self.validate(tasks)
        if hasTaskBatchNorm { try Self.requireOwnImages(tasks) }

        self.backbone = backbone
        self.width = width
        self.head = head
        self.tasks = tasks
        self.isPooled = isPooled
        self.hasTaskBatchNorm = hasTaskBatchNorm
        self.headHidden = Self.scaled(headHidden, by: width)
        let stem = Stem(channels: Self.scaled(64, by: width), poolCeilMode: !isPooled)
        self.stem = stem

        let strides = isPooled ? [1, 2, 2, 2] : [1, 2, 1, 1]
        let dilations = isPooled ? [1, 1, 1, 1] : [1, 1, 2, 4]
        var stages: [ResidualStage] = []
        var blocks: [ResidualBlock] = []
        var channels = stem.channels
        for (index, blockCount) in backbone.blocksPerStage.enumerated() {
            let planes = Self.scaled(64 << index, by: width)
            let stage = ResidualStage(
                index: index, planes: planes, outputChannels: planes * backbone.expansion, blockCount: blockCount,
                stride: strides[index], dilation: dilations[index])
            stages.append(stage)
            for position in 0..<blockCount {
                blocks.append(
                    ResidualBlock(
                        index: blocks.count, position: position, stage: stage, inputChannels: channels,
                        isBottleneck: backbone.isBottleneck))
                channels = stage.outputChannels
            }
        }
        self.stages = stages
        self.blocks = blocks
    }

    /// Number of a task in the parameter names, from 1.
    ///
    /// - Parameter task: index in `tasks`, from 0.
    public func number(task: Int) -> Int { tasks[task].number ?? task + 1 }

    /// For each task the number of its images: equal where tasks are given the same ones, from 0 as they first appear.
    public var sources: [Int] { compacted(tasks.map(\.source)) }

    /// Whether tasks are given different images, so that not all of them can have a pass in common.
    public var hasSeparateImages: Bool { sources.contains { $0 > 0 } }

    /// What the names of a task's batch norms in the backbone begin with: `task<i>_`, counted from 0 as published, or
    /// nothing where tasks share them.
    ///
    /// - Parameter task: index in `tasks`, from 0.
    public func normPrefix(task: Int) -> String { hasTaskBatchNorm ? "task\(number(task: task) - 1)_" : "" }

    /// Of every set of batch norms in the backbone: one for each task, or one for all.
    public var normPrefixes: [String] { hasTaskBatchNorm ? tasks.indices.map(normPrefix) : [""] }

    /// Whether this may be a part of a network with more tasks, whose files name those too.
    public var isPart: Bool { tasks.contains { $0.number != nil } }

    /// Whether a tensor is named as a head, logits or batch norm of a task that this part leaves out.
    public func leavesOut(tensor name: String) -> Bool {
        guard isPart else { return false }
        func number(_ part: Substring) -> Int? {
            part.hasPrefix("task") ? Int(part.dropFirst(4).prefix { $0.isNumber }) : nil
        }
        let found: Int?
        if hasTaskBatchNorm, name.hasPrefix("backbone.") {
            // Batch norms count tasks from 0.
            found = name.split(separator: ".").lazy.compactMap(number).first.map { $0 + 1 }
        } else {
            found = number(name[...])
        }
        guard let found else { return false }
        return !tasks.indices.contains { self.number(task: $0) == found }
    }

    /// What a task puts on the last features.
    ///
    /// - Parameters:
    ///   - task: index in `tasks`, from 0.
    ///   - dropout: probability in four-rate branches.
    public func output(task: Int, dropout: Double = 0) -> TaskOutput {
        precondition(tasks.indices.contains(task), "task \(task) of \(tasks.count)")
        return TaskOutput(
            prefix: "task\(number(task: task))", channels: tasks[task].channels, hidden: headHidden,
            kind: isPooled ? nil : head, dropout: dropout)
    }

    /// Name of one task's policy logits, shape [L, 2], column 0 = select and column 1 = skip.
    ///
    /// - Parameter task: index in `tasks`, from 0.
    public func logitsParameter(task: Int) -> String { "task\(number(task: task))_logits" }

    /// Scales a published channel count: a multiple of 16, at least 16.
    public static func scaled(_ channels: Int, by width: Double) -> Int {
        max(16, Int((Double(channels) * width / 16).rounded()) * 16)
    }

    private static func requireOwnImages(_ tasks: [TaskHead]) throws {
        var owners: [Int: String] = [:]
        for task in tasks {
            guard let other = owners.updateValue(task.name, forKey: task.source) else { continue }
            throw InputError.sharedImages(task: task.name, other: other)
        }
    }

    private static func validate(_ tasks: [TaskHead]) throws {
        guard !tasks.isEmpty else { throw InputError.noTasks }
        var seen: Set<String> = []
        var numbers: Set<Int> = []
        for (index, task) in tasks.enumerated() {
            guard !task.name.isEmpty else { throw InputError.emptyTaskName(index: index) }
            guard seen.insert(task.name).inserted else { throw InputError.duplicateTask(task.name) }
            let number = task.number ?? index + 1
            guard number >= 1, numbers.insert(number).inserted else {
                throw InputError.badNumber(task: task.name, found: number)
            }
            guard (1...65536).contains(task.channels) else {
                throw InputError.badChannels(task: task.name, found: task.channels)
            }
        }
    }
}

/// Equal numbers stay equal, from 0 as they first appear.
func compacted(_ numbers: [Int]) -> [Int] {
    var names: [Int: Int] = [:]
    return numbers.map { number in
        let name = names[number] ?? names.count
        names[number] = name
        return name
    }
}
