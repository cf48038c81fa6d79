/// A point or direction in metres: x right, y up, z into the room.
///
/// A plain struct, not SIMD3: generic SIMD is slow in unoptimised builds, in which the tests run.
struct Vector3: Equatable {
    var x, y, z: Float

    init(_ x: Float, _ y: Float, _ z: Float) {
        self.x = x
        self.y = y
        self.z = z
    }

    static func + (a: Vector3, b: Vector3) -> Vector3 { Vector3(a.x + b.x, a.y + b.y, a.z + b.z) }
    static func - (a: Vector3, b: Vector3) -> Vector3 { Vector3(a.x - b.x, a.y - b.y, a.z - b.z) }
    static func * (a: Vector3, s: Float) -> Vector3 { Vector3(a.x * s, a.y * s, a.z * s) }

    func dot(_ b: Vector3) -> Float { x * b.x + y * b.y + z * b.z }

    var length: Float { dot(self).squareRoot() }
    var normalized: Vector3 { self * (1 / length) }

    /// This vector turned about the vertical axis through the angle with the given cosine and sine.
    func turned(_ cosine: Float, _ sine: Float) -> Vector3 {
        Vector3(cosine * x + sine * z, y, cosine * z - sine * x)
    }
}

/// Points `origin + t · direction`; the direction need not have unit length.
struct Ray {
    var origin, direction: Vector3

    func point(_ t: Float) -> Vector3 { origin + direction * t }
}
