/// Finds elements of somebody's array by hashes that somebody has worked out.
///
/// For tables that are asked ten thousand times for one plan: there a dictionary takes longest to mix each hash anew.
package struct HashIndex {
    /// By position in the array.
    @usableFromInline var hashes: [Int] = []
    /// Never more than half full: each position in the first free place from that of its hash on; −1 for none.
    @usableFromInline var table: [Int32]

    /// - Parameter capacity: elements to expect.
    package init(capacity: Int) {
        var places = 16
        while places < 2 * capacity { places *= 2 }
        table = [Int32](repeating: -1, count: places)
        hashes.reserveCapacity(capacity)
    }

    /// Where the element is that has this hash and that is the one looked for; nil for none.
    ///
    /// - Parameter isIt: whether that at a position is; of equal ones the first is asked for first.
    @inlinable package func position(hash: Int, where isIt: (Int) -> Bool) -> Int? {
        var place = firstPlace(hash)
        while table[place] >= 0 {
            let position = Int(table[place])
            if hashes[position] == hash, isIt(position) { return position }
            place = (place + 1) & (table.count - 1)
        }
        return nil
    }

    /// Takes up the element behind the last one.
    @inlinable package mutating func append(hash: Int) {
        hashes.append(hash)
        if 2 * hashes.count > table.count { layOut(places: 2 * table.count) } else { insert(hashes.count - 1) }
    }

    /// Forgets all.
    package mutating func removeAll() { self = HashIndex(capacity: hashes.count) }

    /// Forgets an element; those behind it move up.
    package mutating func remove(at position: Int) {
        hashes.remove(at: position)
        layOut(places: table.count)
    }

    /// A hash of two numbers of which few bits differ.
    @inlinable package static func hash(_ a: Int, _ b: Int) -> Int { (a ^ b) &* 0x1E37_79B9_7F4A_7C15 }

    @usableFromInline mutating func layOut(places: Int) {
        table = [Int32](repeating: -1, count: places)
        for position in hashes.indices { insert(position) }
    }

    @usableFromInline mutating func insert(_ position: Int) {
        var place = firstPlace(hashes[position])
        while table[place] >= 0 { place = (place + 1) & (table.count - 1) }
        table[place] = Int32(position)
    }

    @inlinable func firstPlace(_ hash: Int) -> Int { (hash ^ hash >> 32) & (table.count - 1) }
}
