import AdaShareModels
import AdaShareSupport
import Foundation

/// A discrete policy, `policy.json`: which residual blocks each task selects.
///
///     {"probabilities": {"depth": [0.93, …]}, "tasks": {"depth": [1, 0, …]}}
public struct SelectionPolicy: Sendable, Codable, Equatable {
    /// Per task name one decision per block, bottom to top: 1 = select, 0 = skip.
    public var tasks: [String: [Int]]
    /// Per task name α of every block, the probability of selecting it; empty if not known.
    public var probabilities: [String: [Double]]
    /// The first block with a choice, where some have none; every task selects those before it.
    public var open: Int?

    /// Creates a policy.
    public init(tasks: [String: [Int]], probabilities: [String: [Double]] = [:], open: Int? = nil) {
        self.tasks = tasks
        self.probabilities = probabilities
        self.open = open
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
    ///   - url: a file as `train` writes it, `policy.json`.
    ///   - names: the names it must have, no more and no fewer.
    ///   - blocks: the number of residual blocks, L.
    ///   - allowsOthers: leave rows of other tasks unread.
    /// - Throws: `InputError` if the file is missing or not such JSON, or a name, a length or a value is wrong.
    public static func read(
        _ url: URL, tasks names: [String], blocks: Int, allowsOthers: Bool = false
    ) throws -> SelectionPolicy {
        guard let data = try? Data(contentsOf: url) else {
            throw InputError.unreadable(url, expected: "a policy")
        }
        return try parse(data, file: url.path, tasks: names, blocks: blocks, allowsOthers: allowsOthers)
    }

    /// Checks a policy's text; `file` is named in errors.
    ///
    /// - Throws: as `read`.
    package static func parse(
        _ data: Data, file: String, tasks names: [String], blocks: Int, allowsOthers: Bool = false
    ) throws -> SelectionPolicy {
        guard data.count <= JSONText.mostBytes else {
            throw InputError(
                file: file, found: "\(data.count) bytes", expected: "a policy, of at most \(JSONText.mostBytes)")
        }
        guard let value = try? JSONValue.parse(data), case .object(let members) = value else {
            throw InputError(file: file, found: "no JSON object", expected: "{\"tasks\": {NAME: [1, 0, …]}}")
        }
        for key in members.keys.sorted() where !["tasks", "probabilities", "open"].contains(key) {
            throw InputError(
                file: file, place: key, found: "an unknown key", expected: "tasks, probabilities or open")
        }
        var open: Int?
        if let value = members["open"] {
            guard case .integer(let number) = value, (0...blocks).contains(number) else {
                throw InputError(
                    file: file, place: "open", found: value.text,
                    expected: "the first block with a choice, from 0 to \(blocks)")
            }
            open = number
        }
        func rows(_ key: String, _ expected: String, _ accepts: (Double) -> Bool) throws -> [String: [Double]] {
            guard case .object(let rows)? = members[key] else {
                throw InputError(
                    file: file, place: key, found: members[key]?.text ?? "nothing",
                    expected: "an object of lists by task name")
            }
            for name in rows.keys.sorted() where !names.contains(name) && !allowsOthers {
                let near = nearest(to: name, in: names)
                throw InputError(
                    file: file, place: "\(key).\(name)", found: "an unknown task",
                    expected: "one of \(names.joined(separator: ", "))" + (near.map { "; the nearest is \($0)" } ?? ""))
            }
            var result: [String: [Double]] = [:]
            for name in names {
                let place = "\(key).\(name)"
                guard case .array(let items)? = rows[name] else {
                    throw InputError(
                        file: file, place: place, found: rows[name]?.text ?? "nothing",
                        expected: "a list of \(blocks), one per block")
                }
                guard items.count == blocks else {
                    throw InputError(
                        file: file, place: place, found: "\(items.count) values",
                        expected: "\(blocks), one per block")
                }
                result[name] = try items.enumerated().map { index, item in
                    guard let number = item.double, accepts(number) else {
                        throw InputError(
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
        return SelectionPolicy(
            tasks: decisions.mapValues { $0.map { Int($0) } }, probabilities: probabilities, open: open)
    }

    /// Writes the policy as JSON, whole or not at all; equal policies give equal bytes.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws {
        var members: [String: JSONValue] = [
            "tasks": .object(tasks.mapValues { .array($0.map { .integer($0) }) }),
            "probabilities": .object(probabilities.mapValues { .array($0.map { .number($0) }) }),
        ]
        if let open { members["open"] = .integer(open) }
        try AtomicFile.write(Data((JSONValue.object(members).text + "\n").utf8), to: url)
    }

    /// Block by task, with the probability of selecting where it was learned; `!` marks a choice against it.
    ///
    /// - Parameters:
    ///   - names: the blocks', bottom to top.
    ///   - order: of the tasks.
    public func table(blocks names: [String], tasks order: [String]) -> String {
        var table = Table(["block"] + order)
        var isAgainst = false
        for (block, name) in names.enumerated() {
            let cells = order.map { task -> String in
                guard let row = tasks[task], block < row.count else { return Table.none }
                let word = row[block] == 1 ? "select" : "skip"
                guard block >= open ?? 0, let alpha = probabilities[task]?[block] else { return word }
                let mark = (alpha >= 0.5) != (row[block] == 1) ? " !" : ""
                if !mark.isEmpty { isAgainst = true }
                return "\(word) (\(readable(alpha, digits: 3)))\(mark)"
            }
            let number = String(block + 1)
            let padding = String(repeating: " ", count: String(names.count).count - number.count)
            table.add(["\(padding)\(number) \(name)"] + cells)
        }
        let isPartly = !probabilities.isEmpty && open ?? 0 > 0
        return table.text + (isAgainst ? "\n! against its probability" : "")
            + (isPartly ? "\nselect without a probability: not learned, every task selects the block" : "")
    }
}

extension SelectionPolicy {
    /// The decisions of a network's tasks, by name.
    public init(
        _ policy: DiscretePolicy, tasks: [String], probabilities: [String: [Double]] = [:], open: Int? = nil
    ) {
        let rows = zip(tasks, policy.select.map { $0.map { $0 ? 1 : 0 } })
        self.init(tasks: Dictionary(uniqueKeysWithValues: rows), probabilities: probabilities, open: open)
    }

    /// The decisions in the order of `tasks`.
    ///
    /// - Precondition: every task has a row.
    public func discrete(tasks: [String]) -> DiscretePolicy {
        DiscretePolicy(
            select: tasks.map { name in
                guard let row = selections(of: name) else { preconditionFailure("no policy for task \(name)") }
                return row
            })
    }
}
