import AdaShareSchema
import Yams

/// A size in pixels, `[H, W]` in a file, or one number for a square.
public struct ImageSize: Sendable, Equatable {
    /// Pixels from top to bottom.
    public var height: Int
    /// Pixels from left to right.
    public var width: Int

    /// Creates a size.
    public init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }
}

extension ImageSize: ConfigurationInteger {
    public static func expectation(in range: ClosedRange<Int>) -> String {
        "[height, width] or one number, in pixels \(range.text)"
    }
    public init?(node: Node, in range: ClosedRange<Int>) {
        if let side = Int(node: node, in: range) {
            self.init(height: side, width: side)
        } else {
            guard let items = node.sequence, items.count == 2, let height = Int(node: items[0], in: range),
                let width = Int(node: items[1], in: range)
            else { return nil }
            self.init(height: height, width: width)
        }
    }
    public var node: Node { Node([height.node, width.node], .implicit, .flow) }
}
