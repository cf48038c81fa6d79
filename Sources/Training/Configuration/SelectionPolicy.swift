import Foundation

/// A discrete policy, `policy.json`: which residual blocks each task selects.
///
///     {"probabilities": {"depth": [0.93, …]}, "tasks": {"depth": [1, 0, …]}}
public struct SelectionPolicy: Sendable, Codable, Equatable {
    /// Per task name one decision per block, bottom to top: 1 = select, 0 = skip.
    public var tasks: [String: [Int]]
    /// Per task name α of every block, the probability of selecting it; empty if not known.
    public var probabilities: [String: [Double]]

    /// Creates a policy.
    public init(tasks: [String: [Int]], probabilities: [String: [Double]] = [:]) {
        self.tasks = tasks
        self.probabilities = probabilities
    }

    /// Hard sharing: every task selects every block.
    public static func allSelected(tasks: [String], blocks: Int) -> SelectionPolicy {
        let decisions = Dictionary(tasks.map { ($0, Array(repeating: 1, count: blocks)) }) { first, _ in first }
        return SelectionPolicy(
            tasks: decisions, probabilities: decisions.mapValues { $0.map(Double.init) })
    }

    /// The decisions of a task, `true` = select; `nil` if the policy has no such task.
    public func selections(of task: String) -> [Bool]? {
        tasks[task].map { $0.map { $0 == 1 } }
    }

    /// Reads and checks a policy.
    ///
    /// - Parameters:
    ///   - tasks: the names it must have, no more and no fewer.
    ///   - blocks: the number of residual blocks, L.
    ///   - allowsOthers: leave rows of other tasks unread.
    /// - Throws: `FormatError` if the file is missing or not such JSON, or a name, a length or a value is wrong.
    public static func read(
        _ url: URL, tasks names: [String], blocks: Int, allowsOthers: Bool = false
    ) throws -> SelectionPolicy {
        guard let data = try? Data(contentsOf: url) else {
            throw FormatError(file: url.path, found: "no readable file", expected: "a policy")
        }
        return try parse(data, file: url.path, tasks: names, blocks: blocks, allowsOthers: allowsOthers)
    }

    /// Checks a policy's text; `file` is named in errors.
    ///
    /// - Throws: as `read`.
    static func parse(
        _ data: Data, file: String, tasks names: [String], blocks: Int, allowsOthers: Bool = false
    ) throws -> SelectionPolicy {
        guard let value = try? JSONValue.parse(data), case .object(let members) = value else {
            throw FormatError(file: file, found: "no JSON object", expected: "{\"tasks\": {NAME: [1, 0, …]}}")
        }
        for key in members.keys.sorted() where key != "tasks" && key != "probabilities" {
            throw FormatError(
                file: file, place: key, found: "an unknown key", expected: "tasks or probabilities")
        }
        func rows(_ key: String, _ expected: String, _ accepts: (Double) -> Bool) throws -> [String: [Double]] {
            guard case .object(let rows)? = members[key] else {
                throw FormatError(
                    file: file, place: key, found: members[key]?.text ?? "nothing",
                    expected: "an object of lists by task name")
            }
            for name in rows.keys.sorted() where !names.contains(name) && !allowsOthers {
                let near = nearest(to: name, in: names)
                throw FormatError(
                    file: file, place: "\(key).\(name)", found: "an unknown task",
                    expected: "one of \(names.joined(separator: ", "))" + (near.map { "; the nearest is \($0)" } ?? ""))
            }
            var result: [String: [Double]] = [:]
            for name in names {
                let place = "\(key).\(name)"
                guard case .array(let items)? = rows[name] else {
                    throw FormatError(
                        file: file, place: place, found: rows[name]?.text ?? "nothing",
                        expected: "a list of \(blocks), one per block")
                }
                guard items.count == blocks else {
                    throw FormatError(
                        file: file, place: place, found: "\(items.count) values",
                        expected: "\(blocks), one per block")
                }
                result[name] = try items.enumerated().map { index, item in
                    guard let number = item.double, accepts(number) else {
                        throw FormatError(
                            file: file, place: "\(place)[\(index)]", found: item.text, expected: expected)
                    }
                    return number
                }
            }
            return result
        }
        let decisions = try rows("tasks", "1 (select) or 0 (skip)") { $0 == 0 || $0 == 1 }
        let probabilities =
            members["probabilities"] == nil || members["probabilities"] == .object([:])
            ? [:] : try rows("probabilities", "a number from 0 to 1") { $0 >= 0 && $0 <= 1 }
        return SelectionPolicy(tasks: decisions.mapValues { $0.map { Int($0) } }, probabilities: probabilities)
    }

    /// Writes the policy as JSON, whole or not at all; equal policies give equal bytes.
    ///
    /// - Throws: `RunError` if the file cannot be written.
    public func write(to url: URL) throws {
        let value: JSONValue = [
            "tasks": .object(tasks.mapValues { .array($0.map { .integer($0) }) }),
            "probabilities": .object(probabilities.mapValues { .array($0.map { .number($0) }) }),
        ]
        try AtomicFile.write(Data((value.text + "\n").utf8), to: url)
    }
}
