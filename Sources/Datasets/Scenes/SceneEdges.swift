import Foundation

/// Edge strengths of rendered geometry, blurred so that a network can regress them.
enum SceneEdges {
    /// The strength of discontinuities of depth, normal or class, as the value of an 8-bit code (see ``EdgeCode``).
    ///
    ///     e = 2 · (1 − exp(−k · blur(s))) − 1,  s = max over the right and lower neighbour of the three jumps
    ///
    /// The blur is three box filters, at least nine pixels wide: a network that sees every eighth pixel's label (output
    /// stride 8) could not learn narrower lines.
    static func strengths(_ rendering: Rendering, height: Int, width: Int) -> [Float] {
        var raw = [Float](repeating: 0, count: height * width)
        for row in 0..<height {
            for column in 0..<width {
                let at = row * width + column
                var strength: Float = 0
                if column + 1 < width { strength = jump(rendering, at, at + 1) }
                if row + 1 < height { strength = max(strength, jump(rendering, at, at + width)) }
                raw[at] = strength
            }
        }
        let radius = max(4, min(height, width) / 25)
        for _ in 0..<3 {
            raw = blurred(raw, lines: height, lineStride: width, length: width, stride: 1, radius: radius)
            raw = blurred(raw, lines: width, lineStride: 1, length: height, stride: width, radius: radius)
        }
        let gain = 1.5 * Float(2 * radius + 1)
        return raw.map { strength in
            EdgeCode.strength(EdgeCode.code(1 - 2 * exp(-gain * strength)))
        }
    }

    private static func jump(_ r: Rendering, _ a: Int, _ b: Int) -> Float {
        let step = abs(r.depth[a] - r.depth[b]) / min(r.depth[a], r.depth[b])
        let depth = min(1, max(0, (step - 0.08) * 3))
        let normal = min(1, max(0, (1 - r.normals[a].dot(r.normals[b]) - 0.15) * 0.8))
        return max(depth, normal, r.classes[a] == r.classes[b] ? 0 : 0.5)
    }

    /// Box filter along one axis; the border repeats.
    private static func blurred(
        _ values: [Float], lines: Int, lineStride: Int, length: Int, stride: Int, radius: Int
    ) -> [Float] {
        var result = values
        let scale = 1 / Float(2 * radius + 1)
        for line in 0..<lines {
            let base = line * lineStride
            func value(_ i: Int) -> Float { values[base + max(0, min(length - 1, i)) * stride] }

            var sum: Float = 0
            for i in -radius...radius { sum += value(i) }
            for i in 0..<length {
                result[base + i * stride] = max(0, sum * scale)
                sum += value(i + radius + 1) - value(i - radius)
            }
        }
        return result
    }
}
