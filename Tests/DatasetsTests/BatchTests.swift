import AdaShareFiles
import AdaShareSupport
import TestSupport
import Testing

@testable import AdaShareDatasets

@Suite struct BatchTests {
    static let labels = LabelRequest.standard(["segmentation", "normals", "depth", "keypoints", "edges"])

    /// A sample whose image and labels all say where in a 4 x 4-pixel checkerboard a pixel lies.
    private func board(height: Int, width: Int) -> Sample {
        var sample = Sample(
            name: "board", height: height, width: width, image: [], segmentation: [], normals: [], depth: [],
            keypoints: [], edges: [])
        for y in 0..<height {
            for x in 0..<width {
                let on = (y / 4 + x / 4) % 2 == 1
                sample.image += on ? [200, 100, 50] : [10, 20, 30]
                sample.segmentation?.append(on ? 1 : 0)
                sample.normals?.append(contentsOf: on ? [200, 120, 90] : [40, 60, 80])
                sample.depth?.append(on ? 2 : 1)
                sample.keypoints?.append(on ? 0.5 : -0.5)
                sample.edges?.append(on ? 0.25 : -0.25)
            }
        }
        return sample
    }

    private func batch(_ sample: Sample, _ transform: CropTransform, labels: [LabelRequest] = labels) throws
        -> Batch
    {
        let (height, width) = (transform.rows.nearest.count, transform.columns.nearest.count)
        var batch = Batch(count: 1, height: height, width: width, indices: [0])
        batch.reserve(labels)
        batch.append(sample, transform)
        return batch
    }

    @Test func evaluationBatchIsTheWholeImage() throws {
        let sample = board(height: 5, width: 7)
        let dataset = try FakeDataset(count: 2, labels: Set(Self.labels.map(\.name))) { _ in sample }
        let batch = try Batch(whole: 1, of: dataset, labels: Self.labels)
        #expect(batch.count == 1 && batch.height == 5 && batch.width == 7 && batch.indices == [1])
        let first: [Float] = [-74.00698793, -96.66876762, -112.67891434]
        #expect(zip(batch.image, first).allSatisfy { abs($0 - $1) < 1e-4 })
        #expect(batch.image == networkInput(Image(width: 7, height: 5, channels: 3, pixels: sample.image)))
        #expect(batch.segmentation == sample.segmentation?.map(Int32.init))
        #expect(batch.normals == sample.normals?.map(Float.init))
        #expect(batch.depth == sample.depth && batch.keypoints == sample.keypoints && batch.edges == sample.edges)
        let bare = try Batch(whole: 0, of: dataset, labels: LabelRequest.standard(["depth"]))
        #expect(bare.segmentation.isEmpty && bare.normals.isEmpty && bare.edges.isEmpty && bare.depth.count == 35)
    }

    @Test func aSampleMayLackALabel() throws {
        let (full, bare) = (
            board(height: 2, width: 3), Sample(name: "bare", height: 2, width: 3, image: .init(repeating: 1, count: 18))
        )
        var batch = Batch(count: 2, height: 2, width: 3, indices: [0, 1])
        batch.reserve(Self.labels)
        for sample in [bare, full] { batch.append(sample, CropTransform(identity: 2, 3)) }
        #expect(batch.labels.values.allSatisfy { $0.isCarried == [false, true] && !$0.isAbsent })
        #expect(batch.segmentation == [255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0])
        #expect(batch.depth == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
        #expect(batch.normals.prefix(18).allSatisfy { $0 == 255 } && batch.normals[18] == 40)
        #expect(batch.edges.prefix(6).allSatisfy { $0 == 255 } && batch.keypoints.prefix(6).allSatisfy { $0 == 255 })
        var none = Batch(count: 1, height: 2, width: 3, indices: [0])
        none.reserve(Self.labels)
        none.append(bare, CropTransform(identity: 2, 3))
        #expect(none.labels.values.allSatisfy { $0.isAbsent })
    }

    /// What marks pixels without a label in a file need not be what marks them in the batch.
    @Test func absentValuesAreTranslated() throws {
        let format = LabelFormat(.classes, absent: -1)
        var sample = board(height: 1, width: 5)
        sample.segmentation = [3, 255, 0, 254, 255]
        var batch = Batch(count: 1, height: 1, width: 6, indices: [0])
        batch.reserve([LabelRequest(name: "segmentation", format: format)])
        var random = CounterRandom(seed: 1)
        batch.append(sample, CropTransform(.none, height: 1, width: 5, crop: (1, 6), random: &random))
        #expect(batch.segmentation == [-1, 3, -1, 0, 254, -1])
        let metres = LabelMap(.numbers([5, -7, 2, -7, 1]), absent: -7)
        var depths = BatchLabels(format: LabelFormat(.numbers, absent: 0))
        depths.append(metres, at: [-1, 0, 1, 2, 3, 4], isMirrored: false)
        #expect(depths.numbers == [0, 5, 0, 2, 0, 1])
    }

