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

    /// Cubehelix from the least to the greatest finite value.
    static func range(_ prediction: Prediction) -> [(UInt8, UInt8, UInt8)] {
        let values = prediction.values.prefix(prediction.height * prediction.width)
        let finite = values.filter(\.isFinite)
        let low = Double(finite.min() ?? 0)
        let span = max(Double(finite.max() ?? 1) - low, 1e-12)
        return values.map { ColourMap.cubehelix((Double($0) - low) / span) }
    }

    /// Pictures of one size side by side with a white gap.
    ///
    /// - Precondition: at least one picture, all of one size, RGB.
    public static func panel(_ pictures: [Image], gap: Int = 4) -> Image { sheet([pictures], gap: gap) }
}
