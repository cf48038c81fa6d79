import Datasets
import Foundation

/// Pictures of predictions at image size.
public enum PredictionImages {
    /// A task's prediction as a picture: class colours, normals as colours, anything else by cubehelix.
    ///
    /// - Parameter normals: the space the normals were trained in; pictures are always R, G, B = x, y, z.
    public static func picture(
        _ prediction: Prediction, kind: TaskKind, normals: NormalSpace, height: Int, width: Int
    ) -> PNGImage {
        let pixels = prediction.height * prediction.width
        var colours = [(UInt8, UInt8, UInt8)](repeating: (0, 0, 0), count: pixels)
        let values = prediction.values
        switch kind {
        case .segmentation, .classification:
            for i in 0..<pixels {
                let row = values[(i * prediction.channels)..<((i + 1) * prediction.channels)]
                let best = row.indices.max { row[$0] < row[$1] } ?? row.startIndex
                colours[i] = ColourMap.classColour(best - row.startIndex)
            }
        case .normals:
            for i in 0..<pixels {
                let v = SIMD3(Double(values[3 * i]), Double(values[3 * i + 1]), Double(values[3 * i + 2]))
                let length = max((v * v).sum().squareRoot(), 1e-12)
                // Published normals live in colour space already, in B, G, R order.
                let c = normals == .published ? SIMD3(v.z, v.y, v.x) / length * 255 : (v / length + 1) * 127.5
                func byte(_ x: Double) -> UInt8 { UInt8(max(0, min(255, x.rounded()))) }
                colours[i] = (byte(c.x), byte(c.y), byte(c.z))
            }
        case .depth, .keypoints, .edges:
            let finite = values.filter(\.isFinite)
            let low = Double(finite.min() ?? 0)
            let span = max(Double(finite.max() ?? 1) - low, 1e-12)
            for i in 0..<pixels { colours[i] = ColourMap.cubehelix((Double(values[i]) - low) / span) }
        }
        var bytes = [UInt8](repeating: 0, count: height * width * 3)
        for y in 0..<height {
            for x in 0..<width {
                let c = colours[y * prediction.height / height * prediction.width + x * prediction.width / width]
                let o = (y * width + x) * 3
                (bytes[o], bytes[o + 1], bytes[o + 2]) = c
            }
        }
        return PNGImage(width: width, height: height, channels: 3, pixels: bytes)
    }

    /// Pictures of one size side by side with a white gap.
    ///
    /// - Precondition: at least one picture, all of one size, RGB.
    public static func panel(_ pictures: [PNGImage], gap: Int = 4) -> PNGImage {
        let (height, width) = (pictures[0].height, pictures[0].width)
        let total = pictures.count * width + (pictures.count - 1) * gap
        var bytes = [UInt8](repeating: 255, count: height * total * 3)
        for (index, picture) in pictures.enumerated() {
            for y in 0..<height {
                let source = y * width * 3
                let target = (y * total + index * (width + gap)) * 3
                bytes.replaceSubrange(
                    target..<(target + width * 3), with: picture.pixels[source..<(source + width * 3)])
            }
        }
        return PNGImage(width: total, height: height, channels: 3, pixels: bytes)
    }
}
