import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation
import SwiftCSV

/// Where one label of a data set in folders lies, and what its files hold: `dataset.labels[]`.
///
/// What a file is read as follows from the task that learns the label: classes or numbers, for each pixel or for the
/// whole image.
struct FolderLabel: Sendable, Equatable {
    /// The name that tasks call it by.
    var name = ""
    /// Folder or pattern of its files, or a CSV file; nil for a folder of the label's name, and for a class of whole
    /// images the name of the folder an image lies in.
    var path: String?
    /// In a CSV file the column's title; nil for the label's name.
    var column: String?
    /// Number = stored · scale + offset.
    var scale = 1.0
    /// Added to stored · scale.
    var offset = 0.0
    /// The stored value of a pixel without a label, in every channel.
    var invalid: Double?
    /// Stored values of the classes in order, where they are not 0, 1, 2, …; pixels with others have no label.
    var values: [Double] = []

    static var fields: [ConfigurationField<FolderLabel>] {
        [
            .key("name", \.name, isRequired: true, "Folders: the name that `tasks[].label` calls the label by."),
            .key(
                "path", \.path, defaultText: "the name",
                "Folders: where the label's files lie: a folder with files named as the images, or a pattern whose "
                    + "wildcards stand for what the images' do. PNG (8-bit, palette or 16-bit grey; 8-bit RGB for "
                    + "three numbers), or NPY of any integer or float type, for classes of whole numbers. Of more or "
                    + "fewer pixels than the image, in its shape, the nearest ones are taken. For labels "
                    + "of whole images a CSV file whose first column names the image; without a path the folder that "
                    + "an image lies in is its class."),
            .key(
                "column", \.column, defaultText: "the name",
                "Folders: title of the label's column in a CSV file. Classes are numbers from 0, or words in their "
                    + "alphabetical order."),
            .key(
                "scale", \.scale, limit: Self.range, "Folders: factor on stored numbers, such as 0.001 for millimetres."
            ),
            .key("offset", \.offset, limit: Self.range, "Folders: what is added to them then."),
            .key(
                "invalid", \.invalid,
                limit: ConfigurationLimit(text: "from -1e+12 to 1e+12") { $0.map { abs($0) <= 1e12 } ?? true },
                defaultText: "255 for up to 255 classes, else null",
                "Folders: stored value of pixels without a label (in all three channels of RGB); with one, numbers "
                    + "of an NPY file that are not finite have no label either."),
            .key(
                "values", \.values,
                limit: ConfigurationLimit(text: "a whole number from 0 to 65535, each once") { list in
                    list.allSatisfy { Int(exactly: $0).map { (0...65_535).contains($0) } ?? false }
                        && Set(list).count == list.count
                },
                "Folders: stored values of the classes, in order, where they are not 0, 1, 2, …; other values are "
                    + "pixels without a label."),
        ]
    }

    private static var range: ConfigurationLimit<Double> { .between(-1e12, 1e12) }

    /// Whether its values stand in a table.
    var isTable: Bool { path?.lowercased().hasSuffix(".csv") ?? false }
}

extension FolderLabel {
    /// Refuses keys that have no effect on what is read.
    ///
    /// - Throws: `InputError` naming the key.
    func check(for format: LabelFormat, place: String) throws {
        func refuse(_ key: String, _ isGiven: Bool, _ reason: String) throws {
            guard isGiven else { return }
            throw InputError(
                file: "configuration", place: place, found: "\(key) for label \(name)", expected: "none: \(reason)")
        }
        let isClass = format.element == .classes
        try refuse("scale or offset", isClass && (scale != 1 || offset != 0), "classes are not scaled")
        try refuse("values", !isClass && !values.isEmpty, "only classes have stored values")
        try refuse("column", column != nil && !isTable, "only a CSV table has columns")
        let isFolder = format.extent == .image && path == nil
        try refuse("invalid or values", isFolder && (invalid != nil || !values.isEmpty), "folders are the classes")
    }
}

/// Labels of whole images by the images' keys; those without one are left out.
struct ImageLabels {
    var values: [String: LabelMap.Values]
    /// The words that classes stand for; nil where the values are stored as numbers.
    var names: [String]?

    /// Classes by the folders that images lie in, in alphabetical order.
    static func classes(foldersOf images: [String: String]) -> ImageLabels {
        numbered(images.mapValues { path in path.split(separator: "/").dropLast().last.map(String.init) ?? "" })
    }

