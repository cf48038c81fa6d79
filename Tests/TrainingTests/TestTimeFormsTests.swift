import AdaShareConfiguration
import AdaShareDatasets
import AdaShareTasks
import Foundation
import Testing

@testable import AdaShareTraining

/// Predictions of an image in several forms, by networks whose answers are known.
@Suite struct TestTimeFormsTests {
    private static let kinds: [String: any TaskKind] = [
        "depth": Depth(TaskConfiguration(name: "depth", kind: Depth.self)),
        "normals": Normals(TaskConfiguration(name: "normals", kind: Normals.self)),
        "parts": Segmentation(TaskConfiguration(name: "parts", kind: Segmentation.self, channels: 2)),
        "scene": Classification(TaskConfiguration(name: "scene", kind: Classification.self, channels: 2)),
    ]

    /// 4 rows of 6 pixels, whose first channel rises from left to right by 2 and from top to bottom by 1.
    private var ramp: Batch {
        var batch = Batch(count: 1, height: 4, width: 6, indices: [0])
        batch.image = (0..<24).flatMap { pixel -> [Float] in [Float(2 * (pixel % 6) + pixel / 6), 0, 0] }
        return batch
    }

    /// The first channel as depth; its slope from left to right as the normals' x, which turns with the image.
    private func network(_ batch: Batch) -> [String: Prediction] {
        func channel(_ y: Int, _ x: Int) -> Float { batch.image[3 * (y * batch.width + x)] }
        let places = (0..<batch.height).flatMap { y in (0..<batch.width).map { (y, $0) } }
        let depth = places.map { channel($0, $1) }
        let normals = places.flatMap { y, x -> [Float] in
            let left = max(0, min(batch.width - 2, x))
            return [channel(y, left + 1) > channel(y, left) ? 3 : -3, 0, 4]
        }
        func made(_ channels: Int, _ values: [Float]) -> Prediction {
            Prediction(height: batch.height, width: batch.width, channels: channels, values: values)
        }
        return ["depth": made(1, depth), "normals": made(3, normals)]
    }

    private func predict(
        _ forms: TestTimeForms, _ batch: Batch, _ network: (Batch) throws -> [String: Prediction]
    ) throws -> [String: Prediction] {
        try forms.predict(batch, kinds: Self.kinds, network: network)
    }

    @Test func oneFormIsThePredictionAsItIs() throws {
        let plain = network(ramp)
        #expect(try predict(.image, ramp, network) == plain)
        #expect(try predict(TestTimeForms(scales: [1], flips: false), ramp, network) == plain)
        var calls = 0
        _ = try predict(TestTimeForms(scales: [0.5, 1, 2], flips: true), ramp) { batch in
            calls += 1
            return network(batch)
        }
        #expect(calls == 6)
    }

    /// A network that turns with the image sees the same in its mirror.
    @Test func mirroringBackUndoesMirroring() throws {
        let plain = network(ramp)
        let both = try predict(TestTimeForms(scales: [1], flips: true), ramp, network)
        #expect(both["depth"] == plain["depth"])
        // Of length 5 before, 1 after.
        let found = try #require(both["normals"]?.values)
        #expect(zip(found, plain["normals"]?.values ?? []).allSatisfy { abs($0 - $1 / 5) < 1e-6 } && found.count == 72)
        // Negative controls: without mirroring back, and without negating x, both would be something else.
        let flat = try predict(TestTimeForms(scales: [1], flips: true), ramp) { _ in plain }
        #expect(flat["depth"]?.values == (0..<24).map { Float(5 + $0 / 6) })
        #expect(flat["normals"]?.values == (0..<24).flatMap { _ -> [Float] in [0, 0, 1] })
    }

