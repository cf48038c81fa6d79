/// A key point strength for each pixel, −1 to 1; absolute error.
public struct Keypoints: StrengthKind {
    public static let name = "keypoints"
    public static let publishedName: String? = "keypoint"
    public static let meaning = "a key point strength for each pixel"

    public init(_ task: TaskConfiguration) {}
}
