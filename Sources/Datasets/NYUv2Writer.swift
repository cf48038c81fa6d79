import Foundation

/// Writes a data set in the authors' NYU v2 format, splits included, so that ``NYUv2Dataset`` reads identical samples.
///
/// Files are named after the samples; sample names must sort in index order for the indices to stay the same. The split
/// file comes last, so a data set without one is an unfinished one. Edge strengths are stored with 8 bits.
///
/// - Parameters:
///   - dataset: must carry segmentation, normals and depth; edges are written when present.
///   - root: a folder that is empty or does not exist.
///   - progress: called with the number of samples written.
/// - Throws: `DatasetError` if labels are missing, the folder is not empty or a file cannot be written.
public func writeNYUFormat(_ dataset: any DenseDataset, to root: URL, progress: ((Int) -> Void)? = nil) throws {
    let required: [LabelKind] = [.segmentation, .normals, .depth]
    if let missing = required.first(where: { !dataset.labels.contains($0) }) {
        throw DatasetError(
            "\(dataset.name): the data set has no \(missing.rawValue) labels, which the NYU v2 format needs")
    }
    if let existing = try? FileManager.default.contentsOfDirectory(atPath: root.path), !existing.isEmpty {
        throw DatasetError("\(root.path): the folder is not empty, expected a new or an empty one")
    }
    let folders = ["img"] + NYUv2Index.folders.filter { dataset.labels.contains($0.key) }.map(\.value.folder)
    for folder in folders { try makeFolder(root.appendingPathComponent(folder)) }
    var rows: [[String]] = []
    for index in 0..<dataset.count {
        rows.append(try write(dataset.sample(index), to: root))
        progress?(index + 1)
    }
    let splits = dataset.splits
    let lists = [
        "train": splits.train, "train1": splits.train1, "train2": splits.train2, "validation": splits.validation,
        "test": splits.test,
    ].filter { !$0.value.isEmpty }.mapValues { indices in indices.map { rows[$0] } }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
        try writeFile(encoder.encode(lists), to: root.appendingPathComponent(NYUv2Index.splitFile))
    } catch let error as EncodingError {
        throw DatasetError("\(root.path)/\(NYUv2Index.splitFile): the splits cannot be encoded: \(error)")
    }
}

/// Writes one sample's files and returns its row of the split file.
private func write(_ sample: DenseSample, to root: URL) throws -> [String] {
    func image(_ folder: String, _ channels: Int, _ pixels: [UInt8]) throws -> String {
        let path = "\(folder)/\(sample.name).png"
        try PNGImage(width: sample.width, height: sample.height, channels: channels, pixels: pixels)
            .write(to: root.appendingPathComponent(path))
        return path
    }
    guard let segmentation = sample.segmentation, let normals = sample.normals, let depth = sample.depth else {
        throw DatasetError(
            "\(sample.name): the sample lacks segmentation, normals or depth, which the NYU v2 format needs")
    }
    let depthPath = "depth/\(sample.name).npy"
    try NPYArray(shape: [sample.height, sample.width], values: depth).write(to: root.appendingPathComponent(depthPath))
    if let edges = sample.edges { _ = try image("edges", 1, edges.map(EdgeCode.code)) }
    return [
        try image("img", 3, sample.image), try image("seg", 1, segmentation), try image("normal_mask", 3, normals),
        depthPath,
    ]
}
