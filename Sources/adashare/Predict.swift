import ArgumentParser
import Datasets
import Foundation
import Models
import Operators
import Training

struct Predict: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Predict every task for images.",
        discussion: """
            Writes <stem>_<task>.png at image size and <stem>_panel.png side by side. With --raw instead:
            <stem>.safetensors, one tensor per task, [channels, h, w] at feature resolution.
            Without --policy: the policy recorded in the checkpoint, else every task uses every block.
            """)

    @OptionGroup var options: ConfigurationOptions
    @Option(help: "Weights, safetensors.") var checkpoint: String
    @Option(help: "Policy: \(PolicySource.expectation).") var policy: PolicySource?
    @Flag(help: "Write the heads' outputs instead of pictures.") var raw = false
    @Option(help: "Folder for the results; created if missing.") var output: String
    @OptionGroup var part: TaskOptions
    @OptionGroup var device: DeviceOptions
    @OptionGroup var profile: ProfileOptions
    @Argument(help: "Images, PNG, 8-bit RGB.") var images: [String]

    func validate() throws {
        if images.isEmpty { throw ValidationError("Name at least one image.") }
        let stems = images.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent }
        if Set(stems).count < stems.count { throw ValidationError("Two images have the same name without extension.") }
    }

    func run(on console: Console) throws {
        var experiment = try Experiment(part.select(options.load()))
        let file = try TensorFile.read(URL(fileURLWithPath: checkpoint))
        let progress = ProgressPrinter(console)
        let context = try device.makeContext(profiling: profile.isOn, progress: progress)
        let recorder = try profile.makeRecorder(context)
        let library = try KernelLibrary(context: context, family: device.kernelFamily)
        if let notice = try experiment.settle(on: library) { progress.report(.notice(notice)) }
        let network = try experiment.makeNetwork(library: library, infersOnly: true)
        try network.load(file)
        let chosen: DiscretePolicy
        if let policy {
            chosen = try experiment.policy(policy)
        } else {
            chosen = try experiment.policy(recordedIn: file)
        }
        let folder = URL(fileURLWithPath: output)
        let pictures = Pictures(experiment: experiment, normals: experiment.normals(recordedIn: file), console: console)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw RunError(path: output, found: "a folder that cannot be made", expected: "a place that can be written")
        }
        try profile.recording(with: recorder, on: console) {
            for path in images {
                try predict(path, network: network, policy: chosen, pictures: pictures, folder: folder)
                try recorder?.collect()
            }
        }
    }

    private func predict(
        _ path: String, network: NetworkRuntime, policy: DiscretePolicy, pictures: Pictures, folder: URL
    ) throws {
        let url = URL(fileURLWithPath: path)
        let image = try PNGImage.read(url, channels: 3)
        var batch = Batch(count: 1, height: image.height, width: image.width, indices: [0])
        batch.image = networkInput(image)
        let predictions = try network.predict(batch, policy: policy)
        let stem = url.deletingPathExtension().lastPathComponent
        if raw {
            try writeRaw(predictions, to: folder.appendingPathComponent("\(stem).safetensors"))
        } else {
            try pictures.write(predictions, of: image, stem: stem, folder: folder)
        }
    }

    private func writeRaw(_ predictions: [String: Prediction], to url: URL) throws {
        var file = TensorFile()
        for (task, prediction) in predictions {
            file.add(
                task, floats: prediction.channelsFirst,
                shape: [prediction.channels, prediction.height, prediction.width])
        }
        try file.write(to: url)
    }
}

/// Draws predictions; says on standard output what lies where, and the range of each map of numbers.
private struct Pictures {
    let experiment: Experiment
    let normals: NormalSpace
    let console: Console

    func write(_ predictions: [String: Prediction], of image: PNGImage, stem: String, folder: URL) throws {
        var pictures = [image]
        var parts = ["image"]
        for task in experiment.configuration.tasks {
            guard let prediction = predictions[task.name] else { continue }
            let picture = PredictionImages.picture(
                prediction, kind: task.kind, normals: normals, height: image.height, width: image.width)
            try picture.write(to: folder.appendingPathComponent("\(stem)_\(task.name).png"))
            pictures.append(picture)
            let low = Double(prediction.values.min() ?? 0)
            let high = Double(prediction.values.max() ?? 0)
            let isMap = [.depth, .keypoints, .edges].contains(task.kind)
            parts.append(task.name + (isMap ? " (dark \(readable(low)), bright \(readable(high)))" : ""))
        }
        try PredictionImages.panel(pictures).write(to: folder.appendingPathComponent("\(stem)_panel.png"))
        try console.print("\(stem)_panel.png, left to right: " + parts.joined(separator: ", "))
    }
}
