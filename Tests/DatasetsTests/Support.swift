import Foundation
import Testing

@testable import Datasets

/// A folder that exists for one test.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("datasets-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }

    func file(_ name: String) -> URL { url.appendingPathComponent(name) }

    func write(_ bytes: [UInt8], _ name: String) throws -> URL {
        try Data(bytes).write(to: file(name))
        return file(name)
    }
}

/// Expects a `DatasetError` whose message holds all the parts.
func expectError(_ parts: String..., sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void) {
    do {
        try body()
        Issue.record("expected an error with \(parts)", sourceLocation: sourceLocation)
    } catch let error as DatasetError {
        for part in parts {
            #expect(error.message.contains(part), "\(error.message)", sourceLocation: sourceLocation)
        }
        #expect(!error.message.contains("\n"), "an error is one line", sourceLocation: sourceLocation)
    } catch {
        Issue.record("expected a DatasetError, found \(error)", sourceLocation: sourceLocation)
    }
}

/// The shared real samples, found by walking up from this file; nil when they are not there.
let realSamples: URL? = {
    var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    while folder.path != "/" {
        let candidate = folder.appendingPathComponent("shared/data/nyu_v2_samples")
        if FileManager.default.fileExists(atPath: candidate.appendingPathComponent("img").path) { return candidate }
        folder.deleteLastPathComponent()
    }
    return nil
}()

/// A PNG put together by hand, independent of libpng: stored (uncompressed) zlib blocks.
enum HandmadePNG {
    static func file(
        width: Int, height: Int, depth: UInt8, colorType: UInt8, rows: [[UInt8]],
        extra: [(type: String, data: [UInt8])] = []
    ) -> [UInt8] {
        var bytes: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        bytes += chunk("IHDR", word(width) + word(height) + [depth, colorType, 0, 0, 0])
        for (type, data) in extra { bytes += chunk(type, data) }
        let raw: [UInt8] = rows.flatMap { row -> [UInt8] in [0] + row }
        let length = UInt16(raw.count)
        var stream: [UInt8] = [
            0x78, 0x01, 1, UInt8(length & 255), UInt8(length >> 8), UInt8(~length & 255), UInt8(~length >> 8),
        ]
        stream += raw
        var (a, b) = (1, 0)
        for byte in raw {
            a = (a + Int(byte)) % 65521
            b = (b + a) % 65521
        }
        stream += word(b << 16 | a)
        return bytes + chunk("IDAT", stream) + chunk("IEND", [])
    }

    static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in body {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
        }
        return word(data.count) + body + word(Int(~crc))
    }

    static func word(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}

/// Samples made by a closure, for tests of loading.
struct FakeDataset: DenseDataset {
    var name = "fake"
    var count: Int
    var labels: Set<LabelKind>
    var splits: DatasetSplits
    var make: @Sendable (Int) throws -> DenseSample

    init(count: Int, labels: Set<LabelKind>, make: @escaping @Sendable (Int) throws -> DenseSample) throws {
        self.count = count
        self.labels = labels
        self.make = make
        splits = try DatasetSplits(named: ["train": Array(0..<count)], source: "fake", seed: 1)
    }

    func sample(_ index: Int) throws -> DenseSample { try make(index) }
}
