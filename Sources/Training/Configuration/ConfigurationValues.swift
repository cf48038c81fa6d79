import Models
import Operators
import Schema
import Yams

extension BackboneKind: ConfigurationChoice {}
extension HeadKind: ConfigurationChoice {}
extension ModelPrecision: ConfigurationChoice {}
extension RegulariserForm: ConfigurationChoice {}
extension CostForm: ConfigurationChoice {}

extension AlternationLength: ConfigurationInteger {
    public static func expectation(in range: ClosedRange<Int>) -> String {
        "epoch, or a number of iterations \(range.text)"
    }
    public init?(node: Node, in range: ClosedRange<Int>) {
        if node.plain == "epoch" {
            self = .epoch
        } else {
            guard let count = Int(node: node, in: range) else { return nil }
            self = .iterations(count)
        }
    }
    public var node: Node {
        switch self {
        case .epoch: Node("epoch")
        case .iterations(let count): count.node
        }
    }
}
