import AdaShareDatasets
import AdaShareFiles
import Foundation
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareTasks

/// Colours, letters and panels of predictions.
@Suite struct PictureTests {
    /// OKLab of an 8-bit colour, by the matrices from sRGB: the other way round than the colour map goes.
    private func oklab(_ colour: (UInt8, UInt8, UInt8)) -> SIMD3<Double> {
        let linear = [colour.0, colour.1, colour.2].map { byte -> Double in
            let value = Double(byte) / 255
            return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4)
        }
        func root(_ r: Double, _ g: Double, _ b: Double) -> Double {
            cbrt(r * linear[0] + g * linear[1] + b * linear[2])
        }
        let long = root(0.4122214708, 0.5363325363, 0.0514459929)
        let medium = root(0.2119034982, 0.6806995451, 0.1073969566)
        let short = root(0.0883024619, 0.2817188376, 0.6299787005)
        return SIMD3(
            0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
            1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
            0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short)
    }

    @Test func theScaleGrowsEvenly() {
        let points = (0...16).map { oklab(ColourMap.scale(Double($0) / 16)) }
        let steps = zip(points, points.dropFirst()).map { (($1 - $0) * ($1 - $0)).sum().squareRoot() }
        let mean = steps.reduce(0, +) / 16
        // Rounding to 8 bits moves a colour by up to 0.003 or so.
        #expect(steps.allSatisfy { abs($0 - mean) < 0.005 }, "\(steps)")
        for (a, b) in zip(points, points.dropFirst()) { #expect(b.x > a.x + 0.02) }
        #expect(abs(points[0].x - 0.25) < 0.01 && abs(points[16].x - 0.92) < 0.01)
        // Nothing has been clipped: the chroma is the formula's.
        for (index, s) in [(0, 0.0), (16, 1.0)] {
            let chroma = (points[index].y * points[index].y + points[index].z * points[index].z).squareRoot()
            #expect(abs(chroma - (0.086 + 0.2 * (s - 0.5) * (s - 0.5))) < 0.005)
        }
        #expect(ColourMap.scale(-3) == ColourMap.scale(0) && ColourMap.scale(.infinity) == ColourMap.scale(1))
        #expect(ColourMap.scale(.nan) == (128, 128, 128))
    }

    @Test func everyLetterHasADrawing() {
        let letters = (33...126).map { Character(UnicodeScalar($0)) } + ["°", "…"]
        let box = BitmapFont.glyph("\u{FFFF}")
        var seen: Set<[[Bool]]> = []
        for letter in letters {
            let glyph = BitmapFont.glyph(letter)
            #expect((7...9).contains(glyph.count) && Set(glyph.map(\.count)).count == 1, "\(letter)")
            #expect(glyph != box && seen.insert(glyph).inserted, "\(letter) looks like another")
        }
        #expect(BitmapFont.letters("Straße é −1") == Array("Straße e -1"))
        let text = "refrigerator"
        #expect(BitmapFont.fitting(text, width: BitmapFont.width(text)) == text)
        let short = BitmapFont.fitting(text, width: 40)
        #expect(short.hasSuffix("…") && BitmapFont.width(short) <= 40 && short.hasPrefix("ref"))
    }

    @Test func ticksAreRound() {
        func ticks(_ low: Double, _ high: Double) -> [Double] { ColourKey.ticks(low...high).map(\.value) }
        #expect(ticks(0, 10) == [0, 2, 4, 6, 8, 10] && ticks(0.9, 4.2) == [1, 2, 3, 4])
        #expect(ColourKey.ticks(0...0.05).map(\.decimals) == Array(repeating: 2, count: 6))
        #expect(ticks(-0.3, 0.3).count >= 3 && ticks(2, 2) == [2])
    }

    private func kind(_ kind: any TaskKind.Type, channels: Int? = nil, published: Bool = false) -> any TaskKind {
        TaskConfiguration(
            name: "t", kind: kind, channels: channels, convention: published ? .published : .exact
        ).made
    }

    /// Nearest takes what metrics take, bilinear what lies between.
    @Test func predictionsAreEnlarged() {
        let small = Prediction(height: 1, width: 2, channels: 1, values: [1, 3])
        #expect(small.upsampled(height: 2, width: 4, by: .nearest).values == [1, 1, 3, 3, 1, 1, 3, 3])
        #expect(small.upsampled(height: 1, width: 4, by: .bilinear).values == [1, 1.5, 2.5, 3])
        let two = Prediction(height: 1, width: 1, channels: 2, values: [1, 2, 3, 4])
        #expect(two.image(1).values == [3, 4])
    }

    @Test func filesOfLabelsHoldWhatIsPredicted() {
        func stored(_ kind: any TaskKind, _ channels: Int, _ values: [Float]) -> StoredLabels {
            kind.stored(Prediction(height: 1, width: values.count / channels, channels: channels, values: values))
        }
        #expect(
            stored(kind(Depth.self), 1, [1.2346, 0, -2, .nan, 70, .infinity]) == .words([1235, 0, 0, 0, 65535, 65535]))
        #expect(stored(kind(Segmentation.self, channels: 3), 3, [0, 2, 1, 5, 1, 1]) == .classes([1, 0]))
        #expect(stored(kind(Normals.self), 3, [0, 0, 2, 1, 0, 0]) == .colours([128, 128, 254, 254, 128, 128]))
        #expect(stored(kind(Edges.self), 1, [-1, 0, 1, 9]) == .bytes([0, 127, 254, 254]))
    }

    @Test func deviationsAreThoseOfTheMetrics() throws {
        func label(_ classes: [Int32] = [], _ numbers: [Float] = [], width: Int) -> ImageLabel {
            ImageLabel(height: 1, width: width, classes: classes, numbers: numbers)
        }
        let depth = kind(Depth.self).deviations(
            Prediction(height: 1, width: 3, channels: 1, values: [1, 2, 3]), from: label([], [1.5, 0, 2], width: 3))
        #expect(depth[0] == 0.5 && depth[1].isNaN && depth[2] == 1)
        let classes = kind(Segmentation.self, channels: 2).deviations(
            Prediction(height: 1, width: 3, channels: 2, values: [1, 0, 0, 1, 1, 0]),
            from: label([0, 0, 255], width: 3))
        #expect(classes[0] == 0 && classes[1] == 1 && classes[2].isNaN)
        for published in [false, true] {
            let normals = kind(Normals.self, published: published)
            let prediction = Prediction(height: 1, width: 2, channels: 3, values: [1, 2, 3, 3, 1, 2])
            let truth = label([], [200, 130, 90, 255, 0, 0], width: 2)
            let found = normals.deviations(prediction, from: truth)
            var metrics = normals.metrics()
            metrics.add(prediction, truth)
            let results = metrics.results()[published ? .published : .exact] ?? []
            let mean = try #require(results.first { $0.name == "angle_mean" }?.value)
            #expect(abs(Double(found[0]) - mean) < 1e-4 && found[1].isNaN)
        }
    }

    /// Rows of labels and errors where there are labels, scales and names beside the pictures.
    @Test func panelsShowWhatColoursMean() throws {
        let image = Image(width: 48, height: 32, channels: 3, pixels: [UInt8](repeating: 77, count: 48 * 32 * 3))
        let depth = Prediction(height: 4, width: 6, channels: 1, values: (0..<24).map { Float($0) })
        // None in the first column.
        var distances = (0..<32 * 48).map { Float($0 / 48 + 1) }
        for row in 0..<32 { distances[row * 48] = 0 }
        let truth = ImageLabel(height: 32, width: 48, numbers: distances)
        func panel(_ label: ImageLabel?) -> Image {
            PredictionPanel(
                title: "000001 · test", image: image,
                tasks: [PredictionPanel.Task(name: "depth", kind: kind(Depth.self), prediction: depth, label: label)],
                upsampling: .bilinear
            ).drawn()
        }
        let (alone, beside) = (panel(nil), panel(truth))
        // Pictures of 48 x 32 are shown four times as large.
        #expect(alone.height < beside.height - 2 * 4 * 32 && alone.width > 2 * 4 * 48)
        func count(_ colour: (UInt8, UInt8, UInt8), in picture: Image) -> Int {
            stride(from: 0, to: picture.pixels.count, by: 3).count {
                (picture.pixels[$0], picture.pixels[$0 + 1], picture.pixels[$0 + 2]) == colour
            }
        }
        #expect(count((77, 77, 77), in: alone) == 48 * 32 * 16)
        // Scale and label reach both ends; grey where there is no label, in the label and its error.
        for end in [0.0, 1.0] { #expect(count(ColourMap.scale(end), in: beside) > 8) }
        #expect(count((128, 128, 128), in: alone) == 0 && count((128, 128, 128), in: beside) == 2 * 4 * 4 * 32)

        let scene = PredictionPanel.Task(
            name: "scene", kind: kind(Classification.self, channels: 3),
            prediction: Prediction(height: 1, width: 1, channels: 3, values: [0, 2, 1]), classes: ["a", "b", "c"])
        let best = scene.best(2)
        #expect(best.map(\.index) == [1, 2] && abs(best[0].probability - 0.6652) < 1e-3)
        #expect(scene.name(ofClass: 1) == "b" && scene.name(ofClass: 7) == "class 7")
        let listed = PredictionPanel(title: "", image: image, tasks: [scene], upsampling: .nearest).picture(0)
        #expect((listed.width, listed.height) == (48, 32) && count(ColourMap.classColour(1), in: listed) > 20)
    }
}
