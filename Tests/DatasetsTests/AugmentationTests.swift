import AdaShareSupport
import TestSupport
import Testing

@testable import AdaShareDatasets

/// What is drawn for a place in a pass, and what it makes of an image.
@Suite struct AugmentationTests {
    private func transform(
        _ augmentation: Augmentation, trial: Int = 0, size: (height: Int, width: Int) = (23, 31),
        crop: (height: Int, width: Int) = (20, 26)
    ) -> CropTransform {
        var random = CounterRandom(seed: 5, UInt64(trial))
        return CropTransform(augmentation, height: size.height, width: size.width, crop: crop, random: &random)
    }

    private func noise(height: Int, width: Int, seed: UInt64 = 1) -> Sample {
        var random = CounterRandom(seed: seed)
        return Sample(
            name: "noise", height: height, width: width,
            image: (0..<3 * height * width).map { _ in UInt8(truncatingIfNeeded: random.next()) },
            labels: ["depth": LabelMap(.numbers((0..<height * width).map { Float($0 + 1) }))])
    }

    private func batch(_ sample: Sample, _ transform: CropTransform, _ colours: ColourTransform? = nil) -> Batch {
        var batch = Batch(
            count: 1, height: transform.rows.nearest.count, width: transform.columns.nearest.count, indices: [0])
        batch.reserve(LabelRequest.standard(["depth"]))
        batch.append(sample, transform, colours: colours)
        return batch
    }

    /// Every number of a crop, computed for itself: the bits that runs of earlier versions were trained with.
    @Test(arguments: [AugmentationKind.none, .dense])
    func kindsKeepTheirBits(kind: AugmentationKind) {
        let mean: [Float] = [104.00698793, 116.66876762, 122.67891434]
        for trial in 0..<12 {
            let (height, width) = (17 + trial, 29 - trial)
            let crop = (height: 21, width: 19)
            let sample = noise(height: height, width: width)
            var random = CounterRandom(seed: 5, UInt64(trial))
            var (scaledHeight, scaledWidth, isMirrored) = (height, width, false)
            var (top, left) = ((height - crop.height) >> 1, (width - crop.width) >> 1)
            if kind == .dense {
                let scale = 0.5 + random.uniform()
                scaledHeight = Int((Double(height) * scale).rounded())
                scaledWidth = Int((Double(width) * scale).rounded())
                isMirrored = random.next() >= 1 << 63
                func place(_ surplus: Int) -> Int {
                    let offset = random.integer(below: abs(surplus) + 1)
                    return surplus < 0 ? -offset : offset
                }
                top = place(scaledHeight - crop.height)
                left = place(scaledWidth - crop.width)
            }
            /// Two neighbours, the second one's share, and the one that holds the centre; nil outside.
            func source(_ at: Int, _ scaled: Int, _ length: Int) -> (Int, Int, Float, Int)? {
                guard at >= 0, at < scaled else { return nil }
                let center = max(0, (Float(at) + 0.5) * Float(length) / Float(scaled) - 0.5)
                let low = min(length - 1, Int(center))
                let share = scaled == length ? 0 : center - Float(low)
                return (low, min(length - 1, low + 1), share, (2 * at + 1) * length / (2 * scaled))
            }
            var (image, depth): ([Float], [Float]) = ([], [])
            for y in 0..<crop.height {
                for x in 0..<crop.width {
                    let column = (isMirrored ? crop.width - 1 - x : x) + left
                    guard let row = source(y + top, scaledHeight, height),
                        let column = source(column, scaledWidth, width)
                    else {
                        image += [0, 0, 0]
                        depth.append(0)
                        continue
                    }
                    depth.append(Float(row.3 * width + column.3 + 1))
                    for (channel, stored) in [2, 1, 0].enumerated() {
                        func colour(_ y: Int, _ x: Int) -> Float { Float(sample.image[3 * (y * width + x) + stored]) }
                        let (a, b) = (colour(row.0, column.0), colour(row.0, column.1))
                        let (c, d) = (colour(row.1, column.0), colour(row.1, column.1))
                        let upper = a + (b - a) * column.2
                        let lower = c + (d - c) * column.2
                        image.append(upper + (lower - upper) * row.2 - mean[channel])
                    }
                }
            }
            let found = batch(
                sample, transform(Augmentation(kind), trial: trial, size: (height, width), crop: crop))
            #expect(found.image == image && found.labels["depth"]?.numbers == depth, "trial \(trial)")
        }
    }

