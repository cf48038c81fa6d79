import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareFiles
import AdaShareMethods
import AdaShareSupport
import AdaShareTasks
import ArgumentParser
import Foundation

/// What `predict` writes.
enum PredictionFormat: String, CaseIterable, ExpressibleByArgument {
    case pictures, png, npy, safetensors
}

/// Writes predictions, and says on standard output what lies where.
struct PredictionWriter {
    private let tasks: [TaskSettings]
    private let counts: [String: Int]
    private let classes: [String: [String]]
    /// Tasks whose numbers have no unit.
    private let unitless: Set<String>
    private let format: PredictionFormat
    private let upsampling: Upsampling
    private let folder: URL
    private let console: Console

    /// - Parameters:
    ///   - experiment: whose tasks are predicted.
    ///   - tasks: as they were trained.
    ///   - classes: what they are called, by task.
    ///   - format: what is written.
    ///   - upsampling: how outputs come to image size.
    ///   - folder: where results are written.
    ///   - console: told what lies where.
    /// - Throws: `ValidationError` if the format holds nothing of any task.
    init(
        _ experiment: Experiment, tasks: [TaskSettings], classes: [String: [String]], format: PredictionFormat,
        upsampling: Upsampling, folder: URL, console: Console
    ) throws {
        self.tasks = tasks
        counts = Dictionary(uniqueKeysWithValues: experiment.architecture.tasks.map { ($0.name, $0.channels) })
        self.classes = classes
        unitless = Set(
            experiment.sources.filter { $0.reader.reader?.keepsUnits == false }.flatMap { source in
                source.tasks.map { experiment.tasks[$0].name }
            })
        (self.format, self.upsampling, self.folder, self.console) = (format, upsampling, folder, console)
        guard format != .png || tasks.contains(where: { type(of: $0.kind).extent == .pixels }) else {
            throw ValidationError(
                "--output-format png: found tasks of whole images alone, expected pictures, npy or safetensors.")
        }
    }

    /// What is written for an image.
    func files(of stem: String) -> [URL] {
        let names =
            switch format {
            case .pictures: (tasks.map(\.name) + ["panel"]).map { "\(stem)_\($0).png" }
            case .png: tasks.filter { type(of: $0.kind).extent == .pixels }.map { "\(stem)_\($0.name).png" }
            case .npy: tasks.map { "\(stem)_\($0.name).npy" }
            case .safetensors: ["\(stem).safetensors"]
            }
        return names.map { folder.appendingPathComponent($0) }
    }

    /// Writes the predictions for one image: all of its files, or none.
    func write(
        _ predictions: [String: Prediction], of image: Image, at path: String, truth: GroundTruth.Labels?
    ) throws {
        let stem = GivenImages.stem(path)
        let shown = tasks.compactMap { task in
            predictions[task.name].map { prediction in
                PredictionPanel.Task(
                    name: task.name, kind: task.kind, prediction: prediction, label: truth?.labels[task.name],
                    classes: classes[task.name], hasUnit: !unitless.contains(task.name))
            }
        }
        var line = ""
        try AtomicFileSet.write { files in
            func url(_ task: String?, _ suffix: String) throws -> URL {
                try files.staged(folder.appendingPathComponent(stem + (task.map { "_" + $0 } ?? "") + "." + suffix))
            }
            switch format {
            case .pictures:
                let panel = panel(shown, of: image, stem, truth)
                for (index, task) in shown.enumerated() { try panel.picture(index).write(to: url(task.name, "png")) }
                try panel.drawn().write(to: url("panel", "png"))
                let below = truth.map { $0.labels.isEmpty ? "" : "; below them labels and errors" } ?? ""
                line =
                    "\(visible(stem))_panel.png, left to right: "
                    + (["image"] + shown.map(summary)).joined(separator: ", ") + below
            case .png:
                for task in shown where type(of: task.kind).extent == .pixels {
                    try writeStored(task, of: image, to: url(task.name, "png"))
                }
                line = "\(stem): " + shown.map(summary).joined(separator: ", ")
            case .npy:
                for task in shown { try writeArray(task, of: image, to: url(task.name, "npy")) }
                line = "\(stem): " + shown.map(summary).joined(separator: ", ")
            case .safetensors:
                var file = TensorFile()
                for task in shown {
                    let prediction = task.prediction
                    file.add(
                        task.name, floats: prediction.channelsFirst,
                        shape: [prediction.channels, prediction.height, prediction.width])
                }
                try file.write(to: url(nil, "safetensors"))
                line = "\(stem).safetensors: " + shown.map(\.name).joined(separator: ", ")
            }
        }
        try console.print(line)
    }

    /// A task and, of numbers, their range; of whole images the likeliest class.
    private func summary(_ task: PredictionPanel.Task) -> String {
        guard type(of: task.kind).extent == .pixels else {
            return task.best(1).map { "\(task.name) \(task.name(ofClass: $0.index)) (\(percent($0.probability)))" }
                .joined()
        }
        guard task.kind.isMap else { return task.name }
        let finite = task.prediction.values.filter(\.isFinite)
        let (low, high) = (readable(Double(finite.min() ?? 0)), readable(Double(finite.max() ?? 0)))
        let unit = task.hasUnit ? task.kind.unit.map { " " + $0 } ?? "" : ""
        return "\(task.name) (\(low) to \(high)\(unit))"
    }

    private func panel(
        _ shown: [PredictionPanel.Task], of image: Image, _ stem: String, _ truth: GroundTruth.Labels?
    ) -> PredictionPanel {
        let splits = truth.map(\.splits) ?? []
        let title = stem + (splits.isEmpty ? "" : " · " + splits.joined(separator: ", "))
        return PredictionPanel(title: title, image: image, tasks: shown, upsampling: upsampling)
    }

    private func writeStored(_ task: PredictionPanel.Task, of image: Image, to url: URL) throws {
        let (width, height) = (image.width, image.height)
        let count = counts[task.name] ?? 0
        switch task.kind.stored(task.prediction.upsampled(height: height, width: width, by: upsampling)) {
        case .classes(let values) where count <= 256:
            let palette = (0..<count).flatMap { index -> [UInt8] in
                let colour = ColourMap.classColour(index)
                return [colour.0, colour.1, colour.2]
            }
            try Image.write(
                indices: values.map { UInt8($0) }, palette: palette, width: width, height: height, to: url)
        case .classes(let values), .words(let values):
            try Image.write(words: values, width: width, height: height, to: url)
        case .colours(let pixels):
            try Image(width: width, height: height, channels: 3, pixels: pixels).write(to: url)
        case .bytes(let pixels):
            try Image(width: width, height: height, channels: 1, pixels: pixels).write(to: url)
        }
    }

    private func writeArray(_ task: PredictionPanel.Task, of image: Image, to url: URL) throws {
        guard type(of: task.kind).extent == .pixels else {
            let scores = Array(task.prediction.values.prefix(task.prediction.channels))
            return try NPYArray(shape: [scores.count], values: scores).write(to: url)
        }
        let shape = [image.height, image.width]
        let prediction = task.prediction.upsampled(height: image.height, width: image.width, by: upsampling)
        guard task.kind.label.element == .numbers else {
            return try NPYArray.write(
                task.kind.classes(of: prediction).map { UInt16($0) }, below: counts[task.name] ?? 0, shape: shape,
                to: url)
        }
        try NPYArray(
            shape: shape + (prediction.channels == 1 ? [] : [prediction.channels]),
            values: task.kind.numbers(prediction)
        ).write(to: url)
    }
}
