import AdaShareFiles
import AdaShareSupport
import TestSupport
import Testing

@testable import AdaShareDatasets

/// Images that are brought to another size as they are read.
@Suite struct ImageResizeTests {
    private func grey(_ values: [UInt8]) -> [UInt8] { values.flatMap { [$0, $0, $0] } }

    /// By hand: the shares of a triangle over the pixels below it.
    @Test func smoothByHand() {
        // Half the width: the centre of the first lies at 1, a triangle from -1 to 3 above it, the other at 3.
        let halved = ImageResize.smooth(grey([0, 70, 140, 210]), (1, 4), to: (1, 2))
        let left = (0.75 * 0 + 0.75 * 70 + 0.25 * 140) / 1.75
        let right = (0.25 * 70 + 0.75 * 140 + 0.75 * 210) / 1.75
        #expect(halved == grey([UInt8(left.rounded()), UInt8(right.rounded())]))
        // Twice the height: a quarter of the neighbour, none beyond the edge.
        #expect(ImageResize.smooth(grey([100, 200]), (2, 1), to: (4, 1)) == grey([100, 125, 175, 200]))
        #expect(ImageResize.smooth([1, 2, 3, 4, 5, 6], (1, 2), to: (1, 2)) == [1, 2, 3, 4, 5, 6])
        // Channels stay apart, and an even colour stays what it is at any size.
        for size in [(1, 1), (3, 7), (13, 2)] {
            let even = ImageResize.smooth((0..<30).flatMap { _ in [10, 20, 255] as [UInt8] }, (5, 6), to: size)
            #expect(even == (0..<size.0 * size.1).flatMap { _ in [10, 20, 255] as [UInt8] })
        }
    }

    @Test func nearestTakesTheFloor() {
        #expect(ImageResize.nearest((2, 3), to: (4, 2)) == [0, 1, 0, 1, 3, 4, 3, 4])
        #expect(ImageResize.nearest((5, 1), to: (2, 1)) == [0, 2])
    }

    @Test func labelsKeepTheirValues() throws {
        var sample = Sample(
            name: "s", height: 2, width: 2, image: grey([0, 100, 100, 200]), segmentation: [0, 1, 2, 255],
            normals: Array(1...12), depth: [0, 1, 2, 3])
        sample.labels["scene"] = LabelMap(.integers([7]))
        let dataset = try FakeDataset(count: 3, labels: ["depth"]) { [sample] _ in sample }
        let resized = ResizedDataset(dataset, to: ImageSize(height: 4, width: 2), cacheBytes: 1 << 20)
        #expect(resized.count == 3 && resized.labels == ["depth"] && resized.splits == dataset.splits)
        let tall = try resized.sample(1)
        #expect((tall.height, tall.width, tall.name) == (4, 2, "s") && tall.image.count == 24)
        #expect(tall.segmentation == [0, 1, 0, 1, 2, 255, 2, 255] && tall.labels["segmentation"]?.absent == 255)
        #expect(tall.normals == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 7, 8, 9, 10, 11, 12])
        #expect(tall.depth == [0, 1, 0, 1, 2, 3, 2, 3])
        #expect(tall.labels["scene"] == LabelMap(.integers([7])))
        #expect(sample.resized(to: (2, 2)) == sample)
    }

    @Test func aKeyOfTheConfigurationAsksForIt() throws {
        var configuration = ReaderConfiguration()
        configuration.kind = Scenes.kind
        let request = DatasetRequest(labels: LabelRequest.standard(["depth"]))
        #expect(try configuration.open(request, place: "dataset").sample(0).height == 96)
        configuration.resize = ImageSize(height: 24, width: 16)
        let dataset = try configuration.open(request, place: "dataset")
        let sample = try dataset.sample(0)
        #expect((sample.height, sample.width) == (24, 16) && sample.depth?.count == 24 * 16)
        #expect(dataset.name == "scenes" && dataset.splits.test.count == 50)
    }
}
