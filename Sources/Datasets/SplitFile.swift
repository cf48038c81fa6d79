import AdaShareFiles
import AdaShareSupport
import Foundation

extension URL {
    /// A file that a list names: in this folder, unless its path says where it is.
    func file(_ path: String) -> URL {
        path.hasPrefix("/") ? URL(fileURLWithPath: path) : appendingPathComponent(path)
    }
}

/// The files of one sample, relative to the data set's folder.
struct SampleFiles: Hashable {
    var image: String
    /// By the label's name; an image need not have every label.
    var labels: [String: String]

    /// The image's path without its extension: unlike its name the only one in a data set.
    var key: String { (image as NSString).deletingPathExtension }
}

/// Which files make up a data set whose authors list them in JSON, and which splits they belong to.
///
/// The file holds for each split a list of rows of relative paths. The first path of a row is the image's; null stands
/// for a label that an image has not.
struct SplitFile {
    /// All samples, sorted by image path.
    let entries: [SampleFiles]
    /// Split name → indices into `entries`.
    let named: [String: [Int]]

    /// Reads the file and checks that every file it names is there; what is missing is one error, which names them all.
    ///
    /// - Parameters:
    ///   - file: the JSON.
    ///   - root: the folder that paths are relative to.
    ///   - row: what a row holds, for messages, such as `[img, seg]`.
    ///   - columns: where in a row the labels stand that are wanted.
    ///   - wanted: the splits whose files have to be there; nil for all.
    ///   - complete: adds to a sample what rows do not say.
    /// - Throws: `InputError` naming the split, entry or file at fault.
    init(
        _ file: URL, root: URL, row: String, columns: [String: Int], wanted: Set<String>? = nil,
        complete: (inout SampleFiles) -> Void = { _ in }
    ) throws {
        let lists: [String: [[String?]]]
        do {
            lists = try JSONText.decode([String: [[String?]]].self, from: WholeFile.read(file), most: .max)
        } catch let error as DecodingError {
            throw InputError(
                file: file.path, found: error.summary,
                expected: "a JSON object of split name → list of \(row) paths")
        }
        var splits: [String: [SampleFiles]] = [:]
        var missing: [InputError] = []
        var known: [String: Bool] = [:]
        func exists(_ path: String) -> Bool {
            if let answer = known[path] { return answer }
            let answer = FileManager.default.fileExists(atPath: root.file(path).path)
            known[path] = answer
            return answer
        }
        for (name, rows) in lists.sorted(by: { $0.key < $1.key }) {
            splits[name] = try rows.enumerated().map { number, paths in
                let place = "split '\(name)', entry \(number)"
                guard paths.count > columns.values.max() ?? 0, let image = paths[0] else {
                    throw InputError(
                        file: file.path, place: place,
                        found: paths.first == .some(nil) ? "no image" : "\(paths.count) paths", expected: row)
                }
                var entry = SampleFiles(image: image, labels: [:])
                for (label, column) in columns { entry.labels[label] = paths[column] }
                complete(&entry)
                if let wanted, !wanted.contains(name) { return entry }
                for path in [entry.image] + entry.labels.values.sorted() where known[path] == nil && !exists(path) {
                    missing.append(
                        InputError(
                            file: file.path, place: place, found: "'\(path)'",
                            expected: path.hasPrefix("/") ? "a file" : "a file below \(root.path)"))
                }
                return entry
            }
        }
        if let error = InputError.all(missing) { throw error }
        entries = Set(splits.values.joined()).sorted { a, b in
            func order(_ entry: SampleFiles) -> [String] {
                [entry.image] + entry.labels.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }
            }
            return order(a).lexicographicallyPrecedes(order(b))
        }
        let position = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1, $0) })
        named = splits.mapValues { list in list.compactMap { position[$0] } }
    }

    /// Checks that each label is there at least once.
    ///
    /// - Throws: `InputError` naming the one that is not.
    static func check(_ labels: some Sequence<String>, in entries: [SampleFiles], file: String) throws {
        for label in labels.sorted() where !entries.isEmpty && !entries.contains(where: { $0.labels[label] != nil }) {
            throw InputError(
                file: file, found: "no \(label) label in any of \(entries.count) entries", expected: "at least one")
        }
    }

    /// Checks that the folder of a data set is there.
    ///
    /// - Throws: `InputError` naming it, and what is to lie there.
    static func checkFolder(_ root: URL, expected: String) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: root.path, isDirectory: &isDirectory), isDirectory.boolValue else {
            throw InputError(file: root.path, found: "no such folder", expected: expected)
        }
    }
}
