import AdaShareDatasets
import AdaShareFiles
import Foundation
import TestSupport
import Testing

extension CommandLineTests {
    /// Data sets that cannot be opened: `data check` says so, and training before it has begun.
    @Suite(.needsDevice) struct BadSourcesTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        struct Source: Sendable, CustomTestStringConvertible {
            let testDescription: String
            var changes: [String] = []
            let parts: [String]
            /// Spoils what lies in `data`, a sound data set of eight scenes in the authors' format.
            let spoil: @Sendable (TemporaryFolder) throws -> Void
        }

        private static func link(_ place: URL, to target: String) throws {
            try FileManager.default.createSymbolicLink(atPath: place.path, withDestinationPath: target)
        }

        private static func remove(_ place: URL) throws { try FileManager.default.removeItem(at: place) }

        private static let folders = [
            "dataset.kind=folders", "dataset.images=img", "tasks=[{name: parts, kind: segmentation, channels: 6}]",
            "dataset.labels=[{name: segmentation, path: seg}]",
        ]
        private static let distributed = ["dataset.kind=nyu_v2_mat", "tasks=[{name: depth, kind: depth}]"]

        static let sources = [
            Source(testDescription: "a root that is a file", parts: ["/data: found no such folder"]) {
                try remove($0.file("data"))
                try $0.write("no folder", "data")
            },
            Source(testDescription: "a root that is a link to nothing", parts: ["/data: found no such folder"]) {
                try remove($0.file("data"))
                try link($0.file("data"), to: "gone")
            },
            Source(
                testDescription: "a root that is a link to itself", changes: folders,
                parts: ["/data/img: found no such folder"]
            ) {
                try remove($0.file("data"))
                try link($0.file("data"), to: "data")
            },
            Source(testDescription: "a file in place of a folder", parts: ["/data/img: found no readable folder"]) {
                try remove($0.file("data/nyu_v2_3task.json"))
                try remove($0.file("data/img"))
                try $0.write("no folder", "data/img")
            },
            Source(
                testDescription: "a link to a folder above", changes: folders,
                parts: ["folders within each other", "no link to a folder above"]
            ) { try link($0.file("data/img/again"), to: "..") },
            Source(
                testDescription: "an image that is a link to nothing",
                parts: ["nyu_v2_3task.json", "'img/000003.png'", "a file below"]
            ) {
                try remove($0.file("data/img/000003.png"))
                try link($0.file("data/img/000003.png"), to: "gone.png")
            },
            Source(
                testDescription: "a list that is no JSON", parts: ["nyu_v2_3task.json", "a JSON object of split name"]
            ) {
                try $0.write("{\"train\": [", "data/nyu_v2_3task.json")
            },
            Source(
                testDescription: "an archive that is none", changes: distributed,
                parts: ["nyu_depth_v2_labeled.mat", "libhdf5 cannot read", "an HDF5 file"]
            ) { try $0.write("<html>not found</html>", "data/nyu_depth_v2_labeled.mat") },
            Source(
                testDescription: "an archive without the file", changes: distributed,
                parts: ["/data: found no nyu_depth_v2_labeled.mat", "splits.mat"]
            ) { _ in },
            Source(
                testDescription: "a data set of another layout",
                changes: ["dataset.kind=cityscapes", "tasks=[{name: depth, kind: depth}]"],
                parts: ["neither cityscape.json nor a folder leftImg8bit"]
            ) { _ in },
        ]

        private func configure() throws -> String {
            try TinyRooms.write(to: folder.file("data"))
            return try folder.write(Tiny.folder(folder.file("data").path), "c.yml").path
        }

        @Test(arguments: sources) func sourceIsNamed(_ source: Source) throws {
            let config = try configure()
            try source.spoil(folder)
            let arguments = ["--config", config] + source.changes.flatMap { ["--set", $0] }
            Command.run(["train", "--output", folder.file("run").path] + arguments).expectFailure(source.parts)
            #expect(!FileManager.default.fileExists(atPath: folder.file("run").path))
            let check = Command.run(["data", "check"] + arguments)
            #expect(check.status == 1)
            for part in source.parts { #expect(check.output.contains(part), "\(check.output)\(check.errors)") }
            #expect(check.output.contains("1 error, 0 warnings"), "\(check.output)")
        }

        @Test func allMissingFilesAreListed() throws {
            let config = try configure()
            let gone = ["img/000001.png", "seg/000004.png", "depth/000004.npy", "normal_mask/000006.png"]
            for path in gone { try FileManager.default.removeItem(at: folder.file("data/\(path)")) }
            Command.run(["train", "--config", config, "--output", folder.file("run").path])
                .expectFailure(gone.map { "'\($0)'" })
            let check = Command.run(["data", "check", "--config", config])
            let lines = check.output.split(separator: "\n").filter { $0.hasPrefix("error: ") }
            #expect(check.status == 1 && lines.count == 4, "\(check.output)")
            for path in gone { #expect(lines.contains { $0.contains("found '\(path)', expected a file below") }) }
        }

        /// 0 for none, and 40 classes from 1.
        @Test func rawLabelsOfNYUAreNamed() throws {
            let config = try configure()
            for index in 0..<8 {
                let pixels = (0..<1024).map { UInt8(($0 + index) % 41) }
                try Image(width: 32, height: 32, channels: 1, pixels: pixels)
                    .write(to: folder.file("data/seg/00000\(index).png"))
            }
            let arguments = ["--config", config, "--set", "tasks.0.channels=40"]
            let parts = ["seg/00000", "label 40", "0...39", "classes count from 0", "dataset.kind folders"]
            Command.run(["train", "--output", folder.file("run").path] + arguments).expectFailure(parts)
            let check = Command.run(["data", "check"] + arguments)
            #expect(check.status == 1 && check.output.contains("8 errors"), "\(check.output)")
            for part in parts { #expect(check.output.contains(part)) }
            // What the message says to do.
            let values = (1...40).map(String.init).joined(separator: ", ")
            let folders = [
                "dataset.kind=folders", "dataset.images=img",
                "tasks=[{name: parts, kind: segmentation, channels: 40}]",
                "dataset.labels=[{name: segmentation, path: seg, values: [\(values)]}]",
            ]
            let read = Command.run(["data", "check", "--config", config] + folders.flatMap { ["--set", $0] })
            #expect(read.status == 0, "\(read.output)")
        }
    }
}
