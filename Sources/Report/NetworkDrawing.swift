import AdaShareModels
import AdaShareSupport

/// The network under a policy: a lane for each task from image to head, with a box for each time that a block is
/// computed, as high as the lanes that it is computed for.
///
/// Lanes that lie in one band carry the same features: what is done there is done, and paid, once. A lane that passes
/// a block as a dashed line skips it.
struct NetworkDrawing {
    private let tasks: [String]
    private let policy: DiscretePolicy
    private let costs: PartCosts
    private let stages: [Int]
    /// Tasks from top to bottom, so that those which have decided alike lie beside each other.
    private let order: [Int]

    private static let (lane, stem, head, top) = (30.0, 62.0, 150.0, 40.0)
    private var step: Double { policy.blockCount > 16 ? 38 : 62 }

    /// - Parameters:
    ///   - architecture: the network.
    ///   - policy: which task executes which block.
    ///   - costs: multiply-accumulates of its parts.
    init(_ architecture: NetworkArchitecture, _ policy: DiscretePolicy, _ costs: PartCosts) {
        tasks = architecture.tasks.map(\.name)
        stages = architecture.blocks.map(\.stage)
        (self.policy, self.costs) = (policy, costs)
        let (rows, sources) = (policy.select, costs.sources)
        let decisions = rows.indices.map { [sources[$0]] + rows[$0].map { $0 ? 1 : 0 } }
        order = Self.arranged(Array(rows.indices), by: decisions, from: 0)
    }

    /// Tasks in their own order, but for those brought up beside an earlier one that has decided alike for longer.
    private static func arranged(_ tasks: [Int], by decisions: [[Int]], from place: Int) -> [Int] {
        guard tasks.count > 2, place < decisions[tasks[0]].count else { return tasks }
        let groups = Dictionary(grouping: tasks) { decisions[$0][place] }.values.sorted { $0[0] < $1[0] }
        return groups.flatMap { arranged($0, by: decisions, from: place + 1) }
    }

    /// Tasks whose features are the same value, as runs of lanes, by what was decided before a block.
    private func groups(before block: Int, where isMember: (Int) -> Bool = { _ in true }) -> [[Int]] {
        var result: [[Int]] = []
        for (lane, task) in order.enumerated() where isMember(task) {
            if let last = result.last?.last, last + 1 == lane, agree(order[last], task, before: block) {
                result[result.count - 1].append(lane)
            } else {
                result.append([lane])
            }
        }
        return result
    }

    private func agree(_ a: Int, _ b: Int, before block: Int) -> Bool {
        costs.sources[a] == costs.sources[b] && policy.select[a].prefix(block) == policy.select[b].prefix(block)
    }

    private func y(_ lane: Int) -> Double { Self.top + (Double(lane) + 0.5) * Self.lane }
    private func x(_ block: Int) -> Double { Self.stem + Double(block) * step }

    private func names(_ lanes: [Int]) -> String {
        let list = lanes.map { tasks[order[$0]] }
        return list.count < 2 ? list.joined() : list.dropLast().joined(separator: ", ") + " and " + list[list.count - 1]
    }

    /// The picture; colours are the page's.
    var svg: String {
        let count = policy.blockCount
        let bottom = Self.top + Double(order.count) * Self.lane
        let (width, height) = (x(count) + Self.head, bottom + 74)
        var body = ""
        // Bands of equal features, from each block's input to the next one's.
        for block in 0...count {
            let (left, right) = (
                block == 0 ? 20 : x(block) - step * 0.5, block == count ? x(count) : x(block) + step * 0.5
            )
            for lanes in groups(before: block) where lanes.count > 1 {
                body += rect(
                    "band", left, y(lanes[0]) - 11, right - left, y(lanes[lanes.count - 1]) - y(lanes[0]) + 22, "")
            }
        }
        for lanes in groups(before: 0) {
            let (first, last) = (y(lanes[0]), y(lanes[lanes.count - 1]))
            body += rect(
                "block", 8, first - 11, 36, last - first + 22, "stem: \(names(lanes)), \(macs(costs.stem)), once")
            body += text("stem", 26, (first + last) / 2 + 4, "middle", "stem")
        }
        for block in 0..<count { body += boxes(block) }
        for (lane, task) in order.enumerated() { body += path(lane, task) }
        body += stageLabels(width: width) + bars(bottom)
        let label = "Network under the policy: blocks that each task computes, skips or shares"
        return """
            <svg class="network" role="img" aria-label="\(escapedXML(label))" viewBox="0 0 \(svgNumber(width)) \
            \(svgNumber(height))" style="min-width:\(svgNumber(width * 0.72))px">
            \(body)</svg>
            """
    }

