import AdaShareFiles
import AdaShareSchema
import AdaShareSupport
import Foundation
import Yams

/// What belongs to a split: `dataset.splits.<name>`.
enum SplitSource: Sendable, Equatable, ConfigurationValue {
    /// This share of the images that no list or folder claims.
    case fraction(Double)
    /// A text file below the root with an image in each line.
    case list(String)
    /// The images in a folder, relative to the root.
    case folder(String)

    static var expectation: String {
        "a share above 0 and below 1, a .txt file with an image in each line, or a folder"
    }

    init?(node: Node) {
        if let share = Double(node: node) {
            guard share > 0, share < 1 else { return nil }
            self = .fraction(share)
        } else {
            guard let text = String(node: node), !text.isEmpty else { return nil }
            self = text.lowercased().hasSuffix(".txt") ? .list(text) : .folder(text)
        }
    }

    var node: Node {
        switch self {
        case .fraction(let share): share.node
        case .list(let text), .folder(let text): text.node
        }
    }
}

/// The splits of a data set in folders.
struct FolderSplits: Sendable, Equatable {
    var train: SplitSource?
    var train1: SplitSource?
    var train2: SplitSource?
    var validation: SplitSource?
    var test: SplitSource?

    private var all: [(name: String, source: SplitSource)] {
        [("train", train), ("train1", train1), ("train2", train2), ("validation", validation), ("test", test)]
            .compactMap { name, source in source.map { (name, $0) } }
    }

    /// The images of each split that is described, as indices.
    ///
    /// Lists and folders come first; of what they leave, `test` and `validation` take their shares, drawn by the seed,
    /// and `train` what is left, or its share; `train1` and `train2` are drawn from `train`, without an image in
    /// common.
    ///
    /// - Parameters:
    ///   - images: key and path of each.
    /// - Throws: `InputError` naming the file, line or key.
    func named(_ images: [(key: String, path: String)], root: URL, seed: UInt64) throws -> [String: [Int]] {
        var named: [String: [Int]] = [:]
        for (name, source) in all {
            switch source {
            case .fraction: continue
            case .list(let file): named[name] = try indices(listed: file, images, root: root)
            case .folder(let folder):
                let prefix = folder.hasSuffix("/") ? folder : folder + "/"
                named[name] = images.indices.filter { images[$0].path.hasPrefix(prefix) }
                guard named[name]?.isEmpty == false else {
                    throw InputError(
                        file: "configuration", place: "dataset.splits.\(name)", found: "'\(folder)'",
                        expected: "a folder with images, as in \(images[0].path)")
                }
            }
        }
        // Halves of train that are named are no one else's; where train is a share they are beside it.
        let claimed = Set(named.values.joined())
        var rest = images.indices.filter { !claimed.contains($0) }
        /// Takes a share of `whole` images out of those that are left.
        func draw(_ name: String, _ share: Double, of whole: Int, from pool: inout [Int]) throws -> [Int] {
            let count = Int((share * Double(whole)).rounded(.down))
            guard count <= pool.count else {
                throw InputError(
                    file: "configuration", place: "dataset.splits.\(name)", found: "a share of \(count) images",
                    expected: "at most the \(pool.count) that the other splits leave")
            }
            var random = CounterRandom(seed: seed, name: "split/" + name)
            let drawn = random.permutation(pool.count).prefix(count).sorted().map { pool[$0] }
            pool.removeAll(where: Set(drawn).contains)
            return drawn
        }
        let total = rest.count
        for (name, source) in all.reversed() where ["test", "validation"].contains(name) {
            guard case .fraction(let share) = source else { continue }
            named[name] = try draw(name, share, of: total, from: &rest)
        }
        let train: [Int]
        if let known = named["train"] {
            train = known
        } else if case .fraction(let share)? = self.train {
            train = try draw("train", share, of: total, from: &rest)
        } else {
            train = (rest + (named["train1"] ?? []) + (named["train2"] ?? [])).sorted()
        }
        named["train"] = train
        // Halves of train have no image in common.
        let taken = Set((named["train1"] ?? []) + (named["train2"] ?? []))
        var free = train.filter { !taken.contains($0) }
        for (name, source) in all where ["train1", "train2"].contains(name) {
            guard case .fraction(let share) = source else { continue }
            named[name] = try draw(name, share, of: train.count, from: &free)
        }
        return named
    }

    private func indices(listed file: String, _ images: [(key: String, path: String)], root: URL) throws -> [Int] {
        let url = root.appendingPathComponent(file)
        guard let text = String(data: try WholeFile.read(url), encoding: .utf8) else {
            throw InputError(file: url.path, found: "bytes that are not UTF-8", expected: "an image in each line")
        }
        let names = ImageNames(Dictionary(uniqueKeysWithValues: images.map { ($0.key, $0.path) }))
        let places = Dictionary(uniqueKeysWithValues: images.enumerated().map { ($1.key, $0) })
        var found: [Int] = []
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            var whole = line.trimmingCharacters(in: .whitespaces)
            if whole.hasPrefix(root.path + "/") { whole.removeFirst(root.path.count + 1) }
            guard let first = whole.split(separator: " ").first.map(String.init) else { continue }
            // Whatever else a list says of an image follows it.
            let key = try names.key(
                of: names.contains(whole) ? whole : first, file: url.path, place: "line \(number + 1)")
            if let place = places[key] { found.append(place) }
        }
        return found
    }
}
