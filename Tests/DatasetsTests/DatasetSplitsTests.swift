import Testing

@testable import AdaShareDatasets

@Suite struct DatasetSplitsTests {
    private func make(_ named: [String: [Int]], seed: UInt64 = 1, validation: Double = 0.1) throws -> DatasetSplits {
        try DatasetSplits(named: named, source: "set", seed: seed, validation: validation)
    }

    @Test func keepsWhatIsNamed() throws {
        let splits = try make([
            "train": [3, 1, 2], "train1": [1], "train2": [2, 3], "validation": [4], "test": [9, 8],
        ])
        #expect(splits.train == [3, 1, 2] && splits.train1 == [1] && splits.train2 == [2, 3])
        #expect(splits.validation == [4] && splits.test == [9, 8] && splits.notices.isEmpty)
    }

    @Test func drawsValidationOutOfTraining() throws {
        let all = Array(0..<57)
        let splits = try make(["train": all, "train1": Array(0..<40), "train2": Array(40..<57), "test": [57]])
        #expect(splits.validation.count == 5)
        let held = Set(splits.validation)
        #expect(splits.train == all.filter { !held.contains($0) })
        #expect(splits.train1 == (0..<40).filter { !held.contains($0) })
        #expect(splits.train2 == (40..<57).filter { !held.contains($0) })
        #expect(try make(["train": all]).validation == splits.validation)
        #expect(try make(["train": all], seed: 2).validation != splits.validation)
        #expect(try make(["train": all], validation: 0.5).validation.count == 28)
        #expect(try make(["train": all], validation: 0).validation.isEmpty)
    }

    @Test func tooFewForValidation() throws {
        let splits = try make(["train": Array(0..<9)])
        #expect(splits.validation.isEmpty && splits.train.count == 9)
        #expect(splits.notices.contains { $0.contains("9 training samples") })
        #expect(try make(["train": Array(0..<10)]).validation.count == 1)
    }

    @Test func splitsTraining() throws {
        let splits = try make(["train": Array(0..<100)], validation: 0)
        #expect(splits.train1.count == 80 && splits.train2.count == 20)
        #expect(Set(splits.train1 + splits.train2) == Set(0..<100))
        #expect(splits.train1 != Array(0..<80))
        #expect(try make(["train": Array(0..<100)], validation: 0) == splits)
        #expect(try make(["train": Array(0..<100)], seed: 5, validation: 0).train1 != splits.train1)
        let one = try make(["train": Array(0..<5), "train1": [1, 3]])
        #expect(one.train2 == [0, 2, 4])
        #expect(try make(["train1": [1, 3], "train2": [3, 4]]).train == [1, 3, 4])
        let four = try make(["train": Array(0..<4)])
        #expect(four.train1.count == 3 && four.train2.count == 1)
    }

    @Test func errorsNameTheSplit() throws {
        expectError("set", "'train1': found no sample") { _ = try make(["train": [1], "train1": []]) }
        expectError("set", "'train'", "found") { _ = try make(["tset": [1]]) }
        // What is only scored needs no images to train on.
        let scored = try make(["test": [1]])
        #expect(scored.test == [1] && scored.train.isEmpty && scored.validation.isEmpty)
        expectError("fraction 1.5") { _ = try make(["train": [1]], validation: 1.5) }
        let splits = try make(["train": [1, 2]])
        expectError("'test': found no sample") { _ = try splits["test"] }
        expectError("found split 'tset'", "test") { _ = try splits["tset"] }
        #expect(try splits["train"] == [1, 2])
        #expect(try make(["train": [1], "val": [2]]).notices.contains { $0.contains("'val'") })
        #expect(try make(["train": [1, 2], "test": [2]]).notices.contains { $0.contains("1 of 1 'test'") })
    }
}
