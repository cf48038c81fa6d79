import AdaShareSchema
import Yams

/// What the other settings of an augmentation are where nothing else is said.
public enum AugmentationKind: String, Codable, Sendable, ConfigurationChoice {
    /// Centre crop, padded evenly where the image is smaller; no scaling, no mirroring.
    case none
    /// Scale 0.5–1.5, mirror, pad, random crop.
    case dense
}

/// Where a crop lies in the scaled image.
public enum CropPlace: String, Codable, Sendable, ConfigurationChoice {
    /// In the middle.
    case centre
    /// Anywhere; where the scaled image is smaller than the crop, anywhere in it.
    case random
}

/// What images are scaled by: uniform from the smallest to the largest factor, `[smallest, largest]` in a file.
public struct ScaleRange: Sendable, Equatable {
    /// The factors.
    public let smallest, largest: Double
    private static let limits = 0.1...10

    /// Creates a range.
    ///
    /// - Precondition: `smallest` is not above `largest`; both are from 0.1 to 10.
    public init(_ smallest: Double, _ largest: Double) {
        precondition(Self.isValid(smallest, largest), "scales from \(smallest) to \(largest)")
        (self.smallest, self.largest) = (smallest, largest)
    }

    private static func isValid(_ smallest: Double, _ largest: Double) -> Bool {
        smallest <= largest && limits.contains(smallest) && limits.contains(largest)
    }
}

extension ScaleRange: ConfigurationValue {
    public static var expectation: String {
        "[smallest, largest], each from \(limits.lowerBound) to \(Int(limits.upperBound))"
    }
    public init?(node: Node) {
        guard let values = [Double](node: node), values.count == 2, Self.isValid(values[0], values[1]) else {
            return nil
        }
        self.init(values[0], values[1])
    }
    public var node: Node { [smallest, largest].node }
    var text: String { "[" + [smallest, largest].map { $0.node.scalar?.string ?? "" }.joined(separator: ", ") + "]" }
}

/// What is done to training images at random, `dataset.augmentation` in a file.
///
/// Everything is drawn anew for each place in each pass. What is drawn for one setting does not depend on the others,
/// but whether any of scale, mirror and place is random at all.
public struct Augmentation: Sendable, Equatable {
    /// What the other settings began with.
    public let kind: AugmentationKind
    /// What images are scaled by.
    public var scale: ScaleRange
    /// Whether every second image is mirrored.
    public var mirror: Bool
    /// Where the crop lies.
    public var crop: CropPlace
    /// How far colours are changed.
    public var colourJitter = ColourJitter()

    /// The settings of a kind.
    public init(_ kind: AugmentationKind) {
        self.kind = kind
        switch kind {
        case .none: (scale, mirror, crop) = (ScaleRange(1, 1), false, .centre)
        case .dense: (scale, mirror, crop) = (ScaleRange(0.5, 1.5), true, .random)
        }
    }

    /// A centre crop of the image as it is.
    public static let none = Augmentation(.none)
    /// As the published training has it.
    public static let dense = Augmentation(.dense)

    /// Whether anything about where pixels come from is drawn.
    var movesPixels: Bool { scale.smallest < scale.largest || mirror || crop == .random }

    /// Its keys, relative to `dataset.augmentation`.
    public static var fields: [ConfigurationField<Augmentation>] {
        func by(_ value: (Augmentation) -> String) -> String {
            "by kind: "
                + AugmentationKind.allCases.map { "\($0.rawValue) \(value(Augmentation($0)))" }.joined(separator: "; ")
        }
        func strength(
            _ name: String, _ property: WritableKeyPath<Augmentation, Double>, _ meaning: String,
            in range: ClosedRange<Double> = ColourJitter.strengths
        ) -> ConfigurationField<Augmentation> {
            .key("colour_jitter.\(name)", property, limit: .between(range.lowerBound, range.upperBound), meaning)
        }
        return [
            .choice(
                "kind", of: AugmentationKind.allCases.map(\.rawValue),
                "What is done to training images where the keys below say nothing else. `none`: centre crop. `dense`: "
                    + "random scale 0.5–1.5, mirror, crop. `augmentation: KIND` is short for it.",
                word: { $0.kind.rawValue },
                choose: { augmentation, word in
                    if let kind = AugmentationKind(rawValue: word) { augmentation = Augmentation(kind) }
                }),
            .key(
                "scale", \.scale, defaultText: by { $0.scale.text },
                "Range that each image's scale is drawn from, uniformly: the image bilinear, labels nearest, with "
                    + "their values as they are (depths stay in metres)."),
            .key(
                "mirror", \.mirror, defaultText: by { "\($0.mirror)" },
                "Whether an image is mirrored with probability ½, and the x of its normals negated."),
            .key(
                "crop", \.crop, defaultText: by { $0.crop.rawValue },
                "Where the crop of `dataset.crop` lies in the scaled image, which is padded where it is smaller."),
            strength(
                "brightness", \.colourJitter.brightness,
                "Colours are multiplied by a factor from 1 − this to 1 + this, and held to what a pixel can store. "
                    + "0 leaves colours as they are, here and below. All of it is done in this order, to the crop "
                    + "without its padding."),
            strength(
                "contrast", \.colourJitter.contrast,
                "Differences from the crop's mean grey are multiplied by a factor from 1 − this to 1 + this."),
            strength(
                "saturation", \.colourJitter.saturation,
                "Differences from a pixel's own grey are multiplied by a factor from 1 − this to 1 + this."),
            strength(
                "hue", \.colourJitter.hue,
                "Hues are turned by a part of the circle from −this to this.", in: ColourJitter.turns),
        ]
    }
}
