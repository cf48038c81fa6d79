import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareFiles
import AdaShareMethods
import AdaShareSupport
import AdaShareTasks
import ArgumentParser
import Foundation

struct DataPreview: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "preview", abstract: "Draw images with their labels as training gets them.",
        discussion: """
            A row for each image, augmented: the image, then the label of each task, drawn as `predict` draws \
            predictions; what has no label is grey. Splits that are scored, validation and test, are shown as they are \
            scored: whole, not augmented. Of split train these are the first images of training.
            """)

    /// More are not looked at.
    private static let mostRows = 12

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var part: TaskOptions
    @Option(help: "Picture to write, PNG.", completion: .file()) var output: String
    @Option(help: "Images, 1 to \(Self.mostRows), of all data sets together.") var count = 6
    @Option(help: "Split: \(DatasetSplits.names.joined(separator: ", ")).") var split = "train"
    @Option(help: "What images and augmentation are drawn by. Default: training.seed.") var seed: UInt64?

    func validate() throws {
        guard (1...Self.mostRows).contains(count) else {
            throw ValidationError("--count: found \(count), expected from 1 to \(Self.mostRows).")
        }
        guard output.lowercased().hasSuffix(".png") else {
            throw ValidationError("--output: found \(output), expected a name that ends in .png.")
        }
    }

    func run(on console: Console) throws {
        let experiment = try Experiment(part.select(options.load(on: console)))
        var inputs = InputFiles([options.config])
        inputs.add(experiment.configuration)
        try inputs.check([output])
        try checkWritable(output, "the picture")
        let perSource = max(1, count / experiment.sources.count)
        var rows: [[Image]] = []
        var lines: [String] = []
        for (index, source) in experiment.sources.enumerated() {
            let dataset = try experiment.open(source)
            let tasks = source.tasks.map { experiment.tasks[$0] }
            var names: [String] = []
            for batch in try batches(dataset, perSource, source: index, of: experiment) {
                for image in 0..<batch.count {
                    rows.append(
                        [Pictures.image(image, of: batch)]
                            + tasks.map { Pictures.label($0.label, of: $0.kind, image: image, in: batch) })
                    let classes = tasks.filter { type(of: $0.kind).extent == .image }.compactMap {
                        batch.imageLabel($0.label, image: image)?.classes.first.map { "\($0)" }
                    }
                    names.append(batch.names[image] + (classes.isEmpty ? "" : " (\(classes.joined(separator: ", ")))"))
                }
            }
            let columns = tasks.map { $0.name + ($0.kind.isMap ? " (dark: its least, bright: its greatest)" : "") }
            lines.append(
                "\(dataset.name), left to right: " + (["image"] + columns).joined(separator: ", ")
                    + "; grey: no label\nrows: " + names.joined(separator: ", "))
        }
        try Pictures.sheet(Pictures.readable(rows), gap: 6, margin: 6).write(to: URL(fileURLWithPath: output))
        try console.print("wrote \(output)\n" + lines.joined(separator: "\n"))
    }

    /// The images of a data set, in one batch where they are augmented, else each in its own.
    private func batches(
        _ dataset: any Dataset, _ wanted: Int, source index: Int, of experiment: Experiment
    ) throws -> [Batch] {
        let indices = try dataset.splits[split]
        let configuration = experiment.configuration
        let seed = seed ?? UInt64(configuration.training.seed)
        let labels = experiment.sources[index].labels
        let first = experiment.method.phases(experiment.methodSettings).first?.phase.rawValue ?? ""
        let phase = experiment.loaderName(first, source: index)
        let count = min(wanted, indices.count)
        guard TrainingSplit(rawValue: split) != nil else {
            let order = BatchLoader.permutation(count: indices.count, seed: seed, phase: phase, pass: 0)
            return try order.prefix(count).map { try Batch(whole: indices[$0], of: dataset, labels: labels) }
        }
        let data = configuration.dataset
        let loader = try BatchLoader(
            dataset: dataset, indices: indices, batch: count, crop: (data.crop.height, data.crop.width),
            augmentation: data.augmentation, shuffle: data.shuffle, labels: labels, seed: seed, phase: phase,
            onError: data.onError, startStep: 0, prefetch: 1, threads: 1)
        return [try loader.next()]
    }
}
