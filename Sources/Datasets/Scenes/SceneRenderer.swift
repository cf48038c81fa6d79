import AdaShareSupport
import Foundation

/// The pictures and per-pixel geometry of a scene, row-major.
struct Rendering {
    var image: [UInt8] = []
    /// What is seen, as `SceneClasses.shape` numbers it.
    var classes: [UInt8] = []
    /// The texture of what is seen, as `SceneClasses.pattern` numbers it.
    var patterns: [UInt8] = []
    /// Unit normals in camera coordinates: x right, y up, z towards the viewer.
    var normals: [Vector3] = []
    /// Distance along the optical axis, metres.
    var depth: [Float] = []
}

extension Scene {
    private struct Surface {
        var t: Float
        var normal: Vector3
        var label: UInt8
        var texture: Texture
    }

    /// Half the smaller image side over the focal length: a field of view of 66°.
    private static let halfView: Float = 0.65

    /// Casts one ray through the centre of every pixel.
    ///
    /// - Parameter noise: stream of the sensor's noise, of about ±2 of 255.
    func render(height: Int, width: Int, noise: CounterRandom) -> Rendering {
        var noise = noise
        var out = Rendering()
        let count = height * width
        out.image.reserveCapacity(3 * count)
        out.classes.reserveCapacity(count)
        out.patterns.reserveCapacity(count)
        out.normals.reserveCapacity(count)
        out.depth.reserveCapacity(count)
        let scale = 2 * Self.halfView / Float(min(height, width))
        for row in 0..<height {
            let vertical = camera.forward + camera.up * ((Float(height) * 0.5 - Float(row) - 0.5) * scale)
            for column in 0..<width {
                let across = (Float(column) + 0.5 - Float(width) * 0.5) * scale
                // Not normalised: with a forward component of 1, t is the depth along the optical axis.
                let ray = Ray(origin: camera.position, direction: vertical + camera.right * across)
                let surface = nearest(ray)
                let colour = shade(surface, at: ray.point(surface.t))
                let bits = noise.next()
                out.image.append(Self.quantise(colour.x, bits))
                out.image.append(Self.quantise(colour.y, bits >> 16))
                out.image.append(Self.quantise(colour.z, bits >> 32))
                out.classes.append(surface.label)
                out.patterns.append(surface.texture.pattern.rawValue)
                out.depth.append(surface.t)
                out.normals.append(
                    Vector3(
                        surface.normal.dot(camera.right), surface.normal.dot(camera.up),
                        -surface.normal.dot(camera.forward)))
            }
        }
        return out
    }

    /// The first surface a ray from inside the room meets.
    private func nearest(_ ray: Ray) -> Surface {
        var best = room(ray)
        for solid in solids {
            guard let hit = solid.intersect(ray, limit: best.t) else { continue }
            let label: UInt8
            switch solid.shape {
            case .box: label = 3
            case .sphere: label = 4
            case .cylinder: label = 5
            }
            best = Surface(t: hit.t, normal: hit.normal, label: label, texture: solid.texture)
        }
        return best
    }

    private func room(_ ray: Ray) -> Surface {
        func reach(_ origin: Float, _ direction: Float, _ low: Float, _ high: Float) -> Float {
            direction == 0 ? .infinity : ((direction > 0 ? high : low) - origin) / direction
        }
        let (o, d) = (ray.origin, ray.direction)
        let x = reach(o.x, d.x, -extent.x, extent.x)
        let y = reach(o.y, d.y, 0, extent.y)
        let z = reach(o.z, d.z, 0, extent.z)
        if y < x, y < z {
            let up = d.y > 0
            return Surface(
                t: y, normal: Vector3(0, up ? -1 : 1, 0), label: up ? 2 : 0, texture: up ? ceiling : floor)
        }
        let normal = x < z ? Vector3(d.x > 0 ? -1 : 1, 0, 0) : Vector3(0, 0, d.z > 0 ? -1 : 1)
        return Surface(t: min(x, z), normal: normal, label: 1, texture: wall)
    }

    /// Reflectance times ambient light, a fill light from the camera's upper left and the lamps that are not hidden.
    private func shade(_ surface: Surface, at point: Vector3) -> Vector3 {
        let normal = surface.normal
        let fill = (camera.up * 0.5 - camera.right * 0.7 - camera.forward * 0.5)
        var light = 0.22 + 0.06 * normal.y + 0.3 * max(0, normal.dot(fill))
        for lamp in lights {
            let way = lamp.position - point
            let distance = way.length
            let facing = normal.dot(way) / distance
            guard facing > 0, !isHidden(Ray(origin: point + normal * 2e-3, direction: way)) else { continue }
            light += lamp.intensity * facing * 1.6 / (1 + 0.12 * distance * distance)
        }
        return surface.texture.colour(at: point) * light
    }

    private func isHidden(_ ray: Ray) -> Bool {
        for solid in solids where solid.intersect(ray, limit: 1) != nil { return true }
        return false
    }

    /// A brightness with triangular noise from 16 bits, as an 8-bit value.
    private static func quantise(_ value: Float, _ bits: UInt64) -> UInt8 {
        let noise = (Float(bits & 255) + Float((bits >> 8) & 255) - 255) * (4.0 / 255)
        return UInt8(max(0, min(255, (value * 255 + noise).rounded())))
    }
}