    @Test func imagesAsAWholeHaveOneLabel() {
        var labels = BatchLabels(format: LabelFormat(.classes, extent: .image, absent: 255))
        labels.append(LabelMap(.integers([300])), at: [0, 1, 2, 3], isMirrored: true)
        labels.append(nil, at: [0, 1, 2, 3], isMirrored: false)
        #expect(labels.classes == [300, 255] && labels.isCarried == [true, false])
    }

    @Test func centreCropAndPadding() throws {
        let sample = board(height: 6, width: 8)
        var random = CounterRandom(seed: 1)
        let before = random
        let crop = try batch(
            sample, CropTransform(.none, height: 6, width: 8, crop: (4, 4), random: &random))
        let depth = try #require(sample.depth)
        #expect(crop.depth == (1..<5).flatMap { y in (2..<6).map { depth[y * 8 + $0] } })
        let padded = try batch(sample, CropTransform(.none, height: 6, width: 8, crop: (8, 11), random: &random))
        for y in 0..<8 {
            for x in 0..<11 {
                let at = y * 11 + x
                // Two missing rows are padded one above and one below; three columns two left and one right.
                if (1..<7).contains(y), (2..<10).contains(x) {
                    #expect(padded.depth[at] == depth[(y - 1) * 8 + x - 2])
                } else {
                    #expect(padded.image[3 * at..<3 * at + 3] == [0, 0, 0])
                    #expect(padded.segmentation[at] == 255 && padded.depth[at] == 0)
                    #expect(padded.normals[3 * at..<3 * at + 3] == [255, 255, 255])
                    #expect(padded.edges[at] == 255 && padded.keypoints[at] == 255)
                }
            }
        }
        var after = random
        var untouched = before
        #expect(after.next() == untouched.next(), "no augmentation draws nothing")
    }

    @Test func mirroringNegatesX() throws {
        let sample = Sample(
            name: "n", height: 1, width: 4, image: [UInt8](repeating: 1, count: 12), segmentation: nil,
            normals: [
                200, 10, 20, 0, 30, 40, 7, 255, 9, 127, 128, 200,
            ])
        var transform = CropTransform(identity: 1, 4)
        transform.columns = AxisMap(crop: 4, source: 4, scaled: 4, offset: 0, mirrored: true)
        transform.isMirrored = true
        let mirrored = try batch(sample, transform, labels: LabelRequest.standard(["normals"]))
        // From the right: 255 - 127; an invalid pixel as it was; 255 - 0 kept valid; 255 - 200.
        #expect(mirrored.normals == [128, 128, 200, 7, 255, 9, 254, 30, 40, 55, 10, 20])
    }

    @Test func augmentationKeepsImageAndLabelsAligned() throws {
        let sample = board(height: 32, width: 40)
        var (mirrors, pads, scales) = (0, 0, Set<Int>())
        for trial in 0..<40 {
            var random = CounterRandom(seed: 7, UInt64(trial))
            let transform = CropTransform(.dense, height: 32, width: 40, crop: (30, 36), random: &random)
            var same = CounterRandom(seed: 7, UInt64(trial))
            let again = CropTransform(.dense, height: 32, width: 40, crop: (30, 36), random: &same)
            #expect(again.rows.nearest == transform.rows.nearest && again.columns.share == transform.columns.share)
            if transform.isMirrored { mirrors += 1 }
            if transform.rows.nearest.contains(-1) { pads += 1 }
            scales.insert(Set(transform.columns.nearest).count)
            let result = try batch(sample, transform)
            var (clear, agreeing) = (0, 0)
            for at in 0..<30 * 36 {
                let label = result.segmentation[at]
                guard label != 255 else {
                    #expect(result.image[3 * at] == 0 && result.depth[at] == 0 && result.edges[at] == 255)
                    continue
                }
                #expect(result.depth[at] == (label == 1 ? 2 : 1))
                #expect(result.edges[at] == (label == 1 ? 0.25 : -0.25))
                #expect(result.keypoints[at] == (label == 1 ? 0.5 : -0.5))
                let red: Float = label == 1 ? 200 : 40
                #expect(result.normals[3 * at] == (transform.isMirrored ? 255 - red : red))
                // The interpolated red leans to the side the label is on, except exactly between the two.
                let shade = result.image[3 * at + 2] + 122.67891434
                if abs(shade - 105) > 12 {
                    clear += 1
                    if (shade > 105) == (label == 1) { agreeing += 1 }
                }
            }
            #expect(clear > 100 && clear == agreeing, "trial \(trial): \(agreeing) of \(clear)")
        }
        #expect((10...30).contains(mirrors) && pads > 3 && scales.count > 10)
    }
}
