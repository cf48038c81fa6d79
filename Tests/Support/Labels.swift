import AdaShareDatasets
import AdaShareTasks

extension LabelRequest {
    /// The labels that tasks of these kinds read where they name none.
    ///
    /// - Precondition: the names are kinds of this package.
    public static func standard(_ names: some Sequence<String>, classes: Int = 40) -> [LabelRequest] {
        names.sorted().map { name in
            guard let kind = TaskKinds.standard[name] else { preconditionFailure("no kind \(name)") }
            let format = TaskConfiguration(name: name, kind: kind, channels: kind.channels ?? classes).made.label
            return LabelRequest(name: name, format: format, classes: format.element == .classes ? classes : nil)
        }
    }
}

extension Sample {
    /// A sample with labels of the usual names; those that are not given it lacks.
    public init(
        name: String, height: Int, width: Int, image: [UInt8], segmentation: [UInt8]?, normals: [UInt8]? = nil,
        depth: [Float]? = nil, keypoints: [Float]? = nil, edges: [Float]? = nil
    ) {
        self.init(name: name, height: height, width: width, image: image)
        self.segmentation = segmentation
        self.normals = normals
        self.depth = depth
        self.keypoints = keypoints
        self.edges = edges
    }

    public var segmentation: [UInt8]? {
        get { bytes("segmentation") }
        set { labels["segmentation"] = newValue.map { LabelMap(.bytes($0), absent: 255) } }
    }
    public var normals: [UInt8]? {
        get { bytes("normals") }
        set { labels["normals"] = newValue.map { LabelMap(.bytes($0), channels: 3) } }
    }
    public var depth: [Float]? {
        get { numbers("depth") }
        set { labels["depth"] = newValue.map { LabelMap(.numbers($0)) } }
    }
    public var keypoints: [Float]? {
        get { numbers("keypoints") }
        set { labels["keypoints"] = newValue.map { LabelMap(.numbers($0)) } }
    }
    public var edges: [Float]? {
        get { numbers("edges") }
        set { labels["edges"] = newValue.map { LabelMap(.numbers($0)) } }
    }

    private func bytes(_ label: String) -> [UInt8]? {
        if case .bytes(let values)? = labels[label]?.values { values } else { nil }
    }
    private func numbers(_ label: String) -> [Float]? {
        if case .numbers(let values)? = labels[label]?.values { values } else { nil }
    }
}

extension Batch {
    /// Values of labels of the usual names; empty where the batch has no such label. What is set, every image carries.
    public var segmentation: [Int32] {
        get { labels["segmentation"]?.classes ?? [] }
        set { labels["segmentation"] = label("segmentation", classes: newValue) }
    }
    public var normals: [Float] {
        get { labels["normals"]?.numbers ?? [] }
        set { labels["normals"] = label("normals", numbers: newValue) }
    }
    public var depth: [Float] {
        get { labels["depth"]?.numbers ?? [] }
        set { labels["depth"] = label("depth", numbers: newValue) }
    }
    public var keypoints: [Float] { labels["keypoints"]?.numbers ?? [] }
    public var edges: [Float] { labels["edges"]?.numbers ?? [] }

    private func label(_ name: String, classes: [Int32] = [], numbers: [Float] = []) -> BatchLabels {
        BatchLabels(
            format: LabelRequest.standard([name])[0].format, images: count, classes: classes, numbers: numbers)
    }
}
