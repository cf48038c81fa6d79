import AdaShareFiles

/// Pictures of predictions at image size.
public enum Pictures {
    /// A task's prediction for one image as a picture, enlarged to the image.
    public static func picture(_ prediction: Prediction, of kind: any TaskKind, height: Int, width: Int) -> Image {
        let colours = kind.colours(prediction)
        var bytes = [UInt8](repeating: 0, count: height * width * 3)
        for y in 0..<height {
            for x in 0..<width {
                let c = colours[y * prediction.height / height * prediction.width + x * prediction.width / width]
                let o = (y * width + x) * 3
                (bytes[o], bytes[o + 1], bytes[o + 2]) = c
            }
        }
        return Image(width: width, height: height, channels: 3, pixels: bytes)
    }

    /// The colour of the class with the largest score, for each pixel.
    static func classes(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] {
        (0..<prediction.height * prediction.width).map { pixel in
            ColourMap.classColour(
                bestChannel(prediction.values, from: pixel * prediction.channels, count: prediction.channels))
        }
    }

    /// Dark for the least finite value, bright for the greatest.
    static func range(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] {
        let values = Array(prediction.values.prefix(prediction.height * prediction.width))
        let finite = values.filter(\.isFinite)
        let low = Double(finite.min() ?? 0)
        return colours(values, within: low...max(low, Double(finite.max() ?? 1)))
    }

    /// Dark for the lower end of a range, bright for the upper one.
    static func colours(_ values: [Float], within range: ClosedRange<Double>) -> [(UInt8, UInt8, UInt8)] {
        let span = max(range.upperBound - range.lowerBound, 1e-12)
        return values.map { ColourMap.scale((Double($0) - range.lowerBound) / span) }
    }

    /// A picture of a colour for each pixel.
    ///
    /// - Precondition: width · height colours.
    static func image(_ colours: [(UInt8, UInt8, UInt8)], width: Int, height: Int) -> Image {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(colours.count * 3)
        for colour in colours {
            bytes.append(colour.0)
            bytes.append(colour.1)
            bytes.append(colour.2)
        }
        return Image(width: width, height: height, channels: 3, pixels: bytes)
    }

    /// Pictures of one size side by side with a white gap.
    ///
    /// - Precondition: at least one picture, all of one size, RGB.
    public static func panel(_ pictures: [Image], gap: Int = 4) -> Image { sheet([pictures], gap: gap) }
}
