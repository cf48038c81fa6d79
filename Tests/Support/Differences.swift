/// The largest difference of two lists, in parts of the first's largest value; infinite where one is not finite.
public func largestDifference(_ a: [Float], _ b: [Float]) -> Double {
    guard a.count == b.count else { return .infinity }
    var (range, largest) = (0.0, 0.0)
    for index in a.indices {
        guard a[index].isFinite, b[index].isFinite else { return .infinity }
        range = max(range, abs(Double(a[index])))
        largest = max(largest, abs(Double(a[index]) - Double(b[index])))
    }
    return largest == 0 ? 0 : largest / range
}

/// The length of the difference in parts of the first's length: Adam makes steps of full size where a gradient is no
/// more than rounding.
public func distance(_ a: [Float], _ b: [Float]) -> Double {
    guard a.count == b.count else { return .infinity }
    var (apart, length) = (0.0, 0.0)
    for index in a.indices {
        let (value, difference) = (Double(a[index]), Double(a[index]) - Double(b[index]))
        length += value * value
        apart += difference * difference
    }
    return apart == 0 ? 0 : (apart / length).squareRoot()
}
