import AdaShareDatasets
import AdaShareTasks
import Foundation
import Testing

/// Metrics of every kind against whole arrays in NumPy (`tools/golden/golden_metrics.py`): images of several sizes,
/// predictions smaller and larger than labels, one image without any label.
@Suite struct GoldenMetricsTests {
    /// A case of `Tests/Golden/metrics.json`.
    enum Case: String, CaseIterable, Sendable {
        case segmentation
        case segmentationNegative = "segmentation_negative"
        case segmentationEmpty = "segmentation_empty"
        case normalsExact = "normals_exact"
        case normalsPublished = "normals_published"
        case depth
        case depthNegative = "depth_negative"
        case keypoints
        case classification
    }

    private static let formula = GoldenFormula(salt: "metrics")
    /// Of each image the label's size and the prediction's.
    private static let sizes = [((17, 23), (3, 5)), ((8, 8), (8, 8)), ((9, 5), (1, 1)), ((6, 7), (12, 14))]
    private static let empty = 1
    private static let classes = 7
    /// Never in a label, though predicted.
    private static let absent = 3

    private static func golden() throws -> [String: [String: [String: Double?]]] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let data = try Data(contentsOf: tests.appendingPathComponent("Golden/metrics.json"))
        return try JSONDecoder().decode([String: [String: [String: Double?]]].self, from: data)
    }

    @Test(arguments: Case.allCases) func agreeWithNumPy(a: Case) throws {
        let expected = try #require(try Self.golden()[a.rawValue])
        let results = Self.results(a, shifted: false)
        for convention in [MetricConvention.exact, .published] {
            let golden = try #require(expected[convention.rawValue])
            let found = try #require(results[convention])
            #expect(Set(found.map(\.name)) == Set(golden.keys))
            for metric in found {
                guard let number = golden[metric.name] ?? nil else {
                    #expect(metric.value.isNaN, "\(convention) \(metric.name) is \(metric.value)")
                    continue
                }
                #expect(
                    abs(metric.value - number) <= 1e-6 * max(1, abs(number)),
                    "\(convention) \(metric.name) is \(metric.value), NumPy's \(number)")
            }
        }
    }

    /// Negative control: labels of another place, and no metric of any kind agrees by chance alone.
    @Test(arguments: Case.allCases.filter { $0 != .segmentationEmpty }) func otherLabelsDiffer(a: Case) throws {
        let expected = try #require(try Self.golden()[a.rawValue]?[MetricConvention.exact.rawValue])
        let found = try #require(Self.results(a, shifted: true)[.exact])
        #expect(found.contains { abs($0.value - ((expected[$0.name] ?? nil) ?? .nan)) > 1e-3 })
    }

    /// The golden file holds the cases above and no other.
    @Test func everyCaseIsCovered() throws {
        #expect(Set(try Self.golden().keys) == Set(Case.allCases.map(\.rawValue)))
    }

    // MARK: - The cases

    /// - Parameter shifted: takes labels of the next image.
    private static func results(_ a: Case, shifted: Bool) -> [MetricConvention: [Metric]] {
        var metrics = kind(a).metrics()
        switch a {
        case .classification:
            for image in 0..<24 { add(classification: image, a, shifted, to: &metrics) }
        case .depthNegative:
            let truth = distances(a, 0, shifted, 42)
            metrics.add(
                Prediction(height: 1, width: 1, channels: 1, values: [-1]),
                ImageLabel(height: 6, width: 7, numbers: truth))
        default:
            for image in sizes.indices {
                let (size, small) = sizes[image]
                metrics.add(
                    prediction(a, image, height: small.0, width: small.1),
                    label(a, image, shifted, height: size.0, width: size.1))
            }
        }
        return metrics.results()
    }

    private static func kind(_ a: Case) -> any TaskKind {
        func task(_ kind: any TaskKind.Type, channels: Int, ignored: Int = 255) -> TaskConfiguration {
            var task = TaskConfiguration(name: "t", kind: kind, channels: channels)
            task.ignoreLabel = ignored
            return task
        }
        switch a {
        case .segmentation, .segmentationEmpty: return Segmentation(task(Segmentation.self, channels: classes))
        case .segmentationNegative: return Segmentation(task(Segmentation.self, channels: classes, ignored: -1))
        case .normalsExact, .normalsPublished:
            var normals = TaskConfiguration(name: "t", kind: Normals.self)
            normals.convention = a == .normalsExact ? .exact : .published
            return Normals(normals)
        case .depth, .depthNegative: return Depth(TaskConfiguration(name: "t", kind: Depth.self))
        case .keypoints: return Keypoints(TaskConfiguration(name: "t", kind: Keypoints.self))
        case .classification: return Classification(task(Classification.self, channels: 12))
        }
    }

    private static func prediction(_ a: Case, _ image: Int, height: Int, width: Int) -> Prediction {
        let (channels, scale, zeros): (Int, Double, Int) =
            switch a {
            case .segmentation, .segmentationNegative, .segmentationEmpty: (classes, 1, 0)
            case .normalsExact, .normalsPublished: (3, 1, 3)
            case .depth, .depthNegative: (1, 6, 1)
            case .keypoints: (1, 1, 0)
            case .classification: (12, 1, 0)
            }
        var values = formula.symmetric(
            "\(a.rawValue)/\(image)/prediction", height * width * channels, scale: scale)
        for index in 0..<zeros { values[index] = 0 }
        return Prediction(height: height, width: width, channels: channels, values: values)
    }

    private static func draws(_ a: Case, _ image: Int, _ what: String, _ count: Int) -> [Double] {
        formula.uniform("\(a.rawValue)/\(image)/\(what)", count)
    }

    private static func label(_ a: Case, _ image: Int, _ shifted: Bool, height: Int, width: Int) -> ImageLabel {
        let (count, source) = (height * width, shifted ? image + 100 : image)
        func holes(_ values: [Float], _ hole: Float) -> [Float] {
            guard image != empty else { return [Float](repeating: hole, count: values.count) }
            return zip(values, draws(a, source, "holes", count)).map { $1 < 0.25 ? hole : $0 }
        }
        switch a {
        case .segmentation, .segmentationNegative, .segmentationEmpty:
            let ignored: Int32 = a == .segmentationNegative ? -1 : 255
            let isEmpty = image == empty || a == .segmentationEmpty
            let values = draws(a, source, "label", count).map { draw -> Int32 in
                let value = Int32(draw * Double(classes + 1))
                return isEmpty || value == classes || value == absent ? ignored : value
            }
            return ImageLabel(height: height, width: width, classes: values)
        case .normalsExact, .normalsPublished:
            var values = draws(a, source, "label", 3 * count).map { Float(($0 * 256).rounded(.down)) }
            if image == empty { for pixel in 0..<count { values[3 * pixel + 1] = 255 } }
            return ImageLabel(height: height, width: width, numbers: values)
        case .depth, .depthNegative:
            return ImageLabel(
                height: height, width: width, numbers: holes(distances(a, image, shifted, count), 0))
        case .keypoints, .classification:
            let values = formula.symmetric("\(a.rawValue)/\(source)/label", count, scale: 1)
            return ImageLabel(height: height, width: width, numbers: holes(values, 255))
        }
    }

    private static func distances(_ a: Case, _ image: Int, _ shifted: Bool, _ count: Int) -> [Float] {
        draws(a, shifted ? image + 100 : image, "label", count).map { Float(0.5 + 4 * $0) }
    }

    private static func add(
        classification image: Int, _ a: Case, _ shifted: Bool, to metrics: inout any TaskMetrics
    ) {
        var scores = prediction(a, image, height: 1, width: 1)
        let draw = Int32(draws(a, shifted ? image + 100 : image, "label", 1)[0] * 13)
        if image == 5, !shifted {
            var values = scores.values
            values[Int(draw + 1) % 12] = values[Int(draw)]
            scores = Prediction(height: 1, width: 1, channels: 12, values: values)
        }
        metrics.add(scores, ImageLabel(height: 1, width: 1, classes: [draw == 12 ? 255 : draw]))
    }
}
