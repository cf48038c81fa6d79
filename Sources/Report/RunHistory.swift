import AdaShareSupport

/// The course of a run out of its log: everything by steps counted over all phases.
struct RunHistory {
    /// One phase, as far as it has come.
    struct Span {
        let phase: String
        let first, last: Int
    }

    /// A number over steps.
    struct Curve {
        let name: String
        var points: [(step: Int, value: Double)] = []
    }

    /// In order.
    private(set) var spans: [Span] = []
    /// Of each task, then their weighted sum.
    private(set) var losses: [Curve]
    /// Of each task the first metric on the validation split, exact convention.
    private(set) var metrics: [Curve]
    /// Probabilities of selecting, by task and block, as learning went on, and how many blocks were free to skip.
    private(set) var probabilities: [(step: Int, tasks: [String: [Double]], open: Int?)] = []

    init(_ events: [JSONValue], tasks: [String]) {
        losses = (tasks + ["total"]).map { Curve(name: $0) }
        metrics = []
        var (offset, current, reached) = (0, "", 0)
        for event in events {
            guard let phase = event["phase"]?.string,
                let iteration = event["iteration"]?.double.flatMap(Int.init(exactly:)),
                (0...1 << 40).contains(iteration)
            else { continue }
            if phase != current {
                if reached > 0 { spans.append(Span(phase: current, first: offset, last: offset + reached)) }
                (offset, current, reached) = (offset + reached, phase, 0)
            }
            reached = max(reached, iteration)
            let step = offset + iteration
            switch event["event"]?.string {
            case "step":
                for index in losses.indices {
                    guard let value = event["loss"]?[losses[index].name]?.double else { continue }
                    losses[index].points.append((step, value))
                }
                if case .object(let rows)? = event["probabilities"] {
                    let values = rows.mapValues { row -> [Double] in
                        if case .array(let list) = row { list.compactMap(\.double) } else { [] }
                    }
                    probabilities.append((step, values, event["open_blocks"]?.double.flatMap(Int.init(exactly:))))
                }
            case "evaluation":
                for task in tasks {
                    guard case .object(let values)? = event["metrics"]?[task]?["exact"] else { continue }
                    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
                        guard let number = value.double else { continue }
                        let title = "\(task) \(name)"
                        if !metrics.contains(where: { $0.name == title }) { metrics.append(Curve(name: title)) }
                        guard let place = metrics.firstIndex(where: { $0.name == title }) else { continue }
                        metrics[place].points.append((step, number))
                    }
                }
            default: break
            }
        }
        if reached > 0 { spans.append(Span(phase: current, first: offset, last: offset + reached)) }
        losses.removeAll { $0.points.isEmpty }
    }
}

extension RunHistory.Curve {
    /// At most so many points, each the mean of its neighbours: a page need not hold every step.
    func thinned(to count: Int) -> [(step: Int, value: Double)] {
        guard points.count > count else { return points }
        let size = (points.count + count - 1) / count
        return stride(from: 0, to: points.count, by: size).map { first in
            let part = points[first..<min(first + size, points.count)]
            return (part[part.startIndex + part.count / 2].step, part.reduce(0) { $0 + $1.value } / Double(part.count))
        }
    }
}
