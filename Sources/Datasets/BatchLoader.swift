import AdaShareSupport

/// Batches in step order, made ahead of time by a few threads.
///
/// Step s belongs to pass s / ``stepsPerPass``; the leftover of a pass is dropped. The order of a pass and the
/// augmentation of each place in it are pure functions of (seed, phase, pass, place), so the batch of a step does not
/// depend on the number of threads, on timing, or on where the loader started. No more than ``ahead`` batches are ever
/// ready or being made, beside the one that `next()` has given.
public final class BatchLoader: Sendable {
    /// Memory of the batches made ahead, where it holds two of them.
    private static let mostBytesAhead = 4 << 30

    /// Batches in one pass over the indices: ⌊indices / batch⌋.
    public let stepsPerPass: Int
    /// Batches made ahead of the one asked for.
    public let ahead: Int
    private let queue: PrefetchQueue<Batch>
    private let maker: BatchMaker

    /// Creates a loader and starts its threads; they end when it is released.
    ///
    /// - Parameters:
    ///   - dataset: what samples are read from.
    ///   - indices: the samples of the split, in the order used when `shuffle` is false.
    ///   - batch: images per step.
    ///   - crop: size of every image, pixels.
    ///   - augmentation: how images are scaled, cropped, mirrored and coloured at random.
    ///   - shuffle: whether every pass has an order of its own.
    ///   - labels: what batches hold beside the images.
    ///   - seed: what order and augmentation are a function of, with phase and step.
    ///   - phase: names the phase, so that phases see different orders and augmentations.
    ///   - part: which part of the images of each step are made, from 0, and of how many equal ones.
    ///   - onError: what is done about samples that cannot be decoded.
    ///   - startStep: the step the first `next()` returns.
    ///   - prefetch: steps made ahead of the one asked for, at least 1; nil for one for each thread, at least 4, of
    ///     batches so large that these would take more than 4 GiB as many as take that, at least 2.
    ///   - threads: worker threads, at least 1.
    /// - Throws: `InputError` if the batch is larger than the data, a size is not positive, an index is not in the
    ///   data set, or the data set lacks a label.
    public init(
        dataset: any Dataset, indices: [Int], batch: Int, crop: (height: Int, width: Int),
        augmentation: Augmentation, shuffle: Bool, labels: [LabelRequest], seed: UInt64, phase: String,
        part: (index: Int, count: Int) = (0, 1), onError: OnError = .stop, startStep: Int,
        prefetch: Int? = nil, threads: Int = 2
    ) throws {
        func fail(_ found: String, _ expected: String) -> InputError {
            InputError(file: dataset.name, place: "phase '\(phase)'", found: found, expected: expected)
        }
        guard batch > 0, crop.height > 0, crop.width > 0, startStep >= 0 else {
            throw fail(
                "batch \(batch), crop \(dimensions(height: crop.height, width: crop.width)), start step \(startStep)",
                "positive numbers")
        }
        guard !indices.isEmpty else { throw fail("an empty split", "at least \(batch) samples") }
        guard batch <= indices.count else {
            throw fail("a batch of \(batch)", "at most \(indices.count), the samples of the split")
        }
        if let index = indices.first(where: { !(0..<dataset.count).contains($0) }) {
            throw fail("sample \(index)", "0...\(dataset.count - 1)")
        }
        if let name = labels.map(\.name).filter({ !dataset.labels.contains($0) }).min() {
            throw fail("no \(name) labels", dataset.labels.sorted().joined(separator: ", "))
        }
        stepsPerPass = indices.count / batch
        let maker = BatchMaker(
            dataset: dataset, indices: indices, batch: batch, height: crop.height, width: crop.width,
            augmentation: augmentation, shuffle: shuffle, labels: labels, seed: seed, phase: phase, part: part,
            onError: onError)
        self.maker = maker
        ahead = max(1, prefetch ?? Self.ahead(threads: threads, batchBytes: maker.byteCount))
        queue = PrefetchQueue(start: startStep, ahead: ahead, threads: max(1, threads)) { step in
            try maker.make(step)
        }
    }

    deinit {
        queue.stop()
    }