    @Test func settingsAreDrawnApart() {
        var upright = Augmentation.dense
        upright.mirror = false
        var middle = Augmentation.dense
        middle.crop = .centre
        var wide = Augmentation.dense
        wide.scale = ScaleRange(2, 2)
        var mirrors = 0
        for trial in 0..<30 {
            let dense = transform(.dense, trial: trial)
            let without = transform(upright, trial: trial)
            #expect(!without.isMirrored && without.rows.nearest == dense.rows.nearest)
            let columns = dense.isMirrored ? dense.columns.nearest.reversed() : dense.columns.nearest
            #expect(without.columns.nearest == columns)
            #expect(transform(middle, trial: trial).isMirrored == dense.isMirrored)
            // Twice as large: every source pixel twice, none left out, no padding.
            let rows = transform(wide, trial: trial).rows.nearest
            #expect(rows == (0..<20).map { rows[0] + ($0 + (rows[0] == rows[1] ? 0 : 1)) / 2 })
            if dense.isMirrored { mirrors += 1 }
        }
        #expect((8...22).contains(mirrors))
        var only = Augmentation.none
        only.mirror = true
        let chosen = (0..<30).map { transform(only, trial: $0) }
        #expect(chosen.count { $0.isMirrored } == mirrors)
        #expect(chosen.allSatisfy { $0.rows.nearest == transform(.none).rows.nearest })
    }

    // MARK: - Colours

