import AdaShareConfiguration
import AdaShareExperiments
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareTuning

extension OperatorCase {
    /// Sizes the cases come at.
    private static let shapes = [
        BatchShape(count: 8, height: 224, width: 224), BatchShape(count: 4, height: 321, width: 321),
    ]

    /// The distinct cases of resnet18, 34 and 50 with three tasks and full heads, and how often the first size's
    /// hard-sharing step of resnet34 runs each.
    ///
    /// - Throws: `InputError` if a published name does not parse, which would be a mistake here.
    static func all() throws -> [(OperatorCase, countInStep: Int)] {
        var order: [OperatorCase] = []
        var counts: [OperatorCase: Int] = [:]
        for shape in shapes {
            for backbone in ["resnet34", "resnet18", "resnet50"] {
                let experiment = try Experiment(
                    .published(PublishedPolicies.nyu3, overrides: ["model.backbone=\(backbone)"]))
                let isStep = shape == shapes[0] && backbone == "resnet34"
                for node in experiment.graph(.hardSharing, shape).nodes {
                    guard let found = OperatorCase(node) else { continue }
                    if counts[found] == nil {
                        order.append(found)
                        counts[found] = 0
                    }
                    if isStep { counts[found, default: 0] += 1 }
                }
            }
        }
        return order.map { ($0, counts[$0] ?? 0) }
    }
}
