import AdaShareOperators
import AdaShareSupport
import Foundation

/// What a network with a policy costs for one image, or one of each where tasks are given different ones; encodes to
/// the JSON of the `cost` command.
public struct CostReport: Sendable, Hashable, Codable {
    /// Stem, projections and blocks.
    public struct Backbone: Sendable, Hashable, Codable {
        /// One pass per task with every block.
        public let macsAll: Int
        /// One pass per task with the policy.
        public let macsSelected: Int
        /// Every distinct (input, block) once.
        public let macsShared: Int
        /// The same where every task selects every block: what a policy is compared with.
        public let macsHardSharing: Int
        /// Trainable parameters, scales and shifts of batch norms included.
        public let parameters: Int
        /// Images that are passed side by side, where tasks are given different ones: hard sharing has a pass for each.
        public let images: Int?
    }

    /// Everything below the heads, where that is another network than the backbone under a policy.
    public struct Network: Sendable, Hashable, Codable {
        /// Multiply-accumulates of one image, for all tasks.
        public let macs: Int
        /// Trainable parameters, scales and shifts of batch norms included.
        public let parameters: Int
        /// True where images take paths of their own, none of which costs more; nil where all cost the same.
        public let isMost: Bool?
    }

    /// All heads together.
    public struct Heads: Sendable, Hashable, Codable {
        /// Multiply-accumulates of one execution of each head.
        public let macs: Int
        /// Trainable parameters, biases included.
        public let parameters: Int
    }

    /// One residual block.
    public struct Block: Sendable, Hashable, Codable {
        /// From 0 at the bottom.
        public let index: Int
        /// Parameter prefix, such as `backbone.blocks.0.1`.
        public let name: String
        /// MACs of the branch for one execution.
        public let macs: Int
        /// MACs of the projection for one execution, 0 without one.
        public let projectionMacs: Int
        /// Trainable parameters of branch and projection.
        public let parameters: Int
        /// Names of the tasks that select the block, in task order.
        public let selectedBy: [String]
    }

    /// Stem, projections and blocks, under the policy and under what it is compared with.
    public let backbone: Backbone
    /// What is used instead of the backbone under a policy; nil where nothing is.
    public let network: Network?
    /// Sums over the heads of all tasks; no policy changes them.
    public let heads: Heads
    /// Each residual block with the tasks that select it, bottom to top.
    public let blocks: [Block]

    /// Multiply-accumulates below the heads: of a network of its own, or under the policy with common work once.
    public var macs: Int { network?.macs ?? backbone.macsShared }
    /// Trainable parameters below the heads.
    public var parameters: Int { network?.parameters ?? backbone.parameters }

    /// The report as text for a person: totals with and without heads, then one line per block, counted from 1.
    public func table() -> String { totals + "\n" + perBlock }

    /// Multiply-accumulates and parameters in all.
    public var totals: String { totals(nil, marked: "") }

    /// The same with a mark behind what a policy costs in a form.
    ///
    /// - Parameters:
    ///   - form: of the cost; nil marks nothing.
    ///   - mark: what stands there.
    ///   - hasPolicy: whether there is a policy to speak of.
    package func totals(_ form: CostForm?, marked mark: String, hasPolicy: Bool = true) -> String {
        func name(_ text: String, _ own: CostForm) -> String { text + (own == form ? mark : "") }
        let all = [
            [backbone.images == nil ? "MACs per image" : "MACs for an image of each", "backbone", "with heads"],
            total("all blocks, one pass per task", backbone.macsAll),
            total(
                backbone.images.map { "hard sharing, one pass for each of \($0) images" }
                    ?? "hard sharing, one pass for all", backbone.macsHardSharing),
        ]
        let own =
            network.map { [total("the method's network" + ($0.isMost == true ? ", at most" : ""), $0.macs)] }
            ?? (hasPolicy
                ? [
                    total(name("policy, one pass per task", .passes), backbone.macsSelected),
                    total(name("policy, shared once", .shared), backbone.macsShared),
                ] : [])
        let parameters = [["parameters", number(parameters), number(parameters + heads.parameters)]]
        return Self.aligned(all + own + parameters, left: [0])
    }

    private var perBlock: String {
        let lines =
            [["block", "name", "MACs", "projection", "parameters", "selected by"]]
            + blocks.map { block in
                [
                    "\(block.index + 1)", block.name, count(block.macs),
                    block.projectionMacs == 0 ? "-" : count(block.projectionMacs), number(block.parameters),
                    block.selectedBy.isEmpty ? "-" : block.selectedBy.joined(separator: ", "),
                ]
            }
        return Self.aligned(lines, left: [1, 5])
    }

    private func total(_ title: String, _ macs: Int) -> [String] { [title, count(macs), count(macs + heads.macs)] }

    /// In one unit for the whole report: small networks would be 0.00 G throughout.
    private func count(_ macs: Int) -> String {
        let (unit, letter) = backbone.macsAll < 2_000_000_000 ? (1e6, "M") : (1e9, "G")
        return String(format: "%.2f \(letter)", Double(macs) / unit)
    }

    private func number(_ parameters: Int) -> String {
        let (unit, letter) = backbone.parameters < 2_000_000 ? (1e3, "k") : (1e6, "M")
        return String(format: "%.2f \(letter)", Double(parameters) / unit)
    }

    /// Columns padded to their widest cell, those in `left` to the left, the others to the right. Of the last one what
    /// a terminal has no room for goes on below.
    private static func aligned(_ rows: [[String]], left: Set<Int>) -> String {
        let count = rows.first?.count ?? 0
        let widths = (0..<count).map { column in rows.reduce(0) { max($0, columns(of: $1[column])) } }
        let before = widths.dropLast().reduce(0) { $0 + $1 + 2 }
        return rows.flatMap { row -> [String] in
            let parts = wrapped(row.last ?? "", to: max(20, Table.width - before))
            return parts.enumerated().map { part, last in
                let cells = part == 0 ? row.dropLast() + [last] : Array(repeating: "", count: count - 1) + [last]
                var line = cells.enumerated().map { column, cell in
                    let padding = String(repeating: " ", count: max(0, widths[column] - columns(of: cell)))
                    return left.contains(column) ? cell + padding : padding + cell
                }.joined(separator: "  ")
                while line.hasSuffix(" ") { line.removeLast() }
                return line + "\n"
            }
        }.joined()
    }

    /// A list as lines of at most so many columns, where its names allow that.
    private static func wrapped(_ list: String, to width: Int) -> [String] {
        let names = list.components(separatedBy: ", ")
        return names.enumerated().reduce(into: [String]()) { lines, item in
            let name = item.element + (item.offset < names.count - 1 ? "," : "")
            if let last = lines.last, columns(of: last) + 1 + columns(of: name) <= width {
                lines[lines.count - 1] = last + " " + name
            } else {
                lines.append(name)
            }
        }
    }
}
