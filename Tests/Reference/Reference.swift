/// Every operator in float64 and in its plainest form, independent of any device code.
///
/// Activations are [N, H, W, C], convolution weights [R, S, C, K]. Finite differences check each gradient here against
/// its forward function; the device is then compared with these results, every element. Nothing is optimised beyond
/// hoisting offsets out of inner loops.
public enum Reference {
    /// The four extents of an [N, H, W, C] tensor.
    static func extents(_ x: Tensor) -> (n: Int, h: Int, w: Int, c: Int) {
        precondition(x.shape.count == 4, "expected a shape [N, H, W, C], found \(x.shape)")
        return (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    }
}
