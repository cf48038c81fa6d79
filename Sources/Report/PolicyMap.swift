import AdaShareMethods
import AdaShareSupport

/// Probabilities of selecting, block × task, with a slider over steps where their course is known.
struct PolicyMap {
    private let tasks: [String]
    private let policy: SelectionPolicy
    private let course: [(step: Int, tasks: [String: [Double]], open: Int?)]
    private let about: String
    /// Blocks before it are everybody's: nothing was learned of them.
    private let open: Int

    init(
        _ tasks: [String], _ policy: SelectionPolicy, _ course: [(step: Int, tasks: [String: [Double]], open: Int?)],
        open: Int, about: String = "Framed cells are selected."
    ) {
        (self.tasks, self.policy, self.course) = (tasks, policy, course)
        self.open = open
        self.about = about + (open > 0 ? " Blocks without a number are every task's: none was free to skip them." : "")
    }

    var html: String {
        let blocks = policy.probabilities.values.first?.count ?? 0
        let head = (0..<blocks).map { "<th scope=\"col\">\($0 + 1)</th>" }.joined()
        let rows = tasks.map { task -> String in
            let cells = (policy.probabilities[task] ?? []).enumerated().map { block, value in
                let isSelected = policy.tasks[task]?[block] == 1
                guard block >= open else {
                    return "<td class=\"in fixed\" title=\"block \(block + 1): selected by every task\"></td>"
                }
                let said =
                    "block \(block + 1), \(task): \(isSelected ? "selected" : "skipped"), probability of "
                    + "selecting \(readable(value, digits: 2))"
                return "<td class=\"\(isSelected ? "in" : "out")\" style=\"--p:\(number(value))\" "
                    + "title=\"\(escapedXML(said))\"><span>\(text(value))</span></td>"
            }
            return "<tr><th scope=\"row\">\(escapedXML(task))</th>\(cells.joined())</tr>"
        }
        var result =
            "<h3>Probability of selecting, block × task</h3><p>\(about)</p>"
            + "<div class=\"wide\"><table class=\"map\"><thead><tr><td></td>\(head)</tr></thead><tbody>"
            + rows.joined(separator: "\n") + "</tbody></table></div>\n"
        guard course.count > 1 else { return result }
        let frames = Self.thinned(course, to: 200)
        let data = frames.map { frame in
            let values = tasks.map { task in
                "[" + (frame.tasks[task] ?? []).map(number).joined(separator: ",") + "]"
            }
            return "[\(frame.step),[\(values.joined(separator: ","))]]"
        }
        result +=
            "<label class=\"slider\">step <output>as chosen</output>"
            + "<input type=\"range\" min=\"0\" max=\"\(frames.count - 1)\" value=\"\(frames.count - 1)\" "
            + "aria-label=\"step of policy learning\"></label>"
            + "<script type=\"application/json\" class=\"course\">[\(data.joined(separator: ","))]</script>"
        return "<div class=\"policy\">\(result)</div>"
    }

    private func number(_ value: Double) -> String { svgNumber(value) }
    private func text(_ value: Double) -> String { String(svgNumber(value).drop { $0 == "0" }) }

    private static func thinned<Element>(_ list: [Element], to count: Int) -> [Element] {
        guard list.count > count else { return list }
        return (0..<count).map { list[$0 * (list.count - 1) / (count - 1)] }
    }
}