    /// How many batches are made ahead where nobody says.
    static func ahead(threads: Int, batchBytes: Int) -> Int {
        min(max(4, threads), max(2, mostBytesAhead / batchBytes))
    }

    /// The batch of the next step; waits only if the threads are behind.
    ///
    /// - Throws: what making the batch of this very step threw; `CancellationError` where the loader has been measured.
    public func next() throws -> Batch {
        try queue.take()
    }

    /// Measures how fast batches are made. The loader's own threads end: no batch can be asked for any more.
    ///
    /// - Parameters:
    ///   - images: made for each number of threads.
    ///   - threads: numbers of threads to measure.
    /// - Throws: what making a batch throws.
    package func times(images: Int, threads: [Int]) throws -> PipelineTimes {
        queue.stop()
        return try PipelineTimes(images: images, threads: threads, maker: maker)
    }

    /// The order of a pass: a permutation of `0..<count`.
    public static func permutation(count: Int, seed: UInt64, phase: String, pass: Int) -> [Int] {
        var random = CounterRandom(seed: seed, name: "shuffle/" + phase, UInt64(pass))
        return random.permutation(count)
    }
}

/// Makes the batch of any step, alone from its number.
struct BatchMaker: Sendable {
    var dataset: any Dataset
    var indices: [Int]
    var batch, height, width: Int
    var augmentation: Augmentation
    var shuffle: Bool
    var labels: [LabelRequest]
    var seed: UInt64
    var phase: String
    /// Which part of the images of a step are made, from 0, and of how many equal ones.
    var part = (index: 0, count: 1)
    var onError: OnError

    /// Host memory that the numbers of a batch take, bytes.
    var byteCount: Int {
        let ofLabels = labels.reduce(0) { sum, label in
            sum + label.format.channels * (label.format.extent == .pixels ? height * width : 1)
        }
        return 4 * (batch / part.count) * (3 * height * width + ofLabels)
    }

    /// Decodes, augments and packs the batch of a step.
    func make(_ step: Int) throws -> Batch {
        let stepsPerPass = indices.count / batch
        let (pass, offset) = step.quotientAndRemainder(dividingBy: stepsPerPass)
        let order = shuffle ? BatchLoader.permutation(count: indices.count, seed: seed, phase: phase, pass: pass) : nil
        let own = batch / part.count
        let first = offset * batch + part.index * own
        let places = first..<first + own
        var result = Batch(
            count: own, height: height, width: width, indices: [], dataset: dataset.name,
            normalisation: dataset.normalisation)
        result.reserve(labels)
        for place in places {
            let sample = try sample(at: place, order, in: &result)
            let (transform, colours) = draw(for: sample, pass: pass, place: place)
            result.append(sample, transform, colours: colours)
        }
        return result
    }

    /// Draws what is done to the sample of a place in a pass.
    func draw(for sample: Sample, pass: Int, place: Int) -> (CropTransform, ColourTransform?) {
        func random(_ name: String) -> CounterRandom {
            CounterRandom(seed: seed, name: "\(name)/" + phase, UInt64(pass), UInt64(place))
        }
        var (geometry, colour) = (random("augment"), random("colour"))
        let transform = CropTransform(
            augmentation, height: sample.height, width: sample.width, crop: (height, width), random: &geometry)
        let jitter = augmentation.colourJitter
        return (transform, jitter.isOff ? nil : ColourTransform(jitter, random: &colour))
    }

    /// The sample of a place in a pass, or the next one of the pass that can be decoded, round its end: what stands in
    /// does not depend on what other steps have met.
    func sample(at place: Int, _ order: [Int]?, in result: inout Batch) throws -> Sample {
        var failure: (any Error)?
        for distance in indices.indices {
            let next = (place + distance) % indices.count
            let index = indices[order?[next] ?? next]
            do {
                let sample = try dataset.sample(index)
                result.indices.append(index)
                return sample
            } catch {
                guard onError == .skip else { throw error }
                failure = failure ?? error
                result.skipped.append(SkippedSample(index: index, reason: "\(error)"))
            }
        }
        guard let failure else { preconditionFailure("a pass without samples") }
        throw failure
    }
}
