import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

/// Expects a `InputError` whose message holds all the parts.
func expectError(_ parts: String..., sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void) {
    do {
        try body()
        Issue.record("expected an error with \(parts)", sourceLocation: sourceLocation)
    } catch let error as InputError {
        for part in parts {
            #expect(error.description.contains(part), "\(error.description)", sourceLocation: sourceLocation)
        }
        #expect(!error.description.contains("\n"), "an error is one line", sourceLocation: sourceLocation)
    } catch {
        Issue.record("expected an InputError, found \(error)", sourceLocation: sourceLocation)
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

/// Samples made by a closure, for tests of loading.
struct FakeDataset: Dataset {
    var name = "fake"
    var count: Int
    var labels: Set<String>
    var splits: DatasetSplits
    var make: @Sendable (Int) throws -> Sample

    init(count: Int, labels: Set<String>, make: @escaping @Sendable (Int) throws -> Sample) throws {
        self.count = count
        self.labels = labels
        self.make = make
        splits = try DatasetSplits(named: ["train": Array(0..<count)], source: "fake", seed: 1)
    }

    func sample(_ index: Int) throws -> Sample { try make(index) }
}
