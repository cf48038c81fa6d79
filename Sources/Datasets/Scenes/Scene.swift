import AdaShareSupport
import Foundation

/// A furnished room, its lights and the camera in it; everything a rendering is made from.
struct Scene {
    struct Light {
        var position: Vector3
        var intensity: Float
    }

    /// A pinhole camera without roll; `forward`, `right` and `up` are orthonormal.
    struct Camera {
        var position, forward, right, up: Vector3
    }

    /// The room spans from -extent to +extent in x, 0 to extent.y in y, and 0 to extent.z in z.
    var extent: Vector3
    var floor, wall, ceiling: Texture
    var solids: [Solid]
    var lights: [Light]
    var camera: Camera

    /// Draws scene `index` of a seed.
    ///
    /// The camera stands near one wall, always at about the same height and with the same upright, slightly lowered
    /// view, so that the position in the image tells something about class, depth and normal, but not all.
    init(seed: UInt64, index: Int) {
        var random = CounterRandom(seed: seed, name: "scene", UInt64(index))
        func draw(_ range: ClosedRange<Double>) -> Float { Float(random.uniform(range)) }
        extent = Vector3(draw(1.6...2.8), draw(2.3...2.9), draw(3.6...6))
        floor = Texture(&random)
        wall = Texture(&random)
        ceiling = Texture(&random)

        let position = Vector3(draw(-0.5...0.5) * extent.x, draw(1.35...1.5), draw(0.25...0.6))
        // Turned towards the middle of the room, give or take.
        let yaw = draw(-0.4...0.4) - 0.25 * position.x / extent.x
        let pitch = draw(0.14...0.24)
        let heading = Vector3(sin(yaw), 0, cos(yaw))
        camera = Camera(
            position: position, forward: Vector3(heading.x * cos(pitch), -sin(pitch), heading.z * cos(pitch)),
            right: Vector3(heading.z, 0, -heading.x),
            up: Vector3(heading.x * sin(pitch), cos(pitch), heading.z * sin(pitch)))

        lights = [
            Light(
                position: Vector3(draw(-0.7...0.7) * extent.x, extent.y - 0.25, draw(0.15...0.8) * extent.z),
                intensity: draw(0.55...0.75)),
            Light(
                position: Vector3(draw(-0.7...0.7) * extent.x, extent.y - 0.4, draw(0.1...0.5) * extent.z),
                intensity: draw(0.15...0.3)),
        ]
        solids = []
        let wanted = 3 + random.integer(below: 6)
        var tries = 0
        while solids.count < wanted, tries < 60 {
            tries += 1
            let solid = Self.solid(&random, extent: extent, camera: camera, first: solids.count)
            if let solid, !solids.contains(where: { Self.touch($0, solid) }) { solids.append(solid) }
        }
    }

    /// Draws a solid inside the camera's view, or nil if it would stand in a wall.
    private static func solid(
        _ random: inout CounterRandom, extent: Vector3, camera: Camera, first number: Int
    ) -> Solid? {
        func draw(_ range: ClosedRange<Double>) -> Float { Float(random.uniform(range)) }
        // The first three show one of each shape where they fit; the others are free.
        let shapes = [Solid.Shape.box, .sphere, .cylinder]
        let shape = number < 3 ? shapes[number] : shapes[random.integer(below: 3)]
        let distance = draw(1.5...5)
        let bearing = draw(-0.55...0.55)
        let ahead = Vector3(camera.forward.x, 0, camera.forward.z).normalized
        let foot = camera.position + (ahead * cos(bearing) + camera.right * sin(bearing)) * distance
        let half: Vector3
        switch shape {
        case .box: half = Vector3(draw(0.18...0.5), draw(0.15...0.75), draw(0.18...0.5))
        case .sphere:
            let radius = draw(0.2...0.5)
            half = Vector3(radius, radius, radius)
        case .cylinder:
            let radius = draw(0.12...0.35)
            half = Vector3(radius, draw(0.2...0.8), radius)
        }
        let turn = draw(-0.8...0.8)
        let texture = Texture(&random)
        let margin = (half.x * half.x + half.z * half.z).squareRoot()
        guard abs(foot.x) + margin < extent.x, foot.z + margin < extent.z, foot.z - margin > 0 else { return nil }
        return Solid(
            shape: shape, center: Vector3(foot.x, half.y, foot.z), half: half, cosine: cos(turn), sine: sin(turn),
            texture: texture)
    }

    private static func touch(_ a: Solid, _ b: Solid) -> Bool {
        let (dx, dz) = (a.center.x - b.center.x, a.center.z - b.center.z)
        let reach = max(a.half.x, a.half.z) + max(b.half.x, b.half.z) + 0.1
        return dx * dx + dz * dz < reach * reach
    }
}
