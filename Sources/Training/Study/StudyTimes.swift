import AdaShareConfiguration
import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareFiles
import AdaShareModels
import AdaShareOperators
import AdaShareSupport
import AdaShareTuning
import Foundation

/// What the networks of a study take to predict, `times.json` of its folder.
public struct StudyTimes: Codable, Sendable, Equatable {
    /// One network with one seed.
    public struct Time: Codable, Sendable, Equatable {
        /// The line of the table, and the seed.
        public let line: String
        /// Of the run.
        public let seed: Int
        /// Multiply-accumulates for one image, by which a network is known again.
        public let macs: Int
        /// What all tasks' predictions for one image take.
        public let milliseconds: Double
        /// `StudyResults.Entry.fingerprint` of the run; nil where an earlier version timed it.
        public let run: String?
    }

    /// Where the times were measured.
    public let device: String
    /// Images that were given together, and their size in pixels.
    public let images, height, width: Int
    /// Of every line and seed.
    public let times: [Time]

    /// Milliseconds for one image; nil where that network was not timed.
    func milliseconds(line: String, seed: Int, of entry: StudyResults.Entry) -> Double? {
        times.first {
            $0.line == line && $0.seed == seed && $0.macs == entry.macs
                && ($0.run ?? entry.fingerprint) == entry.fingerprint
        }?.milliseconds
    }

    static func file(in folder: URL) -> URL { folder.appendingPathComponent("times.json") }

    /// nil where nothing was timed.
    ///
    /// - Throws: `InputError` if the file is damaged.
    static func read(in folder: URL) throws -> StudyTimes? {
        let file = file(in: folder)
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        let again = "without the file `experiment run` measures again"
        let times: StudyTimes = try JSONText.readFile(
            file, writtenBy: "experiment run", expected: "that of a study; \(again)")
        if let bad = times.times.firstIndex(where: { !($0.milliseconds > 0 && $0.milliseconds.isFinite) }) {
            throw InputError(
                file: file.path, place: "times.\(bad).milliseconds", found: "\(times.times[bad].milliseconds)",
                expected: "a time above 0; \(again)")
        }
        return times
    }
}

extension StudyResults {
    /// Times the predictions of every network in turns with those of the reference's, so that a machine that slows
    /// down for a while does so for both, and writes `times.json`.
    ///
    /// All networks get the same images, the first ones that the reference is scored on, as many of one size as have
    /// the pixels of a training batch. What is timed is what `predict` waits for: images to the device, what each task
    /// selects of the network, predictions back; for networks that decide by image, with the decision.
    ///
    /// - Parameters:
    ///   - folder: of the study.
    ///   - context: the device.
    ///   - stop: ends it between two networks; then nothing is written.
    ///   - report: told what comes out otherwise than wanted.
    /// - Throws: `InputError` if a run's files are damaged; `DeviceError`; `Stopped`.
    public func measureTimes(
        in folder: URL, on context: DeviceContext, until stop: StopRequest,
        report: @escaping (ProgressEvent) -> Void
    ) throws {
        let lines = lines.filter { $0.name == study.reference } + lines.filter { $0.name != study.reference }
        guard let first = lines.first, let seed = first.entries.keys.min(),
            let row = study.rows.first(where: { $0.name == first.row })
        else { return }
        let images = try Self.images(study.configuration(row, seed: seed))
        var measured: [(line: String, seed: Int, entry: Entry, share: Double)] = []
        // What the others of a seed are timed in turns with: its smallest time.
        var (references, referenceMs): ([Int: Timed], [Int: Double]) = ([:], [:])
        var areSettled = true
        for line in lines {
            for (seed, entry) in line.entries.sorted(by: { $0.key < $1.key }) {
                try stop.check()
                // Two budgets may have come to one policy.
                if let twin = measured.first(where: { $0.seed == seed && $0.entry.network == entry.network }) {
                    measured.append((line.name, seed, entry, twin.share))
                    continue
                }
                let subject: Timed
                do {
                    subject = try Timed(entry.network, on: context, images: images, report: report)
                } catch let error as InputError {
                    // One run that has lost a file leaves the others their times.
                    report(.notice("\(line.name), seed \(seed) is not timed: \(error)"))
                    continue
                }
                let reference = references[seed] ?? subject
                references[seed] = reference
                let rounds = try TimedRounds {
                    (try reference.milliseconds(), try subject.milliseconds())
                } times: {
                    [$0.0, $0.1]
                }
                areSettled = areSettled && rounds.isSettled
                let (base, own) = (rounds.smallest(\.0), rounds.smallest(\.1))
                referenceMs[seed] = min(base, referenceMs[seed] ?? base)
                measured.append((line.name, seed, entry, subject === reference ? 1 : own / base))
            }
        }
        if !areSettled { report(.notice("other work disturbed the timing: times may be some percent off")) }
        let known = times?.device == context.device.name ? times?.times ?? [] : []
        let kept = known.filter { old in
            lines.contains { $0.name == old.line } && !measured.contains { ($0.line, $0.seed) == (old.line, old.seed) }
        }
        let times = StudyTimes(
            device: context.device.name, images: images.count, height: images.height, width: images.width,
            times: measured.map {
                StudyTimes.Time(
                    line: $0.line, seed: $0.seed, macs: $0.entry.macs,
                    milliseconds: $0.share * (referenceMs[$0.seed] ?? 0) / Double(images.count),
                    run: $0.entry.fingerprint)
            } + kept)
        try AtomicFile.write(Data(try JSONText.pretty(times).utf8), to: StudyTimes.file(in: folder))
    }

