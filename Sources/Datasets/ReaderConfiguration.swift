import AdaShareSchema
import AdaShareSupport

/// Where images and labels come from: a reader by its kind, its folder and its keys. `dataset` and `tasks[].dataset` in
/// the file.
public struct ReaderConfiguration: Sendable {
    /// Which reader; needed for training and evaluation only.
    public var kind: String?
    /// Folder of a data set on disk.
    public var root: String?
    /// Size that images are brought to as they are read; nil for that of the files.
    public var resize: ImageSize?
    /// The readers there are.
    let known: Readers
    /// The keys of each reader, by its kind, whichever is chosen.
    public private(set) var readers: [String: any Reader]

    /// Creates the defaults.
    public init(readers: Readers = .standard) {
        known = readers
        self.readers = Dictionary(uniqueKeysWithValues: readers.all.map { ($0.kind, $0.init()) })
    }

    /// The chosen reader with its keys; nil where none is chosen.
    public var reader: (any Reader)? { kind.flatMap { readers[$0] } }

    /// The keys of one reader; its defaults where this configuration does not know it.
    public subscript<Kind: Reader>(_ type: Kind.Type) -> Kind {
        get { readers[Kind.kind] as? Kind ?? Kind() }
        set { readers[Kind.kind] = newValue }
    }

    /// Its keys, relative to `dataset`: kind, folder, then those of every reader.
    public static func fields(of readers: Readers) -> [ConfigurationField<ReaderConfiguration>] {
        let kinds = readers.all
        let own: [ConfigurationField<ReaderConfiguration>] = [
            .choice(
                "kind", of: kinds.map { $0.kind },
                "Where images come from: " + kinds.map { "`\($0.kind)`, \($0.meaning)" }.joined(separator: "; ")
                    + ". Needed to train and evaluate.",
                word: { $0.kind ?? "null" }, choose: { $0.kind = $1 }),
            .key(
                "root", \.root,
                "Folder of the data set, for kinds that read one ("
                    + kinds.filter { $0.needsRoot }.map { $0.kind }.joined(separator: ", ")
                    + "). Relative to where the command is run."
            ).allowing(.free),
            .key(
                "resize", \.resize, in: 1...8192, defaultText: "null",
                "Size that images are brought to as they are read, before anything else: smoothly, labels by nearest "
                    + "neighbour with their values as they are. null leaves each image as large as its file; "
                    + "evaluation then plans the network anew for every size there is."),
        ]
        return own + kinds.flatMap { readerFields($0) }
    }

    /// A reader's own keys; resolved files have those of the chosen one.
    private static func readerFields<Kind: Reader>(_ kind: Kind.Type) -> [ConfigurationField<ReaderConfiguration>] {
        Kind.fields.map { field in
            field.lifted(
                "", part: { $0[Kind.self] }, empty: { Kind() }, isWritten: { $0.kind == Kind.kind },
                set: { $0[Kind.self] = $1 })
        }
    }

    // MARK: - What it describes

    /// Checks the keys of all readers, whichever is chosen.
    ///
    /// - Parameters:
    ///   - place: where the configuration has it, such as `tasks.1.dataset`.
    ///   - file: named in errors.
    /// - Throws: `InputError` naming the key.
    public func validate(place: String, file: String) throws {
        try placed(place) {
            for reader in readers.values { try reader.validate(chosen: kind, file: file) }
        }
    }

    /// Keys that are set and that the chosen reader does not read, relative to `dataset`.
    package var idleKeys: [String] {
        guard let reader else { return [] }
        let chosen = type(of: reader)
        let others = known.all.filter { $0.kind != chosen.kind }.flatMap { readers[$0.kind]?.changedKeys ?? [] }
        return (root == nil || chosen.needsRoot ? [] : ["root"]) + others.filter { !chosen.keys.contains($0) }
    }

    /// The chosen reader, with a folder if it needs one.
    ///
    /// - Throws: `InputError` naming the key that is missing.
    public func complete(place: String, file: String) throws -> any Reader {
        guard let reader else {
            throw InputError(
                file: file, place: "\(place).kind", found: "nothing",
                expected: "one of " + known.all.map { $0.kind }.joined(separator: ", "))
        }
        if type(of: reader).needsRoot, (root ?? "").isEmpty {
            throw InputError(
                file: file, place: "\(place).root", found: "nothing",
                expected: "the folder of the data set, which kind \(type(of: reader).kind) needs")
        }
        return reader
    }

    /// Opens the data set.
    ///
    /// - Throws: `InputError` naming the file or key.
    public func open(_ request: DatasetRequest, place: String) throws -> any Dataset {
        let reader = try complete(place: place, file: "configuration")
        var request = request
        request.root = root
        guard let resize else { return try placed(place) { try reader.open(request) } }
        let cacheBytes = request.cacheBytes
        request.cacheBytes = 0
        return try placed(place) { ResizedDataset(try reader.open(request), to: resize, cacheBytes: cacheBytes) }
    }

    /// Readers speak of `dataset`, wherever the configuration has their keys.
    private func placed<Result>(_ place: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as InputError {
            let standard = "dataset."
            guard let key = error.place, key.hasPrefix(standard), place != "dataset" else { throw error }
            throw InputError(
                file: error.file, place: "\(place).\(key.dropFirst(standard.count))", found: error.found,
                expected: error.expected)
        }
    }
}

extension ReaderConfiguration: Equatable {
    /// Whether both describe the same images and labels: what a resolved file would say of them.
    public static func == (a: Self, b: Self) -> Bool {
        func written(_ configuration: Self) -> [String] {
            ConfigurationTree.leaves(
                of: ConfigurationTree.encode(fields(of: configuration.known), of: configuration)
            ).map { "\($0.0)=\($0.1)" }
        }
        return written(a) == written(b)
    }
}
