/// Finds images with the same pixels.
struct EqualImages {
    /// Samples whose images are the same, by index and name.
    typealias Group = [(index: Int, name: String)]

    let dataset: any Dataset

    /// The groups of equal images among samples whose hashes are equal, in the order of their first samples.
    ///
    /// - Parameters:
    ///   - hashes: of the decoded samples, with their indices.
    ///   - threads: that decode them again: equal hashes alone prove nothing.
    func groups(_ hashes: [(hash: UInt64, index: Int)], threads: Int) -> [Group] {
        let candidates = Dictionary(grouping: hashes, by: \.hash).values.filter { $0.count > 1 }
            .map { $0.map(\.index).sorted() }.sorted { $0[0] < $1[0] }
        let dataset = dataset
        let queue = PrefetchQueue<[Group]>(start: 0, ahead: 2 * threads, threads: threads) { number in
            candidates.indices.contains(number) ? Self.split(candidates[number], of: dataset) : []
        }
        defer { queue.stop() }
        return candidates.flatMap { _ in (try? queue.take()) ?? [] }
    }

    /// Compares pixels; one image of each group is held at a time.
    private static func split(_ candidates: [Int], of dataset: any Dataset) -> [Group] {
        var groups: [Group] = []
        var rest = candidates
        while let first = rest.first {
            rest.removeFirst()
            guard let sample = try? dataset.sample(first) else { continue }
            var group = [(index: first, name: sample.name)]
            rest.removeAll { index in
                guard let other = try? dataset.sample(index),
                    (other.height, other.width) == (sample.height, sample.width), other.image == sample.image
                else { return false }
                group.append((index, other.name))
                return true
            }
            if group.count > 1 { groups.append(group) }
        }
        return groups
    }
}

extension DatasetSplits {
    /// The parts that must not have an image in common, with their samples: halves of `train` are `train`.
    var parts: [(name: String, indices: Set<Int>)] {
        [
            ("train", Set(train).union(train1).union(train2)), ("validation", Set(validation)), ("test", Set(test)),
        ]
    }
}

extension [(name: String, indices: Set<Int>)] {
    /// What to say of equal images.
    ///
    /// - Returns: a line, and whether two parts have the image in common.
    func describe(_ group: EqualImages.Group) -> (text: String, isLeak: Bool) {
        let owners = map { part in (part.name, members: group.filter { part.indices.contains($0.index) }) }
            .filter { !$0.members.isEmpty }
        let owned = Set(owners.flatMap { $0.members.map(\.index) })
        // One sample in two parts is no news: the splits say so.
        guard owners.count > 1, owned.count > 1 else {
            return ("the same image in \(owners.first?.0 ?? "no split"): " + group.map(\.name).shortList, false)
        }
        let places = owners.map { "\($0.0) (\($0.members.map(\.name).shortList))" }
        return ("the same image in " + places.joined(separator: " and "), true)
    }
}

extension [String] {
    /// The first of them, and how many more there are.
    var shortList: String {
        count <= 6 ? joined(separator: ", ") : prefix(5).joined(separator: ", ") + " and \(count - 5) more"
    }
}
