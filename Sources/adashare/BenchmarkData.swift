import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareSupport
import ArgumentParser
import Foundation

extension Benchmark {
    struct Pipeline: ConsoleCommand {
        static let configuration = CommandConfiguration(
            commandName: "data", abstract: "Time reading, decoding and augmenting a configuration's training images.",
            discussion: """
                Images per second that threads of the host make ready for training, without training beside them, and \
                what one image takes on one thread, by part. Nothing is kept from one pass to the next, as where a \
                data set is larger than memory; what the system keeps of files, it keeps. Splits with fewer images \
                than a batch are repeated.
                """)

        /// More are more than any machine has cores.
        private static let mostThreads = 256

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var part: TaskOptions
        @Option(help: "Numbers of threads, comma-separated, each 1 to 256. Default: 1 and as many as training has.")
        var threads: ThreadList?
        @Option(help: "Images for each number of threads at least, 1 to 1000000.") var images = 256
        @Option(help: ArgumentHelp("Write the rows as JSON.", valueName: "file"), completion: .file()) var json: String?

        struct ThreadList: ExpressibleByArgument {
            let counts: [Int]
            init?(argument: String) {
                let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
                counts = parts.compactMap { $0 }.filter((1...Pipeline.mostThreads).contains)
                guard counts.count == parts.count else { return nil }
            }
        }

        func validate() throws {
            guard (1...1_000_000).contains(images) else {
                throw ValidationError("--images: found \(images), expected from 1 to 1000000.")
            }
        }

        func run(on console: Console) throws {
            let experiment = try Experiment(part.select(options.load(on: console)))
            var inputs = InputFiles([options.config])
            inputs.add(experiment.configuration)
            try inputs.check([json].compactMap { $0 })
            if let json { try checkWritable(json, "the rows") }
            let configuration = experiment.configuration
            let counts = threads?.counts ?? Set([1, experiment.loaderThreads]).sorted()
            var answer: [Row] = []
            for (index, source) in experiment.sources.enumerated() {
                let dataset = try experiment.open(source)
                let split = dataset.splits.train
                guard !split.isEmpty else {
                    throw InputError(file: dataset.name, found: "an empty split train", expected: "an image")
                }
                let repeated = (0..<max(configuration.training.batch, split.count)).map { split[$0 % split.count] }
                let loader = try experiment.loader(
                    dataset, split: repeated, phase: experiment.loaderName("benchmark", source: index), startStep: 0,
                    source: index)
                answer.append(
                    Row(dataset: dataset.name, images: images, times: try loader.times(images: images, threads: counts))
                )
            }
            if let json {
                try AtomicFile.write(Data((try JSONText.pretty(answer) + "\n").utf8), to: URL(fileURLWithPath: json))
            }
            let crop = configuration.dataset.crop
            for row in answer {
                var table = Table(["threads", "images/s", "ms/image"])
                for times in row.times.rows {
                    table.add([
                        "\(times.threads)", readable(times.imagesPerSecond), readable(1000 / times.imagesPerSecond),
                    ])
                }
                let parts = row.times.parts
                try console.print(
                    "\(row.dataset), crops of \(dimensions(height: crop.height, width: crop.width)), "
                        + "batches of \(configuration.training.batch)"
                        + "\n\n\(table.text)\n\none image on one thread: decoding \(readable(parts.decodeMs)) ms, "
                        + "augmenting \(readable(parts.imageMs)) ms, its labels \(readable(parts.labelsMs)) ms")
            }
        }

        private struct Row: Encodable {
            let dataset: String
            let images: Int
            let times: PipelineTimes
        }
    }
}
