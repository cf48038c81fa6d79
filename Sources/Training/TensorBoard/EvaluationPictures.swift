import AdaShareDatasets
import AdaShareExperiments
import AdaShareFiles
import AdaShareMethods
import AdaShareModels
import AdaShareSupport
import AdaShareTasks

/// Pictures of an evaluation: of a few images what is predicted beside the labels, and the policy.
struct EvaluationPictures {
    /// nil where there is none to learn.
    let policy: DiscretePolicy?
    private let experiment: Experiment
    private var rows: [String: [[Image]]] = [:]

    /// Images of each data set.
    private static let images = 3
    /// The larger side of a picture is no larger.
    private static let side = 256

    /// - Parameters:
    ///   - experiment: what is scored.
    ///   - policy: under which; nil where it says nothing.
    init(_ experiment: Experiment, policy: DiscretePolicy?) {
        self.experiment = experiment
        self.policy = policy
    }

    /// Takes an image that has been scored.
    ///
    /// - Parameters:
    ///   - batch: the image, with its labels.
    ///   - tasks: that learn from it, as indices.
    ///   - predictions: by task.
    mutating func add(_ batch: Batch, _ tasks: [Int], _ predictions: [String: Prediction]) {
        let wanted = tasks.map { experiment.tasks[$0] }.filter { rows[$0.name]?.count ?? 0 < Self.images }
        guard !wanted.isEmpty else { return }
        let image = Pictures.image(0, of: batch)
        for task in wanted {
            guard let prediction = predictions[task.name] else { continue }
            let row = [
                image,
                Pictures.picture(prediction, of: task.kind, height: batch.height, width: batch.width),
                Pictures.label(task.label, of: task.kind, image: 0, in: batch),
            ]
            rows[task.name, default: []] += Pictures.readable([row], most: Self.side)
        }
    }

    /// A sheet for each task: a row for each image.
    var sheets: [(task: String, sheet: Image)] {
        experiment.tasks.compactMap { task in rows[task.name].map { (task.name, Pictures.sheet($0)) } }
    }
}

extension RunDirectory {
    /// Keeps the sheets of an evaluation.
    ///
    /// - Throws: `InputError` if one cannot be written.
    func write(_ sheets: [(task: String, sheet: Image)], of experiment: Experiment) throws {
        guard !sheets.isEmpty else { return }
        try AtomicFile.makeFolder(pictures, in: url)
        for (task, sheet) in sheets {
            guard let index = experiment.tasks.firstIndex(where: { $0.name == task }) else { continue }
            try sheet.write(to: picture(ofTask: index + 1))
        }
    }
}

/// A policy as a picture.
enum PolicyPicture {
    /// Pixels of a cell and between two.
    private static let (cell, gap) = (8, 1)

    /// What 0 and 1 are drawn in.
    private static let (least, most): ([Double], [Double]) = ([235, 235, 235], [8, 64, 129])

    /// Numbers from 0, light, to 1, dark: rows from the top, columns from the left.
    static func image(_ rows: [[Double]]) -> Image {
        let cells = rows.map { row in
            row.map { value -> Image in
                let share = min(1, max(0, value))
                let colour = zip(least, most).map { UInt8(($0 + share * ($1 - $0)).rounded()) }
                let pixels = (0..<cell * cell).flatMap { _ in colour }
                return Image(width: cell, height: cell, channels: 3, pixels: pixels)
            }
        }
        return Pictures.sheet(cells, gap: gap)
    }
}
