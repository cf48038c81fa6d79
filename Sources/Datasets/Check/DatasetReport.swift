/// What is wrong, or may be, with a data set.
public struct DatasetProblem: Sendable, Equatable, Encodable {
    /// How bad it is.
    public enum Severity: String, Sendable, Encodable {
        /// Training stops at it.
        case error
        /// Training goes on, and may not learn or measure what is meant.
        case warning
    }

    /// How bad it is.
    public let severity: Severity
    /// One line that names the file, sample or label.
    public let message: String

    /// Creates a problem.
    public init(_ severity: Severity, _ message: String) {
        self.severity = severity
        self.message = message
    }
}

/// What a data set holds, counted over all samples without an error of their own.
public struct DatasetFacts: Sendable, Equatable, Encodable {
    /// Samples of a split.
    public struct Split: Sendable, Equatable, Encodable {
        /// Its name, such as `train1`.
        public let name: String
        /// How many images it has.
        public let images: Int
    }

    /// Images of one size.
    public struct Size: Sendable, Equatable, Encodable {
        /// Pixels.
        public let height, width: Int
        /// How many images have it.
        public let images: Int
    }

    /// The finite numbers of one channel of a label.
    public struct Numbers: Sendable, Equatable, Encodable {
        /// In the label's unit, after scale and offset.
        public let minimum, maximum, mean: Double
    }

    /// One label.
    public struct Label: Sendable, Equatable, Encodable {
        /// The data set's name for it.
        public let name: String
        /// Such as "a class for each pixel".
        public let format: String
        /// How many images of each split carry it, by the split's name.
        public let carriers: [String: Int]
        /// Pixels of the decoded images that carry it, or these images where a label is the whole image's.
        public let places: Int
        /// Those of the places that have no label.
        public let placesWithoutLabel: Int
        /// How many places have each class, by its number; nil for numbers.
        public let classes: [Int]?
        /// The channels; nil for classes, empty where no place has a label.
        public let numbers: [Numbers]?

        /// Share of places without a label, 0 to 1; 0 where there are no places.
        public var shareWithoutLabel: Double { Double(placesWithoutLabel) / Double(max(1, places)) }
    }

    /// What the data set is called.
    public let name: String
    /// Samples in all.
    public let samples: Int
    /// Of these, how many an error keeps from being counted, such as a file that is cut, or a class out of range.
    public let undecoded: Int
    /// Splits that have images, in their usual order.
    public let splits: [Split]
    /// Sizes, the most frequent first.
    public let sizes: [Size]
    /// Labels in the order they were asked for.
    public let labels: [Label]
}

/// What a check found.
public struct DatasetReport: Sendable, Equatable {
    /// What there is.
    public let facts: DatasetFacts
    /// What is wrong: errors, then images in two splits, then other warnings; each in the order of the samples.
    public let problems: [DatasetProblem]
}