    /// The picture as a file of its own.
    var file: String {
        let style =
            ReportStyle.colours + "\n.network { background: var(--paper); "
            + "font-family: system-ui, \"Segoe UI\", Helvetica, Arial, sans-serif }\n" + ReportStyle.network
        let svg = svg
        guard let end = svg.firstIndex(of: ">") else { preconditionFailure("a picture begins with its element") }
        return svg[..<end].replacing("<svg ", with: "<svg xmlns=\"http://www.w3.org/2000/svg\" ")
            + ">\n<style>\n\(style)\n</style>" + svg[svg.index(after: end)...] + "\n"
    }

    private func boxes(_ block: Int) -> String {
        let cost = costs.blocks[block]
        let computed = groups(before: block) { policy.select[$0][block] }
        var result = ""
        for lanes in computed {
            let (first, last) = (y(lanes[0]), y(lanes[lanes.count - 1]))
            result += rect(
                "block", x(block) + step * 0.16, first - 11, step * 0.68, last - first + 22,
                "block \(block + 1): computed once for \(names(lanes)), \(macs(cost.branch))")
        }
        return result
    }

    /// A task's lane: solid where it takes a block in, dashed where it passes it.
    private func path(_ lane: Int, _ task: Int) -> String {
        let y = y(lane)
        var (result, last) = ("", 44.0)
        func piece(_ right: Double, _ kind: String) {
            result +=
                "<line class=\"path t\(task % 8) \(kind)\" x1=\"\(svgNumber(last))\" y1=\"\(svgNumber(y))\""
                + " x2=\"\(svgNumber(right))\" y2=\"\(svgNumber(y))\"/>\n"
            last = right
        }
        for block in 0..<policy.blockCount where !policy.select[task][block] {
            piece(x(block) + step * 0.1, "taken")
            piece(x(block) + step * 0.9, "skipped")
        }
        piece(x(policy.blockCount) + 8, "taken")
        result += "<circle class=\"end t\(task % 8)\" cx=\"\(svgNumber(last + 4))\" cy=\"\(svgNumber(y))\" r=\"5\"/>\n"
        return result + text("head", last + 16, y + 4, "start", tasks[task])
    }

    private func stageLabels(width: Double) -> String {
        var result = ""
        for stage in Set(stages).sorted() {
            guard let first = stages.firstIndex(of: stage), let last = stages.lastIndex(of: stage) else { continue }
            let (left, right) = (x(first) + step * 0.08, x(last) + step * 0.92)
            result += text("stage", (left + right) / 2, 16, "middle", "stage \(stage + 1)")
            result +=
                "<line class=\"rule\" x1=\"\(svgNumber(left))\" y1=\"23\" x2=\"\(svgNumber(right))\" y2=\"23\"/>\n"
        }
        return result
    }

    /// What each block costs under the policy, beside what it costs in one pass for all.
    private func bars(_ bottom: Double) -> String {
        let most = costs.blocks.map(\.branch).max() ?? 1
        let times = costs.blocks.indices.map { block in groups(before: block) { policy.select[$0][block] }.count }
        let tallest = max(1, times.max() ?? 1)
        let unit = 34.0 / Double(tallest)
        var result = text("stage", 8, bottom + 40, "start", "paid")
        for (block, cost) in costs.blocks.enumerated() {
            let share = Double(cost.branch) / Double(max(1, most))
            let height = unit * Double(times[block]) * share
            let left = x(block) + step * 0.25
            result += rect(
                "paid", left, bottom + 52 - height, step * 0.5, height,
                "block \(block + 1): computed \(times[block]) ×, \(macs(cost.branch * times[block]))")
            result += text("times", x(block) + step / 2, bottom + 67, "middle", "\(times[block])×")
        }
        return result
    }

    private func macs(_ count: Int) -> String { "\(readable(Double(count) / 1e6)) M multiply-accumulates" }

    private func rect(
        _ kind: String, _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ title: String
    ) -> String {
        let box = zip(["x", "y", "width", "height"], [x, y, width, height]).map { "\($0)=\"\(svgNumber($1))\"" }
        return "<rect class=\"\(kind)\" \(box.joined(separator: " ")) rx=\"4\">"
            + (title.isEmpty ? "" : "<title>\(escapedXML(title))</title>") + "</rect>\n"
    }

    private func text(_ kind: String, _ x: Double, _ y: Double, _ anchor: String, _ string: String) -> String {
        "<text class=\"\(kind)\" x=\"\(svgNumber(x))\" y=\"\(svgNumber(y))\" text-anchor=\"\(anchor)\">"
            + "\(escapedXML(string))</text>\n"
    }
}
