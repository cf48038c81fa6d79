/// One task's head output.
public struct Prediction: Sendable, Equatable {
    /// Size of the output in its own pixels, and outputs of each.
    public let height, width, channels: Int
    /// [N, height, width, channels], row-major.
    public let values: [Float]

    /// Creates a prediction.
    ///
    /// - Precondition: whole images.
    public init(height: Int, width: Int, channels: Int, values: [Float]) {
        precondition(values.count % max(1, height * width * channels) == 0, "no whole images")
        self.height = height
        self.width = width
        self.channels = channels
        self.values = values
    }

    /// [channels, height, width] of the first image, as files carry it.
    public var channelsFirst: [Float] {
        (0..<channels).flatMap { c in (0..<(height * width)).map { values[$0 * channels + c] } }
    }
}
