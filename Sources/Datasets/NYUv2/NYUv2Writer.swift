import AdaShareFiles
import AdaShareSupport
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
/// - Throws: `InputError` if labels are missing, the folder is not empty or a file cannot be written.
public func writeNYUFormat(_ dataset: any Dataset, to root: URL, progress: ((Int) -> Void)? = nil) throws {
    if let missing = ["segmentation", "normals", "depth"].first(where: { !dataset.labels.contains($0) }) {
        throw InputError(
            file: dataset.name, found: "no \(missing) labels", expected: "those, which the NYU v2 format needs")
    }
    if let existing = try? FileManager.default.contentsOfDirectory(atPath: root.path), !existing.isEmpty {
        throw InputError(file: root.path, found: "a folder that is not empty", expected: "a new or an empty one")
    }
    let folders = ["img"] + NYUv2Index.folders.filter { dataset.labels.contains($0.key) }.map(\.value.folder)
    for folder in folders {
        try AtomicFile.makeFolder(root.appendingPathComponent(folder), in: root)
    }
    var rows: [[String?]] = []
    for index in 0..<dataset.count {
        rows.append(try write(dataset.sample(index), to: root))
        progress?(index + 1)
    }
    let splits = dataset.splits.all.filter { !$0.indices.isEmpty }
    let lists = Dictionary(uniqueKeysWithValues: splits.map { split in (split.name, split.indices.map { rows[$0] }) })
    try AtomicFile.write(Data(JSONText.pretty(lists).utf8), to: root.appendingPathComponent(NYUv2Index.splitFile))
}

/// Writes one sample's files and returns its row of the split file.
private func write(_ sample: Sample, to root: URL) throws -> [String?] {
    func image(_ folder: String, _ channels: Int, _ pixels: [UInt8]) throws -> String {
        let path = "\(folder)/\(sample.name).png"
        try Image(width: sample.width, height: sample.height, channels: channels, pixels: pixels)
            .write(to: root.appendingPathComponent(path))
        return path
    }
    func bytes(_ label: String) -> [UInt8]? {
        if case .bytes(let values)? = sample.labels[label]?.values { values } else { nil }
    }
    func numbers(_ label: String) -> [Float]? {
        if case .numbers(let values)? = sample.labels[label]?.values { values } else { nil }
    }
    let depthPath = try numbers("depth").map { depth in
        let path = "depth/\(sample.name).npy"
        try NPYArray(shape: [sample.height, sample.width], values: depth).write(to: root.appendingPathComponent(path))
        return path
    }
    if let edges = numbers("edges") { _ = try image("edges", 1, edges.map(EdgeCode.code)) }
    return [
        try image("img", 3, sample.image), try bytes("segmentation").map { try image("seg", 1, $0) },
        try bytes("normals").map { try image("normal_mask", 3, $0) }, depthPath,
    ]
}