    /// Classes by words, in alphabetical order.
    private static func numbered(_ words: [String: String]) -> ImageLabels {
        let names = Set(words.values).sorted()
        let order = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, Int32($0)) })
        return ImageLabels(values: words.compactMapValues { word in order[word].map { .integers([$0]) } }, names: names)
    }

    /// A column of a table.
    ///
    /// - Parameters:
    ///   - label: says what the table holds.
    ///   - images: paths by keys.
    ///   - isClass: whether values are classes, which words may stand for.
    /// - Throws: `InputError` naming the file and line.
    static func values(
        of label: FolderLabel, in url: URL, images: [String: String], isClass: Bool
    ) throws -> ImageLabels {
        var cells: [String: (text: String, line: Int)] = [:]
        for cell in try self.cells(of: label.column ?? label.name, in: url, images: images) {
            if let other = cells.updateValue((cell.text, cell.line), forKey: cell.key), other.text != cell.text {
                throw InputError(
                    file: url.path, place: "line \(cell.line)",
                    found: "'\(cell.text)' for the image of line \(other.line)",
                    expected: "'\(other.text)' as there")
            }
        }
        let numbers = cells.values.count { Double($0.text) != nil }
        if isClass, numbers == 0, !cells.isEmpty {
            guard label.values.isEmpty, label.invalid == nil else {
                throw InputError(
                    file: url.path, found: "words", expected: "numbers, which invalid and values speak of")
            }
            return numbered(cells.mapValues(\.text))
        }
        let values = try cells.compactMapValues { cell -> LabelMap.Values? in
            func fail(_ expected: String) -> InputError {
                InputError(file: url.path, place: "line \(cell.line)", found: "'\(cell.text)'", expected: expected)
            }
            guard let number = Double(cell.text), number.isFinite else {
                throw fail(
                    isClass && numbers < cells.count
                        ? "a number, as \(numbers) of \(cells.count) lines have; or words in all of them"
                        : "a finite number")
            }
            if number == label.invalid { return nil }
            guard isClass else {
                let scaled = Float(number * label.scale + label.offset)
                guard scaled.isFinite else { throw fail("a number that float32 holds") }
                return .numbers([scaled])
            }
            guard label.values.isEmpty else {
                return label.values.firstIndex(of: number).map { .integers([Int32($0)]) }
            }
            guard let value = Int32(exactly: number), value >= 0 else { throw fail("a class from 0") }
            return .integers([value])
        }
        return ImageLabels(values: values)
    }

    private static func cells(
        of column: String, in url: URL, images: [String: String]
    ) throws -> [(key: String, text: String, line: Int)] {
        guard let text = String(data: try WholeFile.read(url), encoding: .utf8) else {
            throw InputError(file: url.path, found: "bytes that are not UTF-8", expected: "a CSV table")
        }
        // The library takes what follows an open quote for one cell.
        guard text.count(where: { $0 == "\"" }).isMultiple(of: 2) else {
            throw InputError(file: url.path, found: "a quote that is not closed", expected: "quotes in pairs")
        }
        let table: EnumeratedCSV
        do {
            table = try EnumeratedCSV(string: text, delimiter: .comma, loadColumns: false)
        } catch {
            throw InputError(file: url.path, found: "no CSV table (\(error))", expected: "one with a line of titles")
        }
        let titles = table.header.map { $0.trimmingCharacters(in: .whitespaces) }
        guard let place = titles.firstIndex(of: column), place > 0 else {
            throw InputError(
                file: url.path, place: "line 1", found: "the titles \(titles.joined(separator: ", "))",
                expected: "one called \(column), after that of the image")
        }
        let names = ImageNames(images)
        var cells: [(key: String, text: String, line: Int)] = []
        for (index, row) in table.rows.enumerated() {
            let parts = row.map { $0.trimmingCharacters(in: .whitespaces) }
            guard let image = parts.first, !image.isEmpty else { continue }
            guard parts.count > place else {
                throw InputError(
                    file: url.path, place: "line \(index + 2)", found: "\(parts.count) cells",
                    expected: "\(titles.count), as many as titles")
            }
            guard !parts[place].isEmpty else { continue }
            let key = try names.key(of: image, file: url.path, place: "line \(index + 2)")
            cells.append((key, parts[place], index + 2))
        }
        return cells
    }
}
