/// A convex object standing in a room: a box turned about the vertical, a sphere, or an upright cylinder.
struct Solid {
    enum Shape { case box, sphere, cylinder }

    var shape: Shape
    var center: Vector3
    /// Half the extents: of a box along its own axes; (radius, radius, radius) of a sphere; (radius, half height,
    /// radius) of a cylinder.
    var half: Vector3
    /// Cosine and sine of the turn about the vertical.
    var cosine: Float = 1
    var sine: Float = 0
    var texture: Texture

    /// Radius of a sphere about the centre that holds the solid.
    var bound: Float {
        switch shape {
        case .sphere: half.x
        case .box: half.length
        case .cylinder: (half.x * half.x + half.y * half.y).squareRoot()
        }
    }

    /// Where a ray from outside first meets the solid: the smallest t in (1e-3, limit), or nil.
    func intersect(_ ray: Ray, limit: Float) -> (t: Float, normal: Vector3)? {
        let origin = ray.origin - center
        // The bounding sphere answers most rays.
        let a = ray.direction.dot(ray.direction)
        let b = origin.dot(ray.direction)
        let c = origin.dot(origin) - bound * bound
        let discriminant = b * b - a * c
        guard discriminant > 0, c < 0 || b < 0 else { return nil }
        let local = Ray(origin: origin.turned(cosine, -sine), direction: ray.direction.turned(cosine, -sine))
        let hit: (t: Float, normal: Vector3)?
        switch shape {
        case .sphere:
            let t = (-b - discriminant.squareRoot()) / a
            hit = t > 1e-3 ? (t, local.point(t) * (1 / half.x)) : nil
        case .box: hit = intersectBox(local)
        case .cylinder: hit = intersectCylinder(local)
        }
        guard let hit, hit.t < limit else { return nil }
        return (hit.t, hit.normal.turned(cosine, sine))
    }

    private func intersectBox(_ ray: Ray) -> (t: Float, normal: Vector3)? {
        var near = -Float.infinity
        var far = Float.infinity
        var normal = Vector3(0, 0, 0)
        func slab(_ origin: Float, _ direction: Float, _ half: Float, _ axis: Vector3) {
            let inverse = 1 / (direction == 0 ? 1e-20 : direction)
            let first = (-half - origin) * inverse
            let second = (half - origin) * inverse
            if min(first, second) > near {
                near = min(first, second)
                normal = axis * (direction > 0 ? -1 : 1)
            }
            far = min(far, max(first, second))
        }
        slab(ray.origin.x, ray.direction.x, half.x, Vector3(1, 0, 0))
        slab(ray.origin.y, ray.direction.y, half.y, Vector3(0, 1, 0))
        slab(ray.origin.z, ray.direction.z, half.z, Vector3(0, 0, 1))
        return near <= far && near > 1e-3 ? (near, normal) : nil
    }

    private func intersectCylinder(_ ray: Ray) -> (t: Float, normal: Vector3)? {
        let (o, d) = (ray.origin, ray.direction)
        var best: (t: Float, normal: Vector3)?
        let a = d.x * d.x + d.z * d.z
        let b = o.x * d.x + o.z * d.z
        let discriminant = b * b - a * (o.x * o.x + o.z * o.z - half.x * half.x)
        if a > 1e-12, discriminant > 0 {
            let t = (-b - discriminant.squareRoot()) / a
            let p = ray.point(t)
            if t > 1e-3, abs(p.y) <= half.y { best = (t, Vector3(p.x / half.x, 0, p.z / half.x)) }
        }
        if abs(d.y) > 1e-12 {
            let side: Float = d.y > 0 ? -1 : 1
            let t = (side * half.y - o.y) / d.y
            let p = ray.point(t)
            if t > 1e-3, t < best?.t ?? .infinity, p.x * p.x + p.z * p.z <= half.x * half.x {
                best = (t, Vector3(0, side, 0))
            }
        }
        return best
    }
}
