import AdaShareSupport
import Foundation

/// Which files of a folder belong to an image or a label, and what an image and its labels have in common.
///
/// A pattern is a path with `*` for a part of one name and `**` for any number of folders:
/// `leftImg8bit/**/*_leftImg8bit.png`. A path without either is a folder and stands for `folder/**/*.<any suffix it
/// knows>`. What the wildcards stand for is the key of a file; a label belongs to the image with its key.
struct FilePattern {
    /// As it was written.
    let text: String
    /// The folder above the first wildcard, relative to the root.
    private let folder: String
    private let expression: NSRegularExpression
    /// Whether each wildcard is one of folders, `**`, which has its own slash.
    private let isOfFolders: [Bool]
    /// Suffixes that count where the pattern names a folder.
    private let suffixes: [String]?

    /// - Parameter suffixes: of the files that count where the pattern names a folder, such as png.
    /// - Throws: `InputError` for a pattern that leaves the root.
    init(_ text: String, suffixes: [String], place: String) throws {
        self.text = text
        var parts = text.split(separator: "/").map(String.init).filter { $0 != "." }
        guard !parts.isEmpty, !parts.contains(".."), !text.hasPrefix("/") else {
            throw InputError(
                file: "configuration", place: place, found: "'\(text)'",
                expected: "a folder or pattern below dataset.root, such as img or img/*.png")
        }
        let isFolder = !text.contains("*")
        self.suffixes = isFolder ? suffixes : nil
        if isFolder { parts += ["**", "*"] }
        let fixed = parts.prefix { !$0.contains("*") }
        // The last part is a file's name, whatever it holds.
        folder = fixed.prefix(parts.count - 1).joined(separator: "/")
        var pattern = "^"
        var wildcards: [Bool] = []
        for (index, part) in parts.enumerated() {
            guard part != "**" else {
                pattern += "((?:[^/]+/)*)"
                wildcards.append(true)
                continue
            }
            let pieces = part.components(separatedBy: "*").map { NSRegularExpression.escapedPattern(for: $0) }
            wildcards += Array(repeating: false, count: pieces.count - 1)
            pattern += pieces.joined(separator: "([^/]*)") + (index == parts.count - 1 ? "$" : "/")
        }
        isOfFolders = wildcards
        do {
            expression = try NSRegularExpression(pattern: pattern)
        } catch {
            throw InputError(file: "configuration", place: place, found: "'\(text)'", expected: "a pattern of paths")
        }
    }

    /// Paths relative to the root by their keys.
    ///
    /// - Throws: `InputError` if the folder cannot be read, or two files have one key.
    func files(below root: URL) throws -> [String: String] {
        var files: [String: String] = [:]
        for path in try paths(in: folder, below: root, depth: 0) {
            guard let key = key(of: path) else { continue }
            if let other = files.updateValue(path, forKey: key) {
                throw InputError(
                    file: root.path, found: "\(min(path, other)) and \(max(path, other)), both '\(key)'",
                    expected: "one file of '\(text)' for an image")
            }
        }
        return files
    }

    /// Folders within folders: more than a data set has, few enough for links that go round.
    private static let mostFolders = 16

    /// Every file below a folder, links followed, hidden ones left out.
    private func paths(in folder: String, below root: URL, depth: Int) throws -> [String] {
        let place = folder.isEmpty ? root : root.appendingPathComponent(folder)
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: place.path, isDirectory: &isDirectory), isDirectory.boolValue
        else {
            throw InputError(file: place.path, found: "no such folder", expected: "the folder of '\(text)'")
        }
        guard let all = FolderNames(place.path) else {
            throw InputError(file: place.path, found: "a folder that cannot be read", expected: "one that can")
        }
        func below(_ name: String) -> String { folder.isEmpty ? name : "\(folder)/\(name)" }
        if let other = all.others.first(where: { $0.isFolder || key(of: below($0.name)) != nil }) {
            throw InputError(
                file: place.path, found: "\(other.name), a name that is not UTF-8", expected: "names that are")
        }
        guard depth <= Self.mostFolders else {
            throw InputError(
                file: place.path, found: "more than \(Self.mostFolders) folders within each other",
                expected: "images nearer to \(root.path), and no link to a folder above")
        }
        return try all.names.filter { !$0.hasPrefix(".") }.flatMap { name -> [String] in
            let path = below(name)
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path, isDirectory: &isFolder)
            return isFolder.boolValue ? try paths(in: path, below: root, depth: depth + 1) : [path]
        }
    }

    /// What the wildcards stand for; nil for a path that does not match.
    func key(of path: String) -> String? {
        let whole = NSRange(path.startIndex..., in: path)
        guard let match = expression.firstMatch(in: path, range: whole) else { return nil }
        // Slashes keep what two wildcards stand for apart.
        var key = ""
        for index in 1..<match.numberOfRanges {
            guard let range = Range(match.range(at: index), in: path) else { continue }
            if index > 1, !isOfFolders[index - 2] { key += "/" }
            key += path[range]
        }
        if let suffixes {
            guard let suffix = suffixes.first(where: { key.lowercased().hasSuffix(".\($0)") }) else { return nil }
            key.removeLast(suffix.count + 1)
        }
        return key
    }
}