    @Test func scalesAreBroughtToTheLargest() throws {
        // A plane stays a plane, but for the rim, where interpolation holds the value of the last pixel.
        let found = try #require(
            try predict(TestTimeForms(scales: [1, 2], flips: false), ramp, network)["depth"])
        #expect((found.height, found.width) == (8, 12))
        for y in 1..<7 {
            for x in 1..<11 {
                let plane = 2 * ((Float(x) + 0.5) / 2 - 0.5) + (Float(y) + 0.5) / 2 - 0.5
                #expect(abs(found.values[y * 12 + x] - plane) < 1e-4)
            }
        }
        let image = try predict(TestTimeForms(scales: [1, 2], flips: true), ramp) { batch in
            ["scene": Prediction(height: 1, width: 1, channels: 2, values: [Float(batch.width), 0])]
        }
        #expect(image["scene"]?.values.count == 2)
    }

    @Test func classesAreAveragedAsProbabilities() throws {
        // Scores of 0 and ln 3 are probabilities of ¼ and ¾; of 0 and 0, ½ each.
        var turn = 0
        let mean = try predict(TestTimeForms(scales: [1], flips: true), ramp) { _ in
            turn += 1
            let values: [Float] = turn == 1 ? [100, 100 + Float(log(3.0)), 0, 0] : [0, 0, 0, -1000]
            return ["parts": Prediction(height: 1, width: 2, channels: 2, values: values)]
        }
        // The second is mirrored: its right pixel, sure of class 0, lies left.
        let expected: [Float] = [(0.25 + 1) / 2, (0.75 + 0) / 2, 0.5, 0.5]
        let found = try #require(mean["parts"]?.values)
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    /// Two normals whose colours have one direction, and those of their mirror images two.
    @Test func directionsOfColoursHaveNoOneMirrorImage() {
        // Where a line from black meets the sphere of normals: |c · t − 1| = 1 for the direction c.
        let direction = SIMD3<Double>(0.5, 0.6, 0.65)
        let (square, sum) = ((direction * direction).sum(), direction.sum())
        let root = (sum * sum - 2 * square).squareRoot()
        let normals = [sum - root, sum + root].map { direction * ($0 / square) - 1 }
        func cosine(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double {
            (a * b).sum() / ((a * a).sum() * (b * b).sum()).squareRoot()
        }
        #expect(normals.allSatisfy { abs(($0 * $0).sum() - 1) < 1e-12 })
        #expect(abs(cosine(normals[0] + 1, normals[1] + 1) - 1) < 1e-12)
        let mirrored = normals.map { SIMD3(-$0.x, $0.y, $0.z) + 1 }
        #expect(cosine(mirrored[0], mirrored[1]) < 0.8)
    }

    @Test func directionsOfColoursCannotBeMirrored() throws {
        let tasks = [
            TaskConfiguration(name: "depth", kind: Depth.self),
            TaskConfiguration(name: "slope", kind: Normals.self, convention: .published),
        ]
        try TestTimeForms(scales: [0.5, 1], flips: false).check(tasks)
        try TestTimeForms(scales: [1], flips: true).check([tasks[0]])
        do {
            try TestTimeForms(scales: [1], flips: true).check(tasks)
            Issue.record("no error")
        } catch { #expect("\(error)".hasPrefix("--flip: slope: found predictions that cannot be mirrored back")) }
    }

    @Test func waitingIsCountedOnceBatchesCanBeAhead() {
        var pace = Pace(cold: 2)
        for waiting in [0.9, 0.5] { pace.add(images: 4, seconds: 1, waiting: waiting) }
        #expect(pace.waitShare == nil && pace.takeWait().share == nil)
        pace.add(images: 4, seconds: 1, waiting: 0.1)
        pace.finish(seconds: 1)
        #expect(pace.waitShare == 0.05 && pace.secondsPerStep > 1)
        var all = pace.takeWait()
        #expect(all.share == 0.05 && pace.takeWait().share == nil)
        pace.add(images: 4, seconds: 2, waiting: 0)
        all.add(pace.takeWait())
        #expect(all.share == 0.025 && all.seconds == 4)
    }
}
