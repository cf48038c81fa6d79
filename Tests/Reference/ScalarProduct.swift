extension Reference {
    /// a · b of two numbers.
    public static func scalarProduct(_ a: Double, _ b: Double) -> Double { a * b }

    /// The gradients of `scalarProduct`.
    public static func scalarProductGradient(_ a: Double, _ b: Double, dy: Double) -> (da: Double, db: Double) {
        (dy * b, dy * a)
    }
}
