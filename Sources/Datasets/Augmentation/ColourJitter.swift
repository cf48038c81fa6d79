import AdaShareSupport

/// How far colours are changed at random; 0 leaves them as they are.
public struct ColourJitter: Sendable, Equatable {
    /// Half widths of the ranges around 1 that factors are drawn from, 0 to 1.
    public var brightness = 0.0 { didSet { Self.check(brightness, Self.strengths) } }
    /// As ``brightness``.
    public var contrast = 0.0 { didSet { Self.check(contrast, Self.strengths) } }
    /// As ``brightness``.
    public var saturation = 0.0 { didSet { Self.check(saturation, Self.strengths) } }
    /// Half width of the range around 0 that the turn of the hue is drawn from, in parts of the circle, 0 to ½.
    public var hue = 0.0 { didSet { Self.check(hue, Self.turns) } }

    static let strengths = 0.0...1
    static let turns = 0.0...0.5

    /// Changes nothing.
    public init() {}

    private static func check(_ value: Double, _ range: ClosedRange<Double>) {
        precondition(range.contains(value), "\(value) of a colour jitter, expected \(range)")
    }

    /// Whether nothing is changed.
    public var isOff: Bool { brightness == 0 && contrast == 0 && saturation == 0 && hue == 0 }
}

/// What is done to the colours of one crop: brightness, contrast, saturation, hue, in this order, each result held to
/// 0...255.
///
///     brightness  c ← b · c
///     contrast    c ← m + k · (c − m),   m the mean grey of the crop
///     saturation  c ← g + s · (c − g),   g the pixel's grey, 0.299 R + 0.587 G + 0.114 B
///     hue         h ← h + t, h in [0, 1) of hue, saturation and value
struct ColourTransform: Sendable, Equatable {
    var brightness: Float = 1
    var contrast: Float = 1
    var saturation: Float = 1
    var hue: Float = 0

    /// Changes nothing.
    init() {}

    /// Draws four numbers, whichever are used.
    init(_ jitter: ColourJitter, random: inout CounterRandom) {
        func factor(_ strength: Double) -> Float { Float(random.uniform(1 - strength...1 + strength)) }
        brightness = factor(jitter.brightness)
        contrast = factor(jitter.contrast)
        saturation = factor(jitter.saturation)
        hue = Float(random.uniform(-jitter.hue...jitter.hue))
    }

    /// Changes colours in place.
    ///
    /// - Parameters:
    ///   - colours: shape [pixels, 3], 0...255.
    ///   - order: which of red, green and blue, 0 to 2, each channel is.
    ///   - isImage: whether a pixel is one of the image, not padding, which stays as it is.
    func apply(to colours: UnsafeMutableBufferPointer<Float>, order: SIMD3<Int>, isImage: (Int) -> Bool) {
        // Where the channels of red, green and blue are.
        var place = SIMD3<Int>()
        for channel in 0..<3 { place[order[channel]] = channel }
        let pixels = colours.count / 3
        func forEach(_ change: (inout SIMD3<Float>) -> Void) {
            for pixel in 0..<pixels where isImage(pixel) {
                let at = 3 * pixel
                var colour = SIMD3(colours[at + place.x], colours[at + place.y], colours[at + place.z])
                change(&colour)
                colour.clamp(lowerBound: SIMD3(repeating: 0), upperBound: SIMD3(repeating: 255))
                (colours[at + place.x], colours[at + place.y], colours[at + place.z]) = (colour.x, colour.y, colour.z)
            }
        }
        if brightness != 1 { forEach { $0 *= brightness } }
        if contrast != 1 {
            var (sum, count) = (0.0, 0.0)
            forEach {
                sum += Double(Self.grey($0))
                count += 1
            }
            let mean = SIMD3(repeating: Float(sum / max(1, count)))
            forEach { $0 = mean + ($0 - mean) * contrast }
        }
        if saturation != 1 {
            forEach {
                let grey = SIMD3(repeating: Self.grey($0))
                $0 = grey + ($0 - grey) * saturation
            }
        }
        if hue != 0 { forEach { $0 = Self.turned($0, by: hue) } }
    }

    private static func grey(_ colour: SIMD3<Float>) -> Float {
        0.299 * colour.x + 0.587 * colour.y + 0.114 * colour.z
    }

    /// The colour of another hue and the same saturation and value.
    private static func turned(_ colour: SIMD3<Float>, by turn: Float) -> SIMD3<Float> {
        let (value, least) = (colour.max(), colour.min())
        let range = value - least
        guard range > 0 else { return colour }
        let hue: Float =
            if value == colour.x {
                (colour.y - colour.z) / range
            } else if value == colour.y {
                2 + (colour.z - colour.x) / range
            } else {
                4 + (colour.x - colour.y) / range
            }
        let turned = hue + 6 * turn
        /// One channel falls from the value and rises to it again once around the circle, in six parts.
        func channel(_ offset: Float) -> Float {
            let place = offset + turned
            let part = place - 6 * (place / 6).rounded(.down)
            return value - range * max(0, min(1, min(part, 4 - part)))
        }
        return SIMD3(channel(5), channel(3), channel(1))
    }
}
