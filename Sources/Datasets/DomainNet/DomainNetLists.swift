import AdaShareFiles
import AdaShareSupport
import Foundation

/// The lines of DomainNet's lists that belong to one domain.
struct DomainNetLists {
    struct Line {
        var path: String
        var label: Int32
        /// In its file, from 1.
        var number: Int
    }

    /// Lines by the name of their split, and the file that holds them.
    private(set) var splits: [String: (file: String, lines: [Line])] = [:]
    private let root: URL
    private let domain: String
    private static let splitFile = "DomainNet.json"

    /// - Throws: `InputError` naming the file or line.
    init(root: URL, domain: String) throws {
        (self.root, self.domain) = (root, domain)
        let hint =
            "the folder of DomainNet: for each domain its images and its lists of training and test images from "
            + "ai.bu.edu/M3SDA, unpacked as \(domain)/<class>/<image>, \(domain)_train.txt and \(domain)_test.txt; or "
            + "the authors' archive, \(Self.splitFile), train.txt and test.txt beside the domains"
        try SplitFile.checkFolder(root, expected: hint)
        func has(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: root.appendingPathComponent(name).path)
        }
        var named: [String: [String: [Int]]]?
        for split in ["train", "test"] {
            let candidates = ["\(domain)_\(split).txt", "\(domain)/\(split).txt"]
            if let list = candidates.first(where: has) {
                splits[split] = (root.appendingPathComponent(list).path, try lines(of: list))
                continue
            }
            let common = "\(split).txt"
            guard has(common) else {
                throw InputError(
                    file: root.path, found: "neither \(candidates.joined(separator: " nor ")) nor \(common)",
                    expected: hint)
            }
            let file = root.appendingPathComponent(common).path
            guard has(Self.splitFile) else {
                splits[split] = (file, try lines(of: common, startingWith: "\(domain)/"))
                continue
            }
            let known = try named ?? readSplits()
            named = known
            let texts = try Self.texts(of: URL(fileURLWithPath: file))
            for (name, numbers) in try lineNumbers(of: split, in: known) {
                let lines = try numbers.map { number in
                    guard texts.indices.contains(number), let line = try Self.line(texts[number], number, of: file)
                    else {
                        throw InputError(
                            file: root.appendingPathComponent(Self.splitFile).path, place: "\(name), \(domain)",
                            found: "\(number)", expected: "the number of a line of \(file), from 0")
                    }
                    return line
                }
                splits[name] = (file, lines)
            }
        }
    }

    /// The path of an image relative to the root; nil where there is none.
    func path(of line: Line) -> String? {
        [line.path, "\(domain)/\(line.path)"].first {
            FileManager.default.fileExists(atPath: root.file($0).path)
        }
    }

    /// Split name → domain → numbers of lines, from 0.
    private func readSplits() throws -> [String: [String: [Int]]] {
        let url = root.appendingPathComponent(Self.splitFile)
        do {
            return try JSONText.decode([String: [String: [Int]]].self, from: WholeFile.read(url), most: .max)
        } catch let error as DecodingError {
            throw InputError(
                file: url.path, found: error.summary,
                expected: "a JSON object of split name → domain → numbers of lines")
        }
    }

    /// The splits that are made of a list's lines, and the numbers of these.
    private func lineNumbers(
        of list: String, in splits: [String: [String: [Int]]]
    ) throws -> [(name: String, numbers: [Int])] {
        // Those of `val` are test images too, and nothing may be chosen by these.
        return try (list == "train" ? ["train", "train1", "train2"] : ["test"]).compactMap { name in
            guard let domains = splits[name] else { return nil }
            guard let numbers = domains[domain] else {
                throw InputError(
                    file: root.appendingPathComponent(Self.splitFile).path, place: name, found: "no domain '\(domain)'",
                    expected: "one of " + domains.keys.sorted().joined(separator: ", "))
            }
            return (name, numbers)
        }
    }

    /// The lines of a list; of one with other domains' images those that begin as this one's.
    private func lines(of list: String, startingWith prefix: String = "") throws -> [Line] {
        let url = root.appendingPathComponent(list)
        return try Self.texts(of: url).enumerated().compactMap { number, text in
            guard prefix.isEmpty || text.utf8.drop(while: { $0 == 32 || $0 == 9 }).starts(with: prefix.utf8) else {
                return nil
            }
            return try Self.line(text, number, of: url.path)
        }
    }

    private static func texts(of url: URL) throws -> [Substring] {
        guard let text = String(data: try WholeFile.read(url), encoding: .utf8) else {
            throw InputError(file: url.path, found: "bytes that are not UTF-8", expected: "lines of a path and a class")
        }
        return text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Substring($0) }
    }

    /// What a line says; nil for an empty one. `number` counts from 0.
    private static func line(_ text: Substring, _ number: Int, of file: String) throws -> Line? {
        let line = text.trimmingCharacters(in: .whitespacesAndNewlines)
        if line.isEmpty { return nil }
        guard let space = line.lastIndex(of: " "), let label = Int32(line[line.index(after: space)...]), label >= 0
        else {
            throw InputError(
                file: file, place: "line \(number + 1)", found: "'\(line)'", expected: "a path and a class from 0")
        }
        return Line(path: line[..<space].trimmingCharacters(in: .whitespaces), label: label, number: number + 1)
    }
}
