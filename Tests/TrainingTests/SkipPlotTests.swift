import AdaShareModels
import Foundation
import Testing

@testable import AdaShareBenchmarks
@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareTraining

@Suite struct SkipPlotTests {
    private static func row(
        _ policy: String, _ density: Double?, _ ms: Double, step: SkipReport.Step = .inference, network: String = "n",
        referenceMs: Double = 200
    ) -> SkipReport.Row {
        SkipReport.Row(
            step: step, network: network, policy: policy, density: density, open: nil, ms: ms, idealMs: ms * 0.97,
            fidelity: 0.97, spread: 0, idleShare: 0, launchUs: 1, kernels: 1, macs: 1, bytes: 1, planMs: 1,
            referenceMs: referenceMs, passes: 3, attempts: 1, speedup: 600 / ms, speedupHardSharing: 200 / ms)
    }

    /// Hard sharing takes 200 ms or what is said instead, one pass per task three times that.
    private static func report(hardSharing: Double = 200) throws -> SkipReport {
        let experiment = try Experiment(
            try ExperimentConfiguration.parse(yaml: "tasks: [{name: a, kind: depth}]", file: "c.yml"))
        var report = SkipReport(
            device: "d", driver: "1", kernelFamily: "cpu", date: "now", precision: "float32",
            network: SkipReport.Network(experiment), batch: 1, height: 32, width: 32, repeats: 1, cachedPlanUs: 0)
        report.rows = [
            row("all_selected", 1, hardSharing), row("my<policy>.json", 0.6, 150), row("alike", 0.9, 180),
            row("alike", 0, 20), row("random", 0.9, 540), row("random", 0.5, 700, referenceMs: 400),
            row("random", 0, 20),
            row("published", 0.85, 620), row("only_a", 0.33, 199), row("published", 0.5, 999, network: "other"),
            row("soft", nil, 999),
        ]
        return report
    }

    private static func picture(_ report: SkipReport) throws -> Picture {
        try #require(Picture(SkipPlot(report).chart.svg))
    }

    @Test func linesLieAtTheTimesOfHardSharingAndOfOnePassPerTask() throws {
        func values(_ picture: Picture) throws -> [Double] {
            try picture.all("polyline", "reference").map { line in
                #expect(line.points.count == 2 && line.points[0].y == line.points[1].y)
                return try picture.value(at: line.points[0].y)
            }
        }
        let found = try values(try Self.picture(try Self.report()))
        #expect(found.count == 2 && abs(found[0] - 200) < 0.5 && abs(found[1] - 600) < 0.5, "\(found)")
        // Negative control: with another time it lies elsewhere.
        let other = try values(try Self.picture(try Self.report(hardSharing: 230)))
        #expect(abs(other[0] - 200) > 20 && abs(other[0] - 230) < 0.5)
    }

    @Test func thePlotSaysWhatItShows() throws {
        let picture = try Self.picture(try Self.report())
        let texts = picture.elements.map(\.text)
        for text in [
            "lower is better", "hard sharing, one pass", "one pass per task",
            "ms per step, timed in turns with hard sharing", "published",
            "my<policy>.json", "all tasks decide alike (random)", "each task on its own (random)", "100 %", "Inference",
        ] {
            #expect(texts.contains(text), "\(text)")
        }
        #expect(texts.contains { $0.hasPrefix("n, ") && $0.hasSuffix("d, now") })
    }

    /// Two curves: hard sharing ends the one on which tasks agree, and random policies do not run into it.
    @Test func hardSharingIsOnlyOnTheCurveOfPoliciesThatAgree() throws {
        let picture = try Self.picture(try Self.report())
        let curves = picture.all("polyline", "series").map(\.points)
        #expect(curves.map(\.count) == [3, 3, 3])
        let right = try #require(picture.all("line", "grid-x").last?.number("x1"))
        #expect(curves[0].last?.x == right && curves[1].last.map { $0.x < right } == true)
        let values = try curves[0].map { try picture.value(at: $0.y) }
        #expect(zip(values, [20, 180, 200.0]).allSatisfy { abs($0 - $1) < 0.5 }, "\(values)")
        // Measured while the machine was half as fast.
        #expect(abs(try picture.value(at: curves[1][1].y) - 350) < 0.5)
        // Another network's policy and rows without a density are no points of this one.
        #expect(picture.all("circle", "series").count == 3 && picture.all("polygon", "series").count == 5)
    }

    /// Without rows, without hard sharing: still a picture.
    @Test func poorReportsHaveAPicture() throws {
        var report = try Self.report()
        report.rows = [Self.row("random", 0.5, 10, step: .logits)]
        #expect(try Self.picture(report).all("polyline", "reference").isEmpty)
        report.rows = []
        _ = try Self.picture(report)
    }
}
