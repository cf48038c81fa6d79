import ArgumentParser
import Datasets
import Foundation

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Make data sets.", subcommands: [Synthesize.self])

    struct Synthesize: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write generated room scenes in the format of NYU v2.",
            discussion: "Images, classes, normals, depth and edges are a pure function of seed and index.")

        @Option(help: "Folder, new or empty.") var output: String
        @Option(help: "Number of scenes.") var count: Int
        @Option(help: "Image size, HxW.") var size: Size
        @Option(help: "Seed of the generator.") var seed: UInt64 = 1

        func validate() throws {
            if count < 1 { throw ValidationError("--count must be at least 1.") }
        }

        func run() throws {
            let dataset = try ScenesDataset(count: count, height: size.height, width: size.width, seed: seed)
            try writeNYUFormat(dataset, to: URL(fileURLWithPath: output))
            print("wrote \(count) scenes of \(size.height)x\(size.width) to \(output)")
        }
    }
}
