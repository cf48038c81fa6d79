/// Checks an analytic gradient against central differences of its forward function.
public enum FiniteDifference {
    /// The numeric gradient of a scalar function.
    ///
    ///     (f(x + h·eᵢ) − f(x − h·eᵢ)) / 2h for every element i
    ///
    /// - Parameter step: h; the truncation error is of order h², the rounding error of order 1e-16·|f|/h.
    public static func gradient(at x: Tensor, step: Double = 1e-6, of function: (Tensor) -> Double) -> Tensor {
        var (point, result) = (x, Tensor.zeros(shape: x.shape))
        for index in 0..<x.count {
            point.values[index] = x.values[index] + step
            let above = function(point)
            point.values[index] = x.values[index] - step
            let below = function(point)
            point.values[index] = x.values[index]
            result.values[index] = (above - below) / (2 * step)
        }
        return result
    }

    /// The largest difference of any element between an analytic and the numeric gradient.
    ///
    /// - Returns: the difference relative to the largest magnitude in the numeric gradient, but at least to 1e-3, below
    ///   which rounding dominates; infinite if the shapes differ or a value is not finite.
    public static func error(
        of analytic: Tensor, at x: Tensor, step: Double = 1e-6, function: (Tensor) -> Double
    ) -> Double {
        guard analytic.shape == x.shape else { return .infinity }
        let numeric = gradient(at: x, step: step, of: function)
        let difference = analytic.zip(numeric) { abs($0 - $1) }
        if difference.values.contains(where: { !$0.isFinite }) { return .infinity }
        return difference.maximumMagnitude / max(numeric.maximumMagnitude, 1e-3)
    }
}
