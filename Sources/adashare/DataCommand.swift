import AdaShareDatasets
import AdaShareSupport
import ArgumentParser
import Foundation

extension SceneClasses: ExpressibleByArgument {}

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Check, look at and make data sets.",
        subcommands: [DataCheck.self, DataPreview.self, Synthesize.self])

    struct Synthesize: ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write generated room scenes in the format of NYU v2.",
            discussion: "Images, classes, normals, depth and edges are a pure function of seed and index.")

        @Option(help: "Folder, new or empty.", completion: .file()) var output: String
        @Option(help: "Number of scenes, 1 to 1000000.") var count: Int
        @Option(help: "Image size, HxW, each 8 to 4096.") var size: Size
        @Option(help: "Seed of the generator.") var seed: UInt64 = 1
        @Option(help: "What the classes tell apart: shape or pattern.") var classes: SceneClasses = .shape

        func validate() throws {
            guard (1...1_000_000).contains(count) else {
                throw ValidationError("--count: found \(count), expected from 1 to 1000000.")
            }
        }

        func run(on console: Console) throws {
            let dataset = try ScenesDataset(
                count: count, height: size.height, width: size.width, seed: seed, classes: classes)
            try writeNYUFormat(dataset, to: URL(fileURLWithPath: output))
            try console.print(
                "wrote \(count) scenes of \(dimensions(height: size.height, width: size.width)) to \(output)")
        }
    }
}
