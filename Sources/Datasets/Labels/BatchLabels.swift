/// One label of every image of a batch.
public struct BatchLabels: Sendable, Equatable {
    /// How the values lie.
    public let format: LabelFormat
    /// Classes, shape [N, height, width] or [N]; empty for numbers.
    public private(set) var classes: [Int32] = []
    /// Numbers, shape [N, height, width, channels] or [N, channels]; empty for classes.
    public private(set) var numbers: [Float] = []
    /// Whether each image carries the label in a pixel of its crop at least; where not, all its values are absent ones.
    public private(set) var isCarried: [Bool] = []

    /// Creates labels without values.
    public init(format: LabelFormat) { self.format = format }

    /// Creates labels from their values.
    ///
    /// - Parameters:
    ///   - format: what a value is, and how many an image has.
    ///   - images: number of images N.
    ///   - classes: [N, height, width] or [N], row-major; empty for numbers.
    ///   - numbers: [N, height, width, channels] or [N, channels], row-major; empty for classes.
    ///   - isCarried: which images carry them; nil for all. Values of others are taken for absent.
    /// - Precondition: the values are of the format's element, and as many for each image.
    public init(
        format: LabelFormat, images: Int, classes: [Int32] = [], numbers: [Float] = [], isCarried: [Bool]? = nil
    ) {
        precondition(format.element == .classes ? numbers.isEmpty : classes.isEmpty, "values of another element")
        self.format = format
        self.classes = classes
        self.numbers = numbers
        self.isCarried = isCarried ?? Array(repeating: true, count: images)
        precondition(self.isCarried.count == images, "\(self.isCarried.count) images, not \(images)")
        for (image, _) in self.isCarried.enumerated().filter({ !$0.element }) {
            let perImage = (classes.count + numbers.count) / images
            for index in image * perImage..<(image + 1) * perImage {
                if format.element == .classes {
                    self.classes[index] = Int32(format.absent)
                } else {
                    self.numbers[index] = Float(format.absent)
                }
            }
        }
    }

    /// Whether no image carries the label.
    public var isAbsent: Bool { !isCarried.contains(true) }

    /// Makes room, so that appending never moves what is there.
    mutating func reserve(images: Int, pixels: Int) {
        let count = images * format.channels * (format.extent == .pixels ? pixels : 1)
        if format.element == .classes { classes.reserveCapacity(count) } else { numbers.reserveCapacity(count) }
        isCarried.reserveCapacity(images)
    }

    /// Appends one image's label, cropped as the image is.
    ///
    /// - Parameters:
    ///   - map: nil for an image without the label.
    ///   - pixels: for every pixel of the crop the one it is taken from, row-major; −1 for padding.
    ///   - isMirrored: whether the crop is.
    mutating func append(_ map: LabelMap?, at pixels: [Int32], isMirrored: Bool) {
        let places = format.extent == .pixels ? pixels : [0]
        guard let map else {
            isCarried.append(false)
            switch format.element {
            case .classes: classes += repeatElement(Int32(format.absent), count: places.count)
            case .numbers: numbers += repeatElement(Float(format.absent), count: places.count * format.channels)
            }
            return
        }
        precondition(map.channels == format.channels, "\(map.channels) channels for \(format)")
        switch (format.element, map.values) {
        case (.classes, .bytes(let values)): appendClasses(places, map, values)
        case (.classes, .integers(let values)): appendClasses(places, map, values)
        case (.classes, .numbers): preconditionFailure("numbers where classes are wanted")
        case (.numbers, .bytes(let values)): appendNumbers(places, map, isMirrored, values) { Float($0) }
        case (.numbers, .integers(let values)): appendNumbers(places, map, isMirrored, values) { Float($0) }
        case (.numbers, .numbers(let values)): appendNumbers(places, map, isMirrored, values) { $0 }
        }
        let isClass = format.element == .classes
        isCarried.append(
            isClass
                ? classes.suffix(places.count).contains { $0 != Int32(format.absent) }
                : numbers.suffix(places.count * format.channels).contains { $0 != Float(format.absent) })
    }

    private mutating func appendClasses<Stored: FixedWidthInteger>(
        _ places: [Int32], _ map: LabelMap, _ values: [Stored]
    ) {
        let absent = Int32(format.absent)
        let marker = map.absent.map { Int32($0) } ?? absent
        let start = classes.count
        classes.append(contentsOf: repeatElement(absent, count: places.count))
        classes.withUnsafeMutableBufferPointer { classes in
            values.withUnsafeBufferPointer { values in
                for (offset, place) in places.enumerated() where place >= 0 {
                    let found = Int32(values[Int(place)])
                    classes[start + offset] = found == marker ? absent : found
                }
            }
        }
    }

    private mutating func appendNumbers<Stored>(
        _ places: [Int32], _ map: LabelMap, _ isMirrored: Bool, _ values: [Stored], _ number: (Stored) -> Float
    ) {
        let (channels, absent) = (format.channels, Float(format.absent))
        let marker = map.absent.map { Float($0) } ?? absent
        let reflects = isMirrored && format.mirroring == .reflectsFirstChannel
        let start = numbers.count
        numbers.append(contentsOf: repeatElement(absent, count: places.count * channels))
        numbers.withUnsafeMutableBufferPointer { numbers in
            values.withUnsafeBufferPointer { values in
                for (offset, place) in places.enumerated() where place >= 0 {
                    let at = start + offset * channels
                    var isBelow = true
                    for channel in 0..<channels {
                        let found = number(values[Int(place) * channels + channel])
                        numbers[at + channel] = found == marker ? absent : found
                        isBelow = isBelow && numbers[at + channel] < 255
                    }
                    // 255 would make a valid pixel invalid.
                    if reflects, isBelow { numbers[at] = min(254, 255 - numbers[at]) }
                }
            }
        }
    }
}
