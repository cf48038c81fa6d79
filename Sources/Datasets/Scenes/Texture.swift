import AdaShareSupport

/// A procedural colour for every point in space: plain, checkered, striped or noisy between two colours.
struct Texture {
    /// The raw value is the pattern's segmentation label.
    enum Pattern: UInt8, CaseIterable { case plain, checker, stripes, noise }

    var pattern: Pattern
    /// Reflectances of red, green and blue, 0...1.
    var first, second: Vector3
    /// Pattern cells per metre.
    var frequency: Float
    /// Moves cell borders off the surfaces, which lie at round coordinates.
    var offset: Vector3
    /// Direction across the stripes.
    var direction: Vector3
    /// Distinguishes the noise of textures.
    var key: UInt64

    /// Draws a texture; the pattern and both colours are independent of what it is used for.
    init(_ random: inout CounterRandom) {
        pattern = Pattern.allCases[random.integer(below: Pattern.allCases.count)]
        func colour(_ random: inout CounterRandom) -> Vector3 {
            Vector3(
                Float(random.uniform(0.2...0.95)), Float(random.uniform(0.2...0.95)), Float(random.uniform(0.2...0.95)))
        }
        first = colour(&random)
        // The second colour stays near the first, so that a pattern does not drown the shading.
        second = first + (colour(&random) - first) * 0.55
        frequency = Float(random.uniform(1.5...4))
        offset = Vector3(Float(random.uniform()), Float(random.uniform()), Float(random.uniform()))
        let axes = [Vector3(1, 0, 0), Vector3(0, 1, 0), Vector3(0, 0, 1), Vector3(0.7, 0, 0.7), Vector3(0.7, 0.7, 0)]
        direction = axes[random.integer(below: axes.count)]
        key = random.next()
    }

    /// The reflectance at a point.
    func colour(at point: Vector3) -> Vector3 {
        let p = point * frequency + offset
        let share: Float
        switch pattern {
        case .plain: return first
        case .checker:
            let cell = Int(p.x.rounded(.down)) &+ Int(p.y.rounded(.down)) &+ Int(p.z.rounded(.down))
            share = Float(cell & 1)
        case .stripes: share = Float(Int(p.dot(direction).rounded(.down)) & 1)
        case .noise: share = 0.65 * noise(p) + 0.35 * noise(p * 2.7)
        }
        return first + (second - first) * share
    }

    /// Trilinear interpolation of random values on the integer lattice, 0...1.
    private func noise(_ p: Vector3) -> Float {
        let base = Vector3(p.x.rounded(.down), p.y.rounded(.down), p.z.rounded(.down))
        let (ix, iy, iz) = (Int(base.x), Int(base.y), Int(base.z))
        let f = p - base
        func value(_ dx: Int, _ dy: Int, _ dz: Int) -> Float {
            let cell = UInt64(
                bitPattern: Int64((ix + dx) &* 73_856_093 ^ (iy + dy) &* 19_349_663 ^ (iz + dz) &* 83_492_791))
            return Float(CounterRandom.mix(key ^ cell) >> 40) * 0x1p-24
        }
        func along(_ dy: Int, _ dz: Int) -> Float {
            let low = value(0, dy, dz)
            return low + (value(1, dy, dz) - low) * f.x
        }
        func plane(_ dz: Int) -> Float {
            let low = along(0, dz)
            return low + (along(1, dz) - low) * f.y
        }
        let low = plane(0)
        return low + (plane(1) - low) * f.z
    }
}
