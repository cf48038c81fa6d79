/// How colours enter the network: in which order, and what is made of a stored value 0...255.
///
///     y = (x − mean) · factor
public struct ImageNormalisation: Sendable, Equatable {
    /// Which stored channel, 0 red to 2 blue, each of the network's three is.
    public let order: SIMD3<Int>
    /// What is subtracted from each of the network's channels, and what the difference is multiplied by.
    public let mean, factor: SIMD3<Float>

    /// B,G,R 0...255 minus (104.00698793, 116.66876762, 122.67891434): the published networks of pixels.
    public static let published = ImageNormalisation(
        order: SIMD3(2, 1, 0), mean: SIMD3(104.00698793, 116.66876762, 122.67891434), factor: SIMD3(repeating: 1))

    /// R,G,B / 255, minus (.485, .456, .406), over (.229, .224, .225): networks that begin with ImageNet's weights.
    public static let standardisedRGB = ImageNormalisation(
        order: SIMD3(0, 1, 2), mean: SIMD3(0.485, 0.456, 0.406) * 255, factor: 1 / (255 * SIMD3(0.229, 0.224, 0.225)))

    /// R,G,B from −1 to 1: some networks of timm.
    public static let centredRGB = ImageNormalisation(
        order: SIMD3(0, 1, 2), mean: SIMD3(repeating: 127.5), factor: SIMD3(repeating: 1 / 127.5))

    /// The colours in their order, what is subtracted from each, and what differences are multiplied by.
    public var text: String {
        let colours = (0..<3).map { ["R", "G", "B"][order[$0]] }.joined(separator: ",")
        func list(_ values: SIMD3<Float>) -> String { (0..<3).map { "\(values[$0])" }.joined(separator: ", ") }
        return "\(colours) 0...255, minus (\(list(mean)))"
            + (factor == SIMD3(repeating: 1) ? "" : ", times (\(list(factor)))")
    }
}
