import AdaShareSupport
import Foundation

/// Images by what lists and tables call them: their key, their path below the data set's folder or that of the images,
/// or their file's name where only one has it.
struct ImageNames {
    private var keys: [String: String] = [:]
    /// File names that several images have.
    private var shared: [String: [String]] = [:]
    private let example: String

    /// - Parameter images: paths by keys.
    init(_ images: [String: String]) {
        example = images.values.min() ?? "none"
        let files = Dictionary(grouping: images) { String($0.value.split(separator: "/").last ?? "") }
        for (name, owners) in files {
            if owners.count == 1 { keys[name] = owners[0].key } else { shared[name] = owners.map(\.value).sorted() }
        }
        // What names one image exactly counts before what only ends as it does.
        for (key, path) in images {
            let below = key + "." + (path as NSString).pathExtension
            if path.hasSuffix("/" + below) { keys[below] = key }
        }
        for (key, path) in images { keys[path] = key }
        for key in images.keys { keys[key] = key }
    }

    /// The key of the image of that name.
    ///
    /// - Parameter place: of the name in its file, for messages.
    /// - Throws: `InputError` for a name that no image has, or more than one.
    func key(of name: String, file: String, place: String) throws -> String {
        if let key = keys[name] { return key }
        if let owners = shared[name] {
            throw InputError(
                file: file, place: place, found: "'\(name)', which \(owners.count) images are called",
                expected: "one of them by its path, such as \(owners[0])")
        }
        throw InputError(
            file: file, place: place, found: "'\(name)'", expected: "an image of the data set, such as \(example)")
    }

    /// Whether an image has that name.
    func contains(_ name: String) -> Bool { keys[name] != nil || shared[name] != nil }
}
