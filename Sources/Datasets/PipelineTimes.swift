import Foundation

/// What making batches takes on the host, with nothing beside it.
package struct PipelineTimes: Sendable, Codable, Equatable {
    /// A number of threads, and what they make.
    package struct Row: Sendable, Codable, Equatable {
        /// Threads that make batches.
        package let threads: Int
        /// Images that they finish in a second.
        package let imagesPerSecond: Double
    }

    /// What one image takes on one thread, by part.
    package struct Parts: Sendable, Codable, Equatable {
        /// Reading and decoding the files of image and labels, milliseconds.
        package let decodeMs: Double
        /// Scaling, mirroring, cropping and normalising the image, and changing its colours, milliseconds.
        package let imageMs: Double
        /// Cropping the labels, milliseconds.
        package let labelsMs: Double
    }

    /// One for each number of threads that was asked for, in their order.
    package let rows: [Row]
    /// On one thread.
    package let parts: Parts

    /// Measures a loader.
    ///
    /// - Parameters:
    ///   - images: made for each row at least: as many batches for each thread, and four.
    ///   - threads: of each row.
    ///   - maker: makes the batches.
    /// - Throws: what making a batch throws.
    init(images: Int, threads: [Int], maker: BatchMaker) throws {
        rows = try threads.map { count in
            // Threads finish together: a part of what they are making at the end would count for nothing or twice.
            let rounds = max(4, (images + maker.batch * count - 1) / (maker.batch * count))
            let steps = rounds * count
            let start = Date()
            let queue = PrefetchQueue(start: 0, ahead: count + 1, threads: count) { try maker.make($0) }
            defer { queue.stop() }
            for _ in 0..<steps { _ = try queue.take() }
            let seconds = Date().timeIntervalSince(start)
            return Row(threads: count, imagesPerSecond: Double(steps * maker.batch) / seconds)
        }
        parts = try maker.times(images: images)
    }
}

extension BatchMaker {
    /// Times the parts of making images one after the other, as they come without shuffling.
    fileprivate func times(images: Int) throws -> PipelineTimes.Parts {
        var seconds = (decode: 0.0, image: 0.0, labels: 0.0)
        func timed<Result>(_ total: inout Double, _ body: () throws -> Result) rethrows -> Result {
            let start = Date()
            defer { total += Date().timeIntervalSince(start) }
            return try body()
        }
        for place in 0..<images {
            var batch = Batch(count: 1, height: height, width: width, indices: [], normalisation: dataset.normalisation)
            batch.reserve(labels)
            let sample = try timed(&seconds.decode) {
                try self.sample(at: place % indices.count, nil, in: &batch)
            }
            let (transform, colours) = draw(for: sample, pass: 0, place: place)
            timed(&seconds.image) { batch.appendImage(sample, transform, colours) }
            timed(&seconds.labels) { batch.appendLabels(sample, transform) }
        }
        func milliseconds(_ seconds: Double) -> Double { 1000 * seconds / Double(images) }
        return PipelineTimes.Parts(
            decodeMs: milliseconds(seconds.decode), imageMs: milliseconds(seconds.image),
            labelsMs: milliseconds(seconds.labels))
    }
}
