import AdaShareSupport
import Dispatch
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

@Suite struct ScenesDatasetTests {
    @Test func isAPureFunctionOfSeedAndIndex() throws {
        let first = try ScenesDataset(count: 8, height: 24, width: 40, seed: 3)
        let second = try ScenesDataset(count: 20, height: 24, width: 40, seed: 3, cacheBytes: 0)
        let other = try ScenesDataset(count: 8, height: 24, width: 40, seed: 4)
        // All at once on many threads, then one by one in another order.
        DispatchQueue.concurrentPerform(iterations: 16) { _ = try? first.sample($0 % 8) }
        for index in (0..<8).reversed() {
            #expect(try first.sample(index) == second.sample(index))
            #expect(try first.sample(index).image != other.sample(index).image)
        }
        #expect(try first.sample(0).depth != first.sample(1).depth)
    }

    @Test(arguments: [(8, 8), (33, 17), (48, 64)])
    func geometryIsSane(size: (Int, Int)) throws {
        let scenes = try ScenesDataset(count: 6, height: size.0, width: size.1, seed: 11)
        for index in 0..<6 {
            let sample = try scenes.sample(index)
            let count = size.0 * size.1
            let depth = try #require(sample.depth)
            let classes = try #require(sample.segmentation)
            let normals = try #require(sample.normals)
            let edges = try #require(sample.edges)
            #expect(sample.image.count == 3 * count && depth.count == count && classes.count == count)
            #expect(normals.count == 3 * count && edges.count == count)
            #expect(depth.allSatisfy { $0 > 0.1 && $0 < 12 })
            #expect(classes.allSatisfy { $0 < 6 })
            #expect(normals.allSatisfy { $0 < 255 })
            #expect(edges.allSatisfy { (-1...1).contains($0) })
            for at in 0..<count {
                let n = (0..<3).map { Float(normals[3 * at + $0]) / 127.5 - 1 }
                #expect(abs((n[0] * n[0] + n[1] * n[1] + n[2] * n[2]).squareRoot() - 1) < 0.02)
                // A floor's normal points up and towards the viewer, a ceiling's down.
                if classes[at] == 0 { #expect(n[1] > 0.9) }
                if classes[at] == 2 { #expect(n[1] < -0.9) }
                if classes[at] == 1 { #expect(abs(n[1]) < 0.3) }
            }
        }
    }

    @Test func everyClassAndManyColoursAppear() throws {
        let scenes = try ScenesDataset(count: 20, height: 32, width: 32, seed: 1)
        var pixels = [Int](repeating: 0, count: 6)
        for index in 0..<20 {
            let sample = try scenes.sample(index)
            #expect(Set(sample.image).count > 30)
            for label in try #require(sample.segmentation) { pixels[Int(label)] += 1 }
        }
        #expect(pixels.allSatisfy { $0 > 20 * 32 * 32 / 100 }, "\(pixels)")
        #expect(pixels.allSatisfy { $0 < 20 * 32 * 32 * 6 / 10 }, "\(pixels)")
    }

    // MARK: - Classes by pattern

    /// Of the pixels with each label of `first`, the share with each label of `second`.
    private func shares(of first: ScenesDataset, _ second: ScenesDataset) throws -> [[Double]] {
        var pixels = [[Double]](
            repeating: [Double](repeating: 0, count: second.classes.names.count), count: first.classes.names.count)
        for index in 0..<first.count {
            let (a, b) = try (first.sample(index).segmentation, second.sample(index).segmentation)
            for (row, column) in zip(try #require(a), try #require(b)) { pixels[Int(row)][Int(column)] += 1 }
        }
        return pixels.map { row in row.map { $0 / row.reduce(0, +) } }
    }

    /// All pixels of a surface have one pattern, so shares over two hundred scenes are still not exact quarters.
    @Test func patternsAreIndependentOfShape() throws {
        func scenes(_ classes: SceneClasses) throws -> ScenesDataset {
            try ScenesDataset(count: 200, height: 24, width: 24, seed: 1, classes: classes, labels: ["segmentation"])
        }
        let (shapes, patterns) = try (scenes(.shape), scenes(.pattern))
        func areIndependent(_ shares: [[Double]]) -> Bool {
            let even = 1 / Double(shares[0].count)
            return shares.allSatisfy { $0.allSatisfy { abs($0 - even) < 0.6 * even } }
        }
        let found = try shares(of: shapes, patterns)
        #expect(found.count == 6 && found[0].count == 4 && areIndependent(found), "\(found)")
        // Labels that are shapes after all.
        #expect(try !areIndependent(shares(of: shapes, shapes)))
    }

    @Test func patternsAreThoseOfTheTextures() {
        #expect(SceneClasses.pattern.names == ["plain", "checker", "stripes", "noise"])
        for index in 0..<12 {
            let scene = Scene(seed: 7, index: index)
            let rendering = scene.render(height: 32, width: 40, noise: CounterRandom(seed: 1))
            var expected = [scene.floor, scene.wall, scene.ceiling].map { Set([$0.pattern.rawValue]) }
            for shape in [Solid.Shape.box, .sphere, .cylinder] {
                expected.append(Set(scene.solids.filter { $0.shape == shape }.map(\.texture.pattern.rawValue)))
            }
            #expect(rendering.patterns.count == rendering.classes.count)
            #expect(zip(rendering.classes, rendering.patterns).allSatisfy { expected[Int($0)].contains($1) })
        }
    }

    @Test func onlySegmentationDependsOnTheClasses() throws {
        let shapes = try ScenesDataset(count: 6, height: 33, width: 48, seed: 3)
        let patterns = try ScenesDataset(count: 6, height: 33, width: 48, seed: 3, classes: .pattern)
        #expect(shapes.classes == .shape && patterns.splits == shapes.splits)
        for index in 0..<6 {
            let expected = try shapes.sample(index)
            var found = try patterns.sample(index)
            #expect(found.edges != nil && found.depth != nil && found.normals != nil)
            #expect(found != expected && found.segmentation != expected.segmentation)
            found.segmentation = expected.segmentation
            #expect(found == expected)
        }
    }

    /// Depth is measured along the optical axis: the pixels of the far wall seen squarely all have one plane equation.
    @Test func depthFitsTheNormals() throws {
        let size = 48
        let scene = Scene(seed: 2, index: 0)
        let rendering = scene.render(height: size, width: size, noise: CounterRandom(seed: 1))
        func point(_ row: Int, _ column: Int) -> Vector3 {
            let z = rendering.depth[row * size + column]
            let scale: Float = 2 * 0.65 / Float(size)
            let x = (Float(column) + 0.5 - Float(size) / 2) * scale
            let y = (Float(size) / 2 - Float(row) - 0.5) * scale
            return Vector3(x * z, y * z, -z)
        }
        var checked = 0
        for row in 0..<size - 1 {
            for column in 0..<size - 1 {
                let at = row * size + column
                let normal = rendering.normals[at]
                for neighbour in [at + 1, at + size] where rendering.normals[neighbour] == normal {
                    guard rendering.classes[neighbour] == rendering.classes[at], rendering.classes[at] < 3 else {
                        continue
                    }
                    let step = point(neighbour / size, neighbour % size) - point(row, column)
                    #expect(abs(step.dot(normal)) < 1e-3)
                    checked += 1
                }
            }
        }
        #expect(checked > 1000)
    }

    @Test func splitsByIndex() throws {
        let splits = try ScenesDataset(count: 100, height: 8, width: 8, seed: 1).splits
        #expect(splits.train == Array(0..<80) && splits.train1 == Array(0..<64) && splits.train2 == Array(64..<80))
        #expect(splits.validation == Array(80..<90) && splits.test == Array(90..<100))
        let few = try ScenesDataset(count: 3, height: 8, width: 8, seed: 1).splits
        #expect(few.train.count == 3 && few.test.isEmpty && few.notices.count == 1)
    }

    @Test func badRequestsAreErrors() {
        expectError("count", "0") { _ = try ScenesDataset(count: 0, height: 8, width: 8, seed: 1) }
        expectError("size", "4×8") { _ = try ScenesDataset(count: 1, height: 4, width: 8, seed: 1) }
        expectError("no keypoints") {
            _ = try ScenesDataset(count: 1, height: 8, width: 8, seed: 1, labels: ["keypoints"])
        }
    }

    @Test func cacheIsBounded() throws {
        let cache = SampleCache(limit: 100)
        func sample(_ bytes: Int) -> Sample {
            Sample(name: "", height: 1, width: 1, image: [UInt8](repeating: 0, count: bytes))
        }
        var made = 0
        for _ in 0..<2 {
            for (index, bytes) in [60, 60, 30].enumerated() {
                _ = cache.sample(index) {
                    made += 1
                    return sample(bytes)
                }
            }
        }
        #expect(made == 4, "the second sample does not fit and is made twice")
    }
}
