/// An edge strength for each pixel, −1 to 1; absolute error.
public struct Edges: StrengthKind {
    public static let name = "edges"
    public static let publishedName: String? = "edge"
    public static let meaning = "an edge strength for each pixel"

    public init(_ task: TaskConfiguration) {}
}
