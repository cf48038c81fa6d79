import AdaShareSupport

/// Which samples of a data set serve which purpose.
///
/// `train1` updates weights and `train2` the policy's logits; choosing the best checkpoint looks at `validation` only.
public struct DatasetSplits: Sendable, Equatable {
    /// The split names that mean something here.
    public static let names = ["train", "train1", "train2", "validation", "test"]
    /// Every split with its name, in that order.
    public var all: [(name: String, indices: [Int])] {
        zip(Self.names, [train, train1, train2, validation, test]).map { ($0, $1) }
    }

    /// Indices of samples.
    public let train, train1, train2, validation, test: [Int]
    /// What a user should know about how the splits came to be; one sentence each.
    public let notices: [String]

    /// Completes the splits a data set names.
    ///
    /// - `train`: as named, else `train1` and `train2` together; empty where there are only splits that are scored.
    /// - `validation`: as named, else ⌊fraction · N⌋ of the N training samples, drawn by seed and taken out of `train`,
    ///   `train1` and `train2`; none, with a notice, when N < 10.
    /// - `train1`, `train2`: as named; with one named the other is the rest of `train`; with none named, a seeded
    ///   80/20 split of what is left of `train`.
    /// - `test`: as named, else empty.
    ///
    /// - Parameters:
    ///   - named: split name → sample indices, in the data set's order. Other names are left out, with a notice.
    ///   - source: the file or data set to name in errors.
    ///   - seed: drives both draws.
    ///   - fraction: share of `train` for validation, in 0..<1.
    /// - Throws: `InputError` if a named split is empty, if nothing can serve as `train` and nothing is scored, or if
    ///   the fraction is out of range.
    public init(named: [String: [Int]], source: String, seed: UInt64, validation fraction: Double = 0.1) throws {
        guard fraction >= 0, fraction < 1 else {
            throw InputError(
                file: source, found: "validation fraction \(fraction)", expected: "at least 0 and below 1")
        }
        var notices: [String] = []
        for name in named.keys.sorted() {
            if !Self.names.contains(name) {
                notices.append(
                    "\(source): split '\(name)' is not used; known are \(Self.names.joined(separator: ", ")).")
            } else if named[name]?.isEmpty == true {
                throw InputError(file: source, place: "split '\(name)'", found: "no sample", expected: "at least one")
            }
        }
        // What is only scored needs nothing to train on.
        let isScored = named["test"] != nil || named["validation"] != nil
        guard
            let all = named["train"] ?? Self.union(named["train1"], named["train2"])
                ?? (isScored && named["train1"] == nil && named["train2"] == nil ? [] : nil)
        else {
            throw InputError(
                file: source, found: "the splits \(named.keys.sorted())",
                expected: "'train' (or both 'train1' and 'train2')")
        }
        var held: [Int] = named["validation"] ?? []
        if named["validation"] == nil, fraction > 0, !all.isEmpty {
            if all.count < 10 {
                notices.append(
                    "\(source): \(all.count) training samples are too few to hold any out; there is no validation "
                        + "split."
                )
            } else {
                held = Self.draw(
                    Int((fraction * Double(all.count)).rounded(.down)), from: all, seed: seed, "validation")
            }
        }
        let taken = Set(named["validation"] == nil ? held : [])
        let rest = all.filter { !taken.contains($0) }
        switch (named["train1"], named["train2"]) {
        case (let first?, let second?):
            train1 = first.filter { !taken.contains($0) }
            train2 = second.filter { !taken.contains($0) }
        case (let first?, nil):
            train1 = first.filter { !taken.contains($0) }
            train2 = Self.subtract(first, from: rest)
        case (nil, let second?):
            train1 = Self.subtract(second, from: rest)
            train2 = second.filter { !taken.contains($0) }
        case (nil, nil):
            train1 = Self.draw(max(rest.count * 4 / 5, min(rest.count, 1)), from: rest, seed: seed, "train1")
            train2 = Self.subtract(train1, from: rest)
        }
        train = rest
        validation = held
        test = named["test"] ?? []
        let both = Set(train1).intersection(train2).count
        self.notices =
            notices
            + (both > 0 && named["train1"] != named["train2"]
                ? ["\(source): \(both) of \(train2.count) 'train2' samples are also in 'train1'."] : [])
            + Self.overlaps(rest + train1 + train2, source: source, validation: held, test: test)
    }

    /// The samples of a split by name.
    ///
    /// - Throws: `InputError` for an unknown name or an empty split.
    public subscript(name: String) -> [Int] {
        get throws {
            guard let indices = all.first(where: { $0.name == name })?.indices else {
                throw InputError(
                    file: "data set", found: "split '\(name)'",
                    expected: "one of \(Self.names.joined(separator: ", "))")
            }
            guard !indices.isEmpty else {
                throw InputError(
                    file: "data set", place: "split '\(name)'", found: "no sample", expected: "at least one")
            }
            return indices
        }
    }

    private static func union(_ first: [Int]?, _ second: [Int]?) -> [Int]? {
        guard let first, let second else { return nil }
        return first + subtract(first, from: second)
    }

    private static func subtract(_ removed: [Int], from indices: [Int]) -> [Int] {
        let removed = Set(removed)
        return indices.filter { !removed.contains($0) }
    }

    /// Draws some of the indices by seed and returns them in the order they had.
    private static func draw(_ count: Int, from indices: [Int], seed: UInt64, _ purpose: String) -> [Int] {
        var random = CounterRandom(seed: seed, name: "split/" + purpose)
        return random.permutation(indices.count).prefix(count).sorted().map { indices[$0] }
    }

    private static func overlaps(_ train: [Int], source: String, validation: [Int], test: [Int]) -> [String] {
        let seen = Set(train)
        return [("validation", validation), ("test", test)].compactMap { name, indices in
            let shared = indices.count { seen.contains($0) }
            guard shared > 0 else { return nil }
            return "\(source): \(shared) of \(indices.count) '\(name)' samples are also trained on."
        }
    }
}

extension DatasetSplits {
    /// The same splits with notices put before their own.
    func adding(notices more: [String]) -> DatasetSplits {
        DatasetSplits(
            train: train, train1: train1, train2: train2, validation: validation, test: test, notices: more + notices)
    }

    /// Splits that need no completing.
    public init(train: [Int], train1: [Int], train2: [Int], validation: [Int], test: [Int], notices: [String]) {
        self.train = train
        self.train1 = train1
        self.train2 = train2
        self.validation = validation
        self.test = test
        self.notices = notices
    }
}
