/// What a generated scene's segmentation labels tell apart.
///
/// Patterns are drawn independently of shapes, so what one of the two needs, the other must be blind to: patterns are
/// appearance, shapes are geometry, as normals and depth are.
public enum SceneClasses: String, Sendable, CaseIterable {
    /// What a surface belongs to: parts of the room and kinds of solids.
    case shape
    /// The texture of a surface. Stripes that run along a surface's normal, and patterns of two like colours, can
    /// hardly be seen in the image; their label is the pattern all the same.
    case pattern

    /// What the labels mean, in their order from 0.
    public var names: [String] {
        switch self {
        case .shape: ["floor", "wall", "ceiling", "box", "sphere", "cylinder"]
        case .pattern: Texture.Pattern.allCases.map { "\($0)" }
        }
    }
}
