import AdaShareSupport
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AdaShareDatasets

@Suite struct BatchLoaderTests {
    private func loader(
        _ dataset: any Dataset, indices: [Int]? = nil, batch: Int = 3, shuffle: Bool = true,
        labels: Set<String> = ["depth"], phase: String = "warmup", start: Int = 0, threads: Int = 2, seed: UInt64 = 1,
        onError: OnError = .stop, augmentation: Augmentation = .dense
    ) throws -> BatchLoader {
        try BatchLoader(
            dataset: dataset, indices: indices ?? Array(0..<dataset.count), batch: batch, crop: (12, 16),
            augmentation: augmentation, shuffle: shuffle, labels: LabelRequest.standard(labels), seed: seed,
            phase: phase,
            onError: onError, startStep: start,
            threads: threads)
    }

    private func scenes() throws -> ScenesDataset { try ScenesDataset(count: 10, height: 16, width: 16, seed: 1) }

    @Test func batchesDependOnTheStepAlone() throws {
        let dataset = try scenes()
        func batches(threads: Int, start: Int, phase: String = "warmup", seed: UInt64 = 1) throws -> [Batch] {
            let loader = try loader(
                dataset, labels: Set(ScenesDataset.offers.keys), phase: phase, start: start, threads: threads,
                seed: seed
            )
            return try (start..<11).map { _ in try loader.next() }
        }
        let one = try batches(threads: 1, start: 0)
        for threads in [2, 5] { #expect(try batches(threads: threads, start: 0) == one) }
        #expect(try batches(threads: 3, start: 5) == Array(one[5...]))
        #expect(try batches(threads: 1, start: 0, phase: "retrain") != one)
        #expect(try batches(threads: 1, start: 0, seed: 2) != one)
        #expect(Set(one.map(\.indices)).count > 8, "every pass has its own order")
    }

    /// Colours are drawn by place and pass like the rest, and apart from it.
    @Test func coloursDependOnTheStepAlone() throws {
        let dataset = try scenes()
        var augmentation = Augmentation.dense
        augmentation.colourJitter.brightness = 0.3
        augmentation.colourJitter.hue = 0.1
        func batches(threads: Int, start: Int = 0, _ augmentation: Augmentation) throws -> [Batch] {
            let loader = try loader(dataset, start: start, threads: threads, augmentation: augmentation)
            return try (start..<8).map { _ in try loader.next() }
        }
        let one = try batches(threads: 1, augmentation)
        for threads in [2, 5] { #expect(try batches(threads: threads, augmentation) == one) }
        #expect(try batches(threads: 5, start: 4, augmentation) == Array(one[4...]))
        let plain = try batches(threads: 2, .dense)
        #expect(one.map(\.labels) == plain.map(\.labels) && one.map(\.indices) == plain.map(\.indices))
        #expect(zip(one, plain).allSatisfy { $0.image != $1.image })
    }

    /// Data sets of different lengths side by side: the shorter begins again, each in its own order, from any step.
    @Test func severalDataSetsStepTogether() throws {
        let (long, short) = (try scenes(), try ScenesDataset(count: 4, height: 16, width: 16, seed: 2))
        func pair(start: Int) throws -> BatchLoaders {
            BatchLoaders([
                try loader(long, phase: "warmup", start: start),
                try loader(short, phase: "warmup/task2", start: start),
            ])
        }
        let loaders = try pair(start: 0)
        #expect(loaders.stepsPerPass == 3 && loaders.loaders.map(\.stepsPerPass) == [3, 1])
        let steps = try (0..<7).map { _ in try loaders.next() }
        let alone = try loader(short, phase: "warmup/task2")
        for step in steps { #expect(try step[1] == alone.next()) }
        for (step, batches) in steps.enumerated() {
            let order = BatchLoader.permutation(count: 4, seed: 1, phase: "warmup/task2", pass: step)
            #expect(batches[1].indices == Array(order.prefix(3)))
        }
        let late = try pair(start: 5)
        #expect(try late.next() == steps[5] && late.next() == steps[6])
        #expect(steps[5] != steps[6], "negative control")
    }

    @Test func aPassDropsItsLeftover() throws {
        let loader = try loader(scenes(), indices: [9, 8, 7, 6, 5, 4, 3, 2])
        #expect(loader.stepsPerPass == 2)
        for pass in 0..<3 {
            let seen = try loader.next().indices + loader.next().indices
            #expect(Set(seen).count == 6 && Set(seen).isSubset(of: Set(2..<10)))
            let order = BatchLoader.permutation(count: 8, seed: 1, phase: "warmup", pass: pass)
            #expect(seen == order.prefix(6).map { 9 - $0 })
        }
    }

    @Test func naturalOrderWithoutShuffling() throws {
        let loader = try loader(scenes(), indices: [4, 9, 1, 0], batch: 2, shuffle: false)
        let seen = try (0..<4).map { _ in try loader.next().indices }
        #expect(seen == [[4, 9], [1, 0], [4, 9], [1, 0]])
    }

    @Test func badRequestsAreErrors() throws {
        let dataset = try scenes()
        expectError("batch of 11", "at most 10") { _ = try loader(dataset, batch: 11) }
        expectError("batch 0") { _ = try loader(dataset, batch: 0) }
        expectError("empty", "warmup") { _ = try loader(dataset, indices: []) }
        expectError("sample 10", "0...9") { _ = try loader(dataset, indices: [1, 2, 10]) }
        expectError("no keypoints") { _ = try loader(dataset, labels: ["keypoints"]) }
    }

    @Test func theNextOfThePassStandsInForABadSample() throws {
        let scenes = try scenes()
        let order = (0..<2).map { BatchLoader.permutation(count: 10, seed: 1, phase: "warmup", pass: $0) }
        // Two in a row, and the last of the first pass, for which its first stands in.
        let bad = Set([order[0][2], order[0][3], order[0][9]])
        let dataset = try FakeDataset(count: 10, labels: ["depth"]) { index in
            guard !bad.contains(index) else {
                throw InputError(file: "file \(index)", found: "nothing", expected: "an image")
            }
            return try scenes.sample(index)
        }
        func batches(threads: Int, start: Int = 0) throws -> [Batch] {
            let loader = try loader(dataset, batch: 5, start: start, threads: threads, onError: .skip)
            return try (start..<4).map { _ in try loader.next() }
        }
        let found = try batches(threads: 1)
        #expect(found[0].indices == [0, 1, 4, 4, 4].map { order[0][$0] })
        #expect(found[0].skipped.map(\.index) == [2, 3, 3].map { order[0][$0] })
        #expect(found[0].skipped[0].reason == "file \(order[0][2]): found nothing, expected an image")
        #expect(found[1].indices == [5, 6, 7, 8, 0].map { order[0][$0] })
        #expect(found[1].names == (try found[1].indices.map { try scenes.sample($0).name }))
        #expect(found.allSatisfy { bad.isDisjoint(with: $0.indices) })
        #expect(try batches(threads: 4) == found)
        #expect(try batches(threads: 2, start: 3) == Array(found[3...]))
        // What is not bad is as it would be without.
        let whole = try loader(scenes, batch: 5).next()
        let pixels = 3 * 12 * 16
        #expect(found[0].image.prefix(2 * pixels) == whole.image.prefix(2 * pixels))

        let none = try FakeDataset(count: 5, labels: ["depth"]) { index in
            throw InputError(file: "file \(index)", found: "nothing", expected: "an image")
        }
        let first = BatchLoader.permutation(count: 5, seed: 1, phase: "warmup", pass: 0)[0]
        expectError("file \(first)") { _ = try loader(none, onError: .skip).next() }
    }

    @Test func anErrorSurfacesAtItsStep() throws {
        let dataset = try FakeDataset(count: 6, labels: ["depth"]) { index in
            if index == 3 { throw InputError(file: "img/3.png", found: "noise", expected: "an image") }
            return Sample(
                name: "\(index)", height: 2, width: 2, image: [UInt8](repeating: 0, count: 12), segmentation: nil,
                depth: [1, 1, 1, 1])
        }
        let loader = try loader(dataset, batch: 1, shuffle: false, threads: 2)
        for step in 0..<6 {
            if step == 3 {
                expectError("img/3.png") { _ = try loader.next() }
            } else {
                #expect(try loader.next().indices == [step])
            }
        }
    }

    /// However many threads there are and however slowly batches are taken, as many as are said wait.
    @Test(arguments: [(threads: 1, ahead: 4), (threads: 6, ahead: 6)])
    func batchesInMemoryAreBounded(threads: Int, ahead: Int) throws {
        let counter = Counter()
        let dataset = try FakeDataset(count: 10, labels: ["depth"]) { _ in
            counter.increment()
            return Sample(name: "", height: 1, width: 1, image: [0, 0, 0], segmentation: nil, depth: [1])
        }
        let loader = try loader(dataset, batch: 1, threads: threads)
        #expect(loader.ahead == ahead)
        for taken in 1...12 {
            _ = try loader.next()
            let deadline = Date(timeIntervalSinceNow: 20)
            while counter.value < taken + ahead, Date() < deadline { Thread.sleep(forTimeInterval: 0.001) }
            Thread.sleep(forTimeInterval: 0.005)
            #expect(counter.value == taken + ahead)
        }
    }

    /// Large batches are fewer, and never fewer than one to take and one in the making.
    @Test func batchesAheadAreBoundedByBytes() throws {
        func ahead(_ threads: Int, _ bytes: Int) -> Int { BatchLoader.ahead(threads: threads, batchBytes: bytes) }
        let found: [Int] = [ahead(1, 1 << 20), ahead(16, 1 << 20), ahead(16, 1 << 29), ahead(16, 1 << 40)]
        #expect(found == [4, 16, 8, 2])
        let maker = BatchMaker(
            dataset: try scenes(), indices: [0, 1, 2], batch: 3, height: 5, width: 7, augmentation: .none,
            shuffle: false,
            labels: LabelRequest.standard(["depth", "normals"]), seed: 1, phase: "warmup", onError: .stop)
        let batch = try maker.make(0)
        let labels = batch.labels.values.reduce(0) { $0 + $1.classes.count + $1.numbers.count }
        #expect(maker.byteCount == 4 * (batch.image.count + labels))
    }

    @Test(.timeLimit(.minutes(1))) func pipelineTimesAreOfEveryPart() throws {
        let loader = try loader(scenes())
        let times = try loader.times(images: 9, threads: [1, 3])
        #expect(times.rows.map(\.threads) == [1, 3] && times.rows.allSatisfy { $0.imagesPerSecond > 1 })
        #expect(times.parts.decodeMs > 0 && times.parts.imageMs > 0 && times.parts.labelsMs > 0)
        #expect(throws: CancellationError.self) { _ = try loader.next() }
    }

    /// As training does, which takes the next one.
    @Test func pipelineTimesSkipWhatTrainingSkips() throws {
        let scenes = try scenes()
        let dataset = try FakeDataset(count: 4, labels: ["depth"]) { index in
            if index == 0 { throw InputError(file: "file 0", found: "nothing", expected: "an image") }
            return try scenes.sample(index)
        }
        let times = try loader(dataset, onError: .skip).times(images: 4, threads: [1])
        #expect(times.parts.decodeMs > 0)
        expectError("file 0") { _ = try loader(dataset).times(images: 4, threads: [1]) }
    }

    /// Someone who waits while a queue is stopped is told, as is whoever asks later.
    @Test(.timeLimit(.minutes(1))) func aStoppedQueueGivesNothing() throws {
        let made = DispatchSemaphore(value: 0)
        let queue = PrefetchQueue(start: 0, ahead: 1, threads: 1) { step in
            if step == 1 { made.wait() }
            return step
        }
        #expect(try queue.take() == 0)
        Thread {
            Thread.sleep(forTimeInterval: 0.02)
            // Ends when what is in hand has been made, which nobody takes any more.
            Thread { made.signal() }.start()
            queue.stop()
        }.start()
        #expect(throws: CancellationError.self) { while true { _ = try queue.take() } }
        #expect(throws: CancellationError.self) { _ = try queue.take() }
    }

    @Test func prefetchIsBoundedAndThreadsEnd() throws {
        let counter = Counter()
        let dataset = try FakeDataset(count: 100, labels: ["depth"]) { _ in
            counter.increment()
            return Sample(name: "", height: 1, width: 1, image: [0, 0, 0], segmentation: nil, depth: [1])
        }
        var running: BatchLoader? = try loader(dataset, batch: 1, threads: 3)
        _ = try running?.next()
        let deadline = Date(timeIntervalSinceNow: 20)
        while counter.value < 5, Date() < deadline { Thread.sleep(forTimeInterval: 0.01) }
        Thread.sleep(forTimeInterval: 0.05)
        #expect(counter.value == 5, "one taken and four ahead")
        weak let released = running
        running = nil
        #expect(released == nil)
        Thread.sleep(forTimeInterval: 0.05)
        #expect(counter.value == 5)
    }

    /// A count shared by threads.
    private final class Counter: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        func increment() { count.withLock { $0 += 1 } }
    }
}
