import AdaShareSupport
import Foundation
import Testing

/// Every reader that tools/fuzz tries, with a few inputs that are the same each time: its seeds, and seeds that were
/// changed blindly. What ends a reader ends the process of the tests; the input is then the file
/// `input` in the folder `adashare-fuzz-<process>` of /dev/shm.
@Suite struct SmokeTests {
    /// Changed inputs for each reader; those that start a process or write a folder for each get fewer.
    private static let (count, slowCount) = (10_000, 500)
    private static let slow: Set = ["hdf5", "nyu-mat", "run", "state", "study", "log", "yaml", "set", "published"]
    private static let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    /// Seeds of one reader that are another's too.
    private static let others = ["nyu-mat": "hdf5"]

    @Test(arguments: Target.all.keys.sorted())
    func damagedInputsAreRefused(name: String) throws {
        let target = try #require(Target.all[name])
        let (seeds, words) = (try Self.seeds(of: name), try Self.words(of: name))
        var tried: Set<Data> = []
        for bytes in seeds { target.give(bytes) }
        var random = CounterRandom(seed: 1, name: "smoke/\(name)")
        let count = Self.slow.contains(name) ? Self.slowCount : Self.count
        for _ in 0..<count {
            var bytes = Mutation.changed(seeds.randomElement(using: &random) ?? Data(), words, using: &random)
            if let mend = target.mend, random.next() % 16 != 0 { bytes = Mutation.mended(bytes, by: mend) }
            _ = Scratch.file("input", bytes)
            target.give(bytes)
            tried.insert(bytes)
        }
        // Negative control: what was tried is not all the same.
        #expect(tried.count > count / 2)
    }

    private static func seeds(of name: String) throws -> [Data] {
        let folder = here.appendingPathComponent("Corpus/\(others[name] ?? name)")
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return try files.sorted().map { try Data(contentsOf: folder.appendingPathComponent($0)) }
    }

    /// The words of libFuzzer's dictionary, each a line in quotes.
    private static func words(of name: String) throws -> [Data] {
        let file = here.appendingPathComponent("Dictionaries/\(name).dict")
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap { line in
            guard let first = line.firstIndex(of: "\""), let last = line.lastIndex(of: "\""), first < last else {
                return nil
            }
            return Mutation.unescaped(line[line.index(after: first)..<last])
        }
    }
}

/// Changes of bytes that look at nothing.
private enum Mutation {
    static let most = 4096

    /// One to four changes.
    static func changed(_ seed: Data, _ words: [Data], using random: inout CounterRandom) -> Data {
        var bytes = [UInt8](seed)
        for _ in 0...Int.random(in: 0..<4, using: &random) { change(&bytes, words, using: &random) }
        return Data(bytes.prefix(max(most, seed.count)))
    }

    private static func change(_ bytes: inout [UInt8], _ words: [Data], using random: inout CounterRandom) {
        func place() -> Int { Int.random(in: 0...bytes.count, using: &random) }
        let (one, other) = (place(), place())
        let part = min(one, other)..<max(one, other)
        switch Int.random(in: 0..<7, using: &random) {
        case 0 where one < bytes.count: bytes[one] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1 where one < bytes.count:
            bytes[one] =
                [0, 1, 0x7F, 0x80, 0xFF, .random(in: 0...255, using: &random)]
                .randomElement(using: &random) ?? 0
        case 2: bytes.removeSubrange(part)
        case 3: bytes.insert(contentsOf: bytes[part].prefix(64), at: place())
        case 4: bytes.removeLast(bytes.count - part.upperBound)
        case 5: bytes.insert(contentsOf: words.randomElement(using: &random) ?? Data([0]), at: one)
        default:
            // A number in the place of another.
            let value =
                [0, 1, UInt64(Int32.max), UInt64(UInt32.max), UInt64(Int64.max), .max]
                .randomElement(using: &random) ?? 0
            let width = [2, 4, 8].randomElement(using: &random) ?? 4
            guard one + width <= bytes.count else { return }
            for byte in 0..<width { bytes[one + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(byte))) }
        }
    }

    static func mended(
        _ bytes: Data, by mend: (UnsafeMutableBufferPointer<UInt8>, Int) -> Int
    ) -> Data {
        var room = [UInt8](bytes) + [UInt8](repeating: 0, count: max(0, most - bytes.count))
        let count = room.withUnsafeMutableBufferPointer { mend($0, bytes.count) }
        return Data(room.prefix(count))
    }

    /// `\\`, `\"` and `\xNN`.
    static func unescaped(_ text: Substring) -> Data {
        var (result, rest) = (Data(), Array(text.utf8)[...])
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let next = rest.popFirst() else {
                result.append(byte)
                continue
            }
            if next == UInt8(ascii: "x"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                result.append(value)
                rest = rest.dropFirst(2)
            } else {
                result.append(next)
            }
        }
        return result
    }
}
