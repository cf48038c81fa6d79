import AdaShareFiles
import AdaShareSupport
import Foundation

@testable import AdaShareDatasets

extension Target {
    /// Lists and tables of data sets.
    static let datasets: [String: Target] = [
        "splits": Target { bytes in
            let file = try SplitFile(
                Scratch.file("nyu_v2_3task.json", bytes), root: Scratch.folder, row: "[img, seg, normal, depth]",
                columns: ["segmentation": 1, "normals": 2, "depth": 3], wanted: ["test"])
            _ = try DatasetSplits(named: file.named, source: "f", seed: 1, validation: 0.1)
        },
        "lists": Target { bytes in
            // DomainNet's two files, the bytes up to a zero the first.
            let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map { Data($0) }
            _ = Scratch.file("train.txt", parts[0])
            _ = Scratch.file("test.txt", Data("clipart/a.png 0\n".utf8))
            let splits = Scratch.file("DomainNet.json", parts.count > 1 ? parts[1] : Data())
            if parts.count == 1 { try? FileManager.default.removeItem(at: splits) }
            _ = try DomainNetLists(root: Scratch.folder, domain: "clipart")
        },
        "table": Target { bytes in
            var label = FolderLabel()
            label.name = "age"
            let images = ["a": "img/a.png", "b": "img/b.png", "c": "img/c.png"]
            let url = Scratch.file("t.csv", bytes)
            _ = try? ImageLabels.values(of: label, in: url, images: images, isClass: true)
            _ = try ImageLabels.values(of: label, in: url, images: images, isClass: false)
        },
        // libhdf5 takes what the tables of a file claim.
        "nyu-mat": Target(spare: 1 << 30) { bytes in
            let url = Scratch.file("nyu_depth_v2_labeled.mat", bytes)
            _ = Scratch.file("train.txt", Data("1\n".utf8))
            let dataset = try NYUv2MatDataset(
                root: url.deletingLastPathComponent(),
                DatasetRequest(labels: [], validation: 0))
            _ = try dataset.sample(0)
        },
    ]
}
