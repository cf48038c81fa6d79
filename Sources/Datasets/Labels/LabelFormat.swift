/// How the labels of a task lie in a batch, whatever files they come from.
public struct LabelFormat: Sendable, Hashable {
    /// What a value is.
    public enum Element: String, Sendable, Hashable {
        /// A class, counted from 0: Int32.
        case classes
        /// A number: float32.
        case numbers
    }

    /// What a value belongs to.
    public enum Extent: String, Sendable, Hashable {
        /// One label for each pixel.
        case pixels
        /// One label for the whole image.
        case image
    }

    /// What mirroring an image does to its labels, beside moving them.
    public enum Mirroring: Sendable, Hashable {
        /// Nothing.
        case unchanged
        /// The first channel c of a pixel whose channels are all below 255 becomes min(254, 255 − c): the x of a
        /// direction that is stored as a colour, of which 255 means that there is none.
        case reflectsFirstChannel
    }

    /// What a value is.
    public var element: Element
    /// What a value belongs to.
    public var extent: Extent
    /// Values of a pixel or image.
    public var channels: Int
    /// What says that a pixel has no label, in every channel: padding gets it, and images without the label.
    public var absent: Double
    /// What mirroring does.
    public var mirroring: Mirroring

    /// Creates a format.
    ///
    /// - Precondition: classes have one channel.
    public init(
        _ element: Element, extent: Extent = .pixels, channels: Int = 1, absent: Double,
        mirroring: Mirroring = .unchanged
    ) {
        precondition(element == .numbers || channels == 1, "\(channels) channels of classes")
        self.element = element
        self.extent = extent
        self.channels = channels
        self.absent = absent
        self.mirroring = mirroring
    }

    /// Whether the numbers of a pixel or image are a label: not all absent, and as a direction that is stored as a
    /// colour without a channel of 255.
    ///
    /// - Parameters:
    ///   - values: all channels of one pixel or image.
    ///   - marker: another value that says that there is none.
    public func isLabel(_ values: some Collection<Float>, marker: Float? = nil) -> Bool {
        let none = Float(absent)
        return values.contains { $0 != none && $0 != marker }
            && !(mirroring == .reflectsFirstChannel && values.contains { $0 >= 255 })
    }

    /// Such as "3 numbers for each pixel".
    public var summary: String {
        let values = element == .classes ? "a class" : channels == 1 ? "a number" : "\(channels) numbers"
        return values + (extent == .pixels ? " for each pixel" : " for each image")
    }
}

/// A label that tasks ask a data set for.
public struct LabelRequest: Sendable, Hashable {
    /// The data set's name for it.
    public var name: String
    /// How it is wanted.
    public var format: LabelFormat
    /// For classes, how many there are: labels must be below; nil where numbers are asked for.
    public var classes: Int?
    /// Where the configuration asks for it, such as `tasks.0`, for messages.
    public var place: String

    /// Creates a request.
    public init(name: String, format: LabelFormat, classes: Int? = nil, place: String = "tasks") {
        self.name = name
        self.format = format
        self.classes = classes
        self.place = place
    }
}