    /// The first images that a run is scored on.
    private static func images(_ configuration: ExperimentConfiguration) throws -> Batch {
        let experiment = try Experiment(configuration)
        let datasets = try experiment.makeDatasets()
        let shape = experiment.trainingShape
        var images: [Batch] = []
        for index in datasets.scored.images[0] {
            let next: Batch
            do {
                next = try Batch(whole: index, of: datasets[0], labels: [])
            } catch  where experiment.configuration.dataset.onError == .skip {
                continue
            }
            if let first = images.first, (next.height, next.width) != (first.height, first.width) { continue }
            images.append(next)
            if images.count >= shape.count * shape.height * shape.width / (next.height * next.width) { break }
        }
        guard !images.isEmpty else {
            throw InputError(file: datasets[0].name, found: "no image that can be decoded", expected: "one to time")
        }
        return Batch(joining: images)
    }
}

/// A network that predicts the same images again and again.
private final class Timed {
    private let parts: [(network: NetworkRuntime, policy: DiscretePolicy, tasks: [Int]?)]
    private let images: Batch

    init(
        _ source: StudyResults.Network, on context: DeviceContext, images: Batch,
        report: @escaping (ProgressEvent) -> Void
    ) throws {
        self.images = images
        let run = try RunDirectory(source.run, mode: .read)
        let session = try ExperimentSession.open(
            try Experiment(run.readConfiguration()), on: context, family: nil, algorithms: .recorded(run),
            report: report)
        let experiment = session.experiment
        let names = experiment.tasks.map(\.name)
        parts = try run.results(of: experiment).map { weights, tasks in
            let file = try TensorFile.read(weights)
            let network = try session.makeNetwork(infersOnly: true)
            try network.load(file)
            let policy =
                source.sharesAll
                ? .hardSharing(tasks: names.count, blocks: experiment.architecture.blocks.count)
                : try experiment.policy(recordedIn: file)
            return (network, policy, tasks.map { $0.compactMap { names.firstIndex(of: $0) } })
        }
        _ = try milliseconds()
    }

    func milliseconds() throws -> Double {
        let start = ContinuousClock.now
        for part in parts { _ = try part.network.predict(images, policy: part.policy, tasks: part.tasks) }
        return (ContinuousClock.now - start).milliseconds
    }
}
