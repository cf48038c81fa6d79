import AdaShareDeviceLayer
import AdaShareFiles
import AdaShareSupport
import ArgumentParser
import Foundation

/// The images that a command is given: files, folders with images, and patterns that no shell has replaced.
struct GivenImages {
    private static let suffixes = ["png", "jpg", "jpeg"]

    /// The files, each once, in the order in which they were named.
    let paths: [String]
    /// What names no image.
    let failures: [InputError]
    /// Pixels of the images that are computed at once: beyond them a batch takes memory and saves no time, so larger
    /// images go alone.
    static let mostPixels = 1 << 22

    /// How many images were asked for.
    private var count: Int { paths.count + failures.count }

    /// - Throws: `ValidationError` if two have the same name, and so results of the same name.
    init(_ arguments: [String]) throws {
        var paths: [String] = []
        var failures: [InputError] = []
        for argument in arguments {
            do {
                let (found, unnamed) = try Self.files(argument)
                paths += found
                failures += unnamed
            } catch let error as InputError {
                failures.append(error)
            }
        }
        var places: Set<String> = []
        paths = paths.filter { places.insert(URL(fileURLWithPath: $0).standardizedFileURL.path).inserted }
        var stems: [String: String] = [:]
        for path in paths {
            if let other = stems.updateValue(path, forKey: Self.stem(path)) {
                throw ValidationError(
                    "Two images have the same name without extension: \(other) and \(path). Give them in two commands.")
            }
        }
        (self.paths, self.failures) = (paths, failures)
    }

    /// What results of an image are called.
    static func stem(_ path: String) -> String {
        URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
    }

    /// The files that an argument names, and what cannot be named.
    private typealias Found = (paths: [String], unnamed: [InputError])

    private static func files(_ argument: String) throws -> Found {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: argument, isDirectory: &isFolder) {
            return isFolder.boolValue ? try images(in: argument) : ([argument], [])
        }
        guard argument.contains(where: { "*?[".contains($0) }) else { return ([argument], []) }
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(argument, 0, nil, &found) == 0 else {
            throw InputError(file: argument, found: "no file of that pattern", expected: "at least one image")
        }
        var all: Found = ([], [])
        for index in 0..<Int(found.gl_pathc) {
            guard let bytes = found.gl_pathv[index] else { continue }
            guard let path = String(validatingCString: bytes) else {
                all.unnamed.append(noText(spelled(Data(bytes: bytes, count: strlen(bytes)))))
                continue
            }
            let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            let own: Found = isThere && isFolder.boolValue ? try images(in: path) : ([path], [])
            all = (all.paths + own.paths, all.unnamed + own.unnamed)
        }
        return all
    }

    /// A name that is no text, and so that of no path.
    private static func noText(_ path: String) -> InputError {
        InputError(file: path, found: "a name that is not UTF-8", expected: "another name")
    }

    /// Those right below a folder, hidden ones left out, by name.
    private static func images(in folder: String) throws -> Found {
        guard let contents = FolderNames(folder) else {
            throw InputError(file: folder, found: "a folder that cannot be read", expected: "one with images")
        }
        func isImage(_ name: String) -> Bool {
            !name.hasPrefix(".") && suffixes.contains { name.lowercased().hasSuffix(".\($0)") }
        }
        func path(_ name: String) -> String { URL(fileURLWithPath: folder).appendingPathComponent(name).relativePath }
        let images = contents.names.filter(isImage)
        let unnamed = contents.others.map(\.name).filter(isImage).map { noText(path($0)) }
        guard !images.isEmpty || !unnamed.isEmpty else {
            throw InputError(
                file: folder, found: "a folder without an image",
                expected: suffixes.map { "*.\($0)" }.joined(separator: ", ") + " right below it")
        }
        return (images.map(path), unnamed)
    }

    /// Reads all images and hands on those of one size together.
    ///
    /// What is wrong with one concerns no other: it is kept for the end. Images wait for others of their size as long
    /// as not too many do.
    ///
    /// - Parameters:
    ///   - count: most images at once.
    ///   - pixels: most pixels at once, but for one image alone.
    ///   - body: given the paths and the images.
    /// - Returns: what went wrong.
    func forEachBatch(
        of count: Int, pixels: Int = mostPixels, _ body: ([String], [Image]) throws -> Void
    ) throws -> [InputError] {
        var failures = failures
        var waiting: [[(path: String, image: Image)]] = []
        func done(_ group: [(path: String, image: Image)]) throws {
            let faults = DeviceError.faultCount
            do {
                try body(group.map(\.path), group.map(\.image))
            } catch let error as InputError where group.count == 1 {
                failures.append(error)
            } catch let error as DeviceError where group.count == 1 && error.isOutOfMemory {
                // The device goes on with smaller images, unless its context has ended.
                guard DeviceError.faultCount == faults else { throw error }
                let (path, image) = group[0]
                let size = dimensions(height: image.height, width: image.width)
                failures.append(
                    InputError(
                        file: path,
                        found: "\(size) pixels (height × width), more than the device has memory for "
                            + "(\(error))", expected: "a smaller image"))
            } catch  where group.count > 1 {
                // One of them, or all of them at once, are too much.
                for one in group { try done([one]) }
            }
        }
        for path in paths {
            let image: Image
            do {
                image = try Image.readOpaque(URL(fileURLWithPath: path))
            } catch let error as InputError {
                failures.append(error)
                continue
            }
            let place = waiting.firstIndex { ($0[0].image.width, $0[0].image.height) == (image.width, image.height) }
            if let place { waiting[place].append((path, image)) } else { waiting.append([(path, image)]) }
            func all(_ group: [(path: String, image: Image)]) -> Int {
                group.count * group[0].image.width * group[0].image.height
            }
            // Those that the next one would make too many are as many as can be.
            if let full = waiting.firstIndex(where: {
                $0.count == count || all($0) / $0.count * ($0.count + 1) > pixels
            }) {
                try done(waiting.remove(at: full))
            }
            while waiting.reduce(0, { $0 + $1.count }) >= 4 * count
                || waiting.reduce(0, { $0 + all($1) }) > 4 * pixels
            {
                try done(waiting.removeFirst())
            }
        }
        for group in waiting { try done(group) }
        return failures
    }

    /// Says what went wrong with images, each on a line of its own.
    ///
    /// - Throws: how many they are of how many; of one image alone what went wrong; nothing where nothing did.
    func end(with failures: [InputError], on console: Console) throws {
        guard let first = failures.first else { return }
        guard count > 1 else { throw first }
        for failure in failures { console.say(.error, failure.description) }
        throw FailedImages(failed: failures.count, count: count)
    }

    /// The line that sums them up.
    struct FailedImages: Error, CustomStringConvertible {
        let failed, count: Int

        var description: String {
            let rest = failed == count ? "none is done" : "the others are done"
            return "\(failed) of \(count) images failed, as said above; \(rest)"
        }
    }
}
