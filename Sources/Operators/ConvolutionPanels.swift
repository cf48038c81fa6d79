import DeviceLayer

/// A copy of a tensor's channels in panels of `width`, each with all pixels, in the workspace.
struct ConvolutionPanels {
    /// Which input of the operator is copied, and its shape.
    let input: Int
    let shape: Shape
    let width: Int
    /// Where the panels begin, in floats.
    let offset: Int

    /// Pixels per work-item, as in the kernel.
    private static let rows = 64

    func encode(_ e: inout LaunchEncoder) throws {
        try e.launch(
            "convolution_pack", "convolution_panels", options: ["-DB=\(width)"],
            [
                .input(input), .workspace, .int(offset), .int(shape.rows), .int(shape.storedChannels),
                .int(shape.storedChannels / width),
            ], e.library.grid((shape.rows + Self.rows - 1) / Self.rows))
    }
}
