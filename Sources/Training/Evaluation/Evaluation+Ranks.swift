import AdaShareDatasets
import AdaShareRanks
import AdaShareTasks

/// Scoring by several processes: each predicts every n-th image, and the first adds up what all have predicted, in the
/// order of the images. So totals have the bits that one process gives them, whatever a metric adds. The first reads
/// all images, for their labels.
extension Evaluator {
    /// - Returns: the same to every process, but for the paths of images.
    func evaluate(
        with ranks: RankGroup, _ splits: [[Int]], progress: ((Int) -> Void)?,
        observe: ((Batch, [Int], [String: Prediction]) -> Void)?, predict: (Image) throws -> [String: Prediction]
    ) throws -> EvaluationResult {
        var totals = Totals(experiment, observe)
        let places = places(splits)
        for start in stride(from: 0, to: places.count, by: ranks.count) {
            let round = places[start..<min(start + ranks.count, places.count)]
            let own = start + ranks.index
            let image = round.indices.contains(own) ? try read(places[own]) : nil
            let all = try ranks.gather(try image.map { try Scored($0, predict) }?.bytes ?? [])
            guard ranks.isFirst else { continue }
            for (rank, place) in round.indices.enumerated() {
                switch (
                    try rank == 0 ? image ?? read(places[place]) : read(places[place]), try Scored(bytes: all[rank])
                ) {
                case (.success(let image), .predicted(let predictions)): totals.add(image, predictions)
                case (.failure(let reason), .unreadable): totals.skip(reason)
                case (.success, .unreadable(let reason)):
                    throw RankError("rank \(rank) cannot read what rank 0 can: \(reason)")
                case (.failure(let skipped), .predicted):
                    throw RankError("rank 0 cannot read what rank \(rank) can: \(skipped.reason)")
                }
                progress?(place + 1)
            }
        }
        guard let result = try ranks.gather(ranks.isFirst ? totals.result : nil)[0] else {
            throw RankError("rank 0 has given no scores")
        }
        return result
    }
}

/// What an image has come to in the process that was to predict it, as it is given to others.
enum Scored: Equatable {
    case predicted([String: Prediction])
    /// With the reason, where bad images are skipped.
    case unreadable(String)

    init(
        _ image: Result<Evaluator.Image, Evaluator.Skipped>, _ predict: (Evaluator.Image) throws -> [String: Prediction]
    ) throws {
        switch image {
        case .success(let image): self = .predicted(try predict(image))
        case .failure(let skipped): self = .unreadable(skipped.reason)
        }
    }

    /// One byte that says which; then the reason, or of each task its name's length, the name, the sizes, the numbers.
    var bytes: [UInt8] {
        switch self {
        case .unreadable(let reason): return [0] + reason.utf8
        case .predicted(let predictions):
            var bytes: [UInt8] = [1]
            func append(_ number: Int) { withUnsafeBytes(of: UInt64(number).littleEndian) { bytes += $0 } }
            for (task, prediction) in predictions.sorted(by: { $0.key < $1.key }) {
                append(task.utf8.count)
                bytes += task.utf8
                for size in [prediction.height, prediction.width, prediction.channels, prediction.values.count] {
                    append(size)
                }
                prediction.values.withUnsafeBytes { bytes += $0 }
            }
            return bytes
        }
    }

    /// - Throws: `RankError` where the bytes are of nothing: the processes are not alike.
    init(bytes: [UInt8]) throws {
        let error = RankError("another process gives \(bytes.count) bytes that are no predictions")
        var rest = bytes.dropFirst()
        func take(_ count: Int) throws -> ArraySlice<UInt8> {
            guard count <= rest.count else { throw error }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }
        func number() throws -> Int {
            Int(clamping: try take(8).withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) })
        }
        switch bytes.first {
        case 0: self = .unreadable(String(decoding: rest, as: UTF8.self))
        case 1:
            var predictions: [String: Prediction] = [:]
            while !rest.isEmpty {
                let task = String(decoding: try take(try number()), as: UTF8.self)
                let (height, width, channels, count) = (try number(), try number(), try number(), try number())
                let (area, tooHigh) = height.multipliedReportingOverflow(by: width)
                let (size, tooLarge) = area.multipliedReportingOverflow(by: channels)
                guard !tooHigh, !tooLarge, size > 0, count % size == 0, count <= rest.count / 4 else { throw error }
                let values = try take(4 * count).withUnsafeBytes { bytes in
                    (0..<count).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
                }
                predictions[task] = Prediction(height: height, width: width, channels: channels, values: values)
            }
            self = .predicted(predictions)
        default: throw error
        }
    }
}