    /// In double precision, hue and saturation as textbooks have them.
    private func reference(_ colour: [Double], _ change: ColourTransform, mean: Double) -> [Double] {
        func held(_ colour: [Double]) -> [Double] { colour.map { max(0, min(255, $0)) } }
        func grey(_ colour: [Double]) -> Double { 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] }
        var colour = held(colour.map { $0 * Double(change.brightness) })
        colour = held(colour.map { mean + ($0 - mean) * Double(change.contrast) })
        let own = grey(colour)
        colour = held(colour.map { own + ($0 - own) * Double(change.saturation) })
        let (most, least) = (colour.max() ?? 0, colour.min() ?? 0)
        guard most > least, change.hue != 0 else { return colour }
        let (red, green, blue) = (
            (most - colour[0]) / (most - least), (most - colour[1]) / (most - least),
            (most - colour[2]) / (most - least)
        )
        var hue = most == colour[0] ? blue - green : most == colour[1] ? 2 + red - blue : 4 + green - red
        hue = (hue / 6 + Double(change.hue)).truncatingRemainder(dividingBy: 1)
        if hue < 0 { hue += 1 }
        let saturation = (most - least) / most
        let (sector, part) = (Int(hue * 6), hue * 6 - Double(Int(hue * 6)))
        let (p, q, t) = (
            most * (1 - saturation), most * (1 - saturation * part), most * (1 - saturation * (1 - part))
        )
        return [[most, t, p], [q, most, p], [p, most, t], [p, q, most], [t, p, most], [most, p, q]][sector % 6]
    }

    @Test func coloursChangeAsTheFormulasSay() {
        let size = 24
        let sample = noise(height: size, width: size)
        var padded = Augmentation.none
        padded.scale = ScaleRange(0.75, 0.75)
        for trial in 0..<8 {
            var jitter = ColourJitter()
            if trial % 2 == 0 { (jitter.brightness, jitter.saturation) = (0.4, 0.8) }
            if trial % 3 == 0 { (jitter.contrast, jitter.hue) = (0.5, 0.5) }
            var random = CounterRandom(seed: 9, UInt64(trial))
            let change = ColourTransform(jitter, random: &random)
            let crop = transform(padded, size: (size, size), crop: (size, size))
            let (before, after) = (batch(sample, crop), batch(sample, crop, change))
            #expect(before.labels == after.labels)
            let shift = [104.00698793, 116.66876762, 122.67891434]
            func colour(_ batch: Batch, _ pixel: Int) -> [Double] {
                [2, 1, 0].map { Double(batch.image[3 * pixel + $0]) + shift[$0] }
            }
            let inside = (0..<size * size).filter(crop.isImage)
            #expect(inside.count == 18 * 18)
            let bright = inside.map { colour(before, $0).map { max(0, min(255, $0 * Double(change.brightness))) } }
            let mean =
                bright.reduce(0) { $0 + 0.299 * $1[0] + 0.587 * $1[1] + 0.114 * $1[2] } / Double(bright.count)
            var (largest, moved) = (0.0, 0.0)
            for pixel in 0..<size * size where crop.isImage(pixel) {
                let expected = reference(colour(before, pixel), change, mean: mean)
                for (found, wanted) in zip(colour(after, pixel), expected) {
                    largest = max(largest, abs(found - wanted))
                }
                for (found, old) in zip(colour(after, pixel), colour(before, pixel)) {
                    moved = max(moved, abs(found - old))
                }
            }
            #expect(largest < 2e-3, "trial \(trial)")
            #expect(jitter.isOff ? moved < 1e-3 : moved > 5, "trial \(trial)")
            for pixel in 0..<size * size where !crop.isImage(pixel) {
                #expect(after.image[3 * pixel..<3 * pixel + 3] == [0, 0, 0])
            }
        }
    }

    @Test func knownColours() {
        func changed(_ colour: [Float], _ change: (inout ColourTransform) -> Void) -> [Float] {
            var transform = ColourTransform()
            change(&transform)
            var colours = colour
            colours.withUnsafeMutableBufferPointer {
                transform.apply(to: $0, order: SIMD3(0, 1, 2), isImage: { _ in true })
            }
            return colours
        }
        #expect(changed([255, 0, 0]) { $0.hue = 1 / 3 }.map { $0.rounded() } == [0, 255, 0])
        #expect(changed([255, 0, 0]) { $0.hue = -1 / 3 }.map { $0.rounded() } == [0, 0, 255])
        #expect(changed([200, 100, 50]) { $0.brightness = 1.5 } == [255, 150, 75])
        #expect(changed([100, 100, 100, 50, 50, 50]) { $0.contrast = 0 } == [Float](repeating: 75, count: 6))
        #expect(changed([100, 100, 100, 50, 50, 50]) { $0.contrast = 2 } == [125, 125, 125, 25, 25, 25])
        #expect(Set(changed([200, 100, 50]) { $0.saturation = 0 }.map { ($0 * 10).rounded() }) == [1242])
        #expect(changed([7, 7, 7]) { $0.hue = 0.3 } == [7, 7, 7])
        #expect(changed([200, 100, 50]) { _ in } == [200, 100, 50])
    }

    // MARK: - Other forms of an image

    @Test func aBatchIsSeenAtAnotherSizeAndMirrored() {
        let sample = noise(height: 5, width: 8)
        let plain = batch(sample, CropTransform(identity: 5, 8))
        let same = plain.viewed(scale: 1, isMirrored: false)
        #expect(same.image == plain.image && same.labels.isEmpty && (same.height, same.width) == (5, 8))
        let mirrored = plain.viewed(scale: 1, isMirrored: true)
        for y in 0..<5 {
            for x in 0..<8 {
                let (at, other) = (3 * (y * 8 + x), 3 * (y * 8 + 7 - x))
                #expect(mirrored.image[at..<at + 3] == plain.image[other..<other + 3])
            }
        }
        let half = plain.viewed(scale: 0.5, isMirrored: false)
        #expect((half.height, half.width) == (3, 4) && half.image.count == 36)
        // Column centres lie between two of the image's.
        let expected = (plain.image[0] + plain.image[3]) / 2
        let below = (plain.image[24] + plain.image[27]) / 2
        #expect(abs(half.image[0] - (expected + (below - expected) / 3)) < 1e-3)
    }
}
