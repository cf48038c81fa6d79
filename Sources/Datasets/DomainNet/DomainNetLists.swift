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
            let all = try lines(of: common)
            let file = root.appendingPathComponent(common).path
            guard has(Self.splitFile) else {
                splits[split] = (file, all.filter { $0.path.hasPrefix("\(domain)/") })
                continue
            }
            let byNumber = Dictionary(uniqueKeysWithValues: all.map { ($0.number, $0) })
            for (name, numbers) in try numbers(of: split) {
                let lines = try numbers.map { number in
                    guard let line = byNumber[number + 1] else {
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
            FileManager.default.fileExists(atPath: root.appendingPathComponent($0).path)
        }
    }

    /// The splits that are made of a list's lines, and the numbers of these.
    private func numbers(of list: String) throws -> [(name: String, numbers: [Int])] {
        let url = root.appendingPathComponent(Self.splitFile)
        let splits: [String: [String: [Int]]]
        do {
            splits = try JSONDecoder().decode([String: [String: [Int]]].self, from: WholeFile.read(url))
        } catch let error as DecodingError {
            throw InputError(
                file: url.path, found: error.summary,
                expected: "a JSON object of split name → domain → numbers of lines")
        }
        // Those of `val` are test images too, and nothing may be chosen by these.
        return try (list == "train" ? ["train", "train1", "train2"] : ["test"]).compactMap { name in
            guard let domains = splits[name] else { return nil }
            guard let numbers = domains[domain] else {
                throw InputError(
                    file: url.path, place: name, found: "no domain '\(domain)'",
                    expected: "one of " + domains.keys.sorted().joined(separator: ", "))
            }
            return (name, numbers)
        }
    }

    private func lines(of list: String) throws -> [Line] {
        let url = root.appendingPathComponent(list)
        guard let text = String(data: try WholeFile.read(url), encoding: .utf8) else {
            throw InputError(file: url.path, found: "bytes that are not UTF-8", expected: "lines of a path and a class")
        }
        var found: [Line] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.isEmpty { continue }
            guard let space = line.lastIndex(of: " "), let label = Int32(line[line.index(after: space)...]), label >= 0
            else {
                throw InputError(
                    file: url.path, place: "line \(index + 1)", found: "'\(line)'",
                    expected: "a path and a class from 0")
            }
            found.append(
                Line(
                    path: line[..<space].trimmingCharacters(in: .whitespaces), label: label, number: index + 1))
        }
        return found
    }
}
