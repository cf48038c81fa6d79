import AdaShareExperiments
import AdaShareSupport

/// The paths that images took through a network that decides on each, and what they cost.
public struct ImagePaths: Codable, Sendable, Equatable {
    /// How many different ones.
    public var different: Int
    /// Share of the decisions that select, mean over images.
    public var selected: Double
    /// Multiply-accumulates below the heads at the size of a training crop, those of deciding included, mean over
    /// images.
    public var macs: Int
    /// The same as a share of hard sharing's.
    public var share: Double

    /// - Parameters:
    ///   - images: how many took each path, by row and block.
    ///   - experiment: whose network it is.
    /// - Returns: nil without an image, or where no path is any image's own.
    init?(_ images: [[[Bool]]: Int], _ experiment: Experiment) {
        guard let routing = experiment.method.routing, !images.isEmpty else { return nil }
        let model = experiment.trainingCost
        let count = Double(images.values.reduce(0, +))
        // In one order: a sum of shares depends on it.
        let paths = images.sorted { $0.key.description < $1.key.description }
        func mean(_ value: ([[Bool]]) -> Double) -> Double {
            paths.reduce(0) { $0 + Double($1.value) * value($1.key) } / count
        }
        different = images.count
        selected = mean { path in
            let decisions = path.flatMap { $0 }
            return Double(decisions.count { $0 }) / Double(decisions.count)
        }
        let mean = mean { Double(routing.macs($0, model)) }
        macs = Int(mean.rounded())
        share = mean / Double(model.parts.hardSharing(.shared))
    }

    /// A line for people.
    public var text: String {
        "images took \(different) different \(different == 1 ? "path" : "paths"), with \(percent(selected)) of the "
            + "decisions selecting and \(percent(share)) of hard sharing's multiply-accumulates"
    }

    /// For the log.
    var json: JSONValue {
        .object([
            "different": .integer(different), "selected": .number(selected), "macs": .integer(macs),
            "share": .number(share),
        ])
    }
}
