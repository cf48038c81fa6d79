/// Counts over one label, of a sample or of many.
struct LabelCount: Sendable {
    /// Sum and ends of the finite numbers of a channel.
    struct Range: Sendable {
        var low = Float.infinity
        var high = -Float.infinity
        var sum = 0.0
        var count = 0
    }

    /// Pixels, or images where a label is the whole image's; those of them without a label.
    private(set) var places = 0
    private(set) var absent = 0
    /// Samples that carry the label and have no place with one.
    private(set) var blanks = 0
    /// Colours that stand for a direction and say none, as far as a byte tells: the middle of all channels.
    private(set) var greys = 0
    /// Places of each class.
    private(set) var classes: [Int] = []
    private(set) var ranges: [Range] = []

    /// A value that training would stop at.
    struct Fault: Sendable {
        /// The first place that has one.
        let place: Int
        let found, expected: String
    }

    init(_ request: LabelRequest) {
        switch request.format.element {
        // As many as 16 bits hold where nothing says how many there are.
        case .classes: classes = [Int](repeating: 0, count: request.classes ?? 1 << 16)
        case .numbers: ranges = [Range](repeating: Range(), count: request.format.channels)
        }
    }

    /// Counts the label of one sample.
    ///
    /// - Returns: what is wrong with it.
    mutating func add(_ map: LabelMap, _ request: LabelRequest) -> Fault? {
        let before = places - absent
        defer { if places - absent == before { blanks += 1 } }
        switch request.format.element {
        case .classes: return addClasses(map, request)
        case .numbers: return addNumbers(map, request.format)
        }
    }

    private mutating func addClasses(_ map: LabelMap, _ request: LabelRequest) -> Fault? {
        guard let values = map.integers else {
            return Fault(place: 0, found: "numbers", expected: request.format.summary)
        }
        let none = Int32(request.format.absent)
        let marker = map.absent.map { Int32($0) } ?? none
        var (wrong, first) = (0, 0)
        let limit = classes.count
        classes.withUnsafeMutableBufferPointer { counts in
            for (place, value) in values.enumerated() {
                if value == marker || value == none {
                    absent += 1
                } else if value >= 0, value < limit {
                    counts[Int(value)] += 1
                } else {
                    if wrong == 0 { first = place }
                    wrong += 1
                }
            }
        }
        places += values.count
        guard wrong > 0 else { return nil }
        return Fault(
            place: first, found: "class \(values[first])" + (wrong > 1 ? " and \(wrong - 1) others out of range" : ""),
            expected: "0...\(limit - 1), or \(none) for none")
    }

    private mutating func addNumbers(_ map: LabelMap, _ format: LabelFormat) -> Fault? {
        let values = map.floats
        let marker = map.absent.map { Float($0) }
        let channels = format.channels
        var (wrong, first) = (0, 0)
        values.withUnsafeBufferPointer { values in
            for place in 0..<values.count / channels {
                let range = place * channels..<(place + 1) * channels
                guard format.isLabel(values[range], marker: marker) else {
                    absent += 1
                    continue
                }
                if format.mirroring == .reflectsFirstChannel, values[range].allSatisfy({ abs($0 - 127.5) < 1 }) {
                    greys += 1
                }
                for (channel, index) in range.enumerated() {
                    let value = values[index]
                    guard value.isFinite else {
                        if wrong == 0 { first = index }
                        wrong += 1
                        continue
                    }
                    ranges[channel].low = min(ranges[channel].low, value)
                    ranges[channel].high = max(ranges[channel].high, value)
                    ranges[channel].sum += Double(value)
                    ranges[channel].count += 1
                }
            }
        }
        places += values.count / channels
        guard wrong > 0 else { return nil }
        return Fault(
            place: first / channels, found: "\(values[first])" + (wrong > 1 ? " and \(wrong - 1) others" : ""),
            expected: "finite numbers, or an invalid value for pixels without a label")
    }

    /// Adds the counts of a sample.
    static func += (sum: inout LabelCount, one: LabelCount) {
        sum.places += one.places
        sum.absent += one.absent
        sum.blanks += one.blanks
        sum.greys += one.greys
        for (index, count) in one.classes.enumerated() { sum.classes[index] += count }
        for (index, range) in one.ranges.enumerated() {
            sum.ranges[index].low = min(sum.ranges[index].low, range.low)
            sum.ranges[index].high = max(sum.ranges[index].high, range.high)
            sum.ranges[index].sum += range.sum
            sum.ranges[index].count += range.count
        }
    }
}

extension LabelCount {
    /// What a report says of the label.
    ///
    /// - Parameter splits: whose carriers are counted.
    func facts(_ request: LabelRequest, of dataset: any Dataset, in splits: [(name: String, indices: [Int])])
        -> DatasetFacts.Label
    {
        let isClass = request.format.element == .classes
        let known = request.classes ?? classes.lastIndex { $0 > 0 }.map { $0 + 1 } ?? 0
        return DatasetFacts.Label(
            name: request.name, format: request.format.summary,
            carriers: Dictionary(
                uniqueKeysWithValues: splits.map { ($0.name, dataset.carriers(of: request.name, among: $0.indices)) }),
            places: places, placesWithoutLabel: absent, classes: isClass ? Array(classes.prefix(known)) : nil,
            numbers: isClass
                ? nil
                : ranges.allSatisfy { $0.count > 0 }
                    ? ranges.map {
                        DatasetFacts.Numbers(
                            minimum: Double($0.low), maximum: Double($0.high), mean: $0.sum / Double($0.count))
                    } : [])
    }
}

extension LabelMap {
    /// The values as classes; nil where they are numbers.
    fileprivate var integers: [Int32]? {
        switch values {
        case .bytes(let values): values.map { Int32($0) }
        case .integers(let values): values
        case .numbers: nil
        }
    }

    fileprivate var floats: [Float] {
        switch values {
        case .bytes(let values): values.map { Float($0) }
        case .integers(let values): values.map { Float($0) }
        case .numbers(let values): values
        }
    }
}
