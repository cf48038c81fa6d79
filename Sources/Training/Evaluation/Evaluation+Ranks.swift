import AdaShareDatasets
import AdaShareRanks
import AdaShareTasks

/// Scoring by several processes: each predicts every n-th image, and the first adds up what all have predicted, in the
/// order of the images. So totals have the bits that one process gives them, whatever a metric adds.
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
            let predictions = try image.flatMap { try? $0.get() }.map(predict) ?? [:]
            let all = try ranks.gather(PackedPredictions.bytes(predictions))
            guard ranks.isFirst else { continue }
            for (place, bytes) in zip(round.indices, all) {
                switch try image.flatMap({ place == own ? $0 : nil }) ?? read(places[place]) {
                case .success(let image): totals.add(image, try PackedPredictions.predictions(of: bytes))
                case .failure(let reason): totals.skip(reason)
                }
                progress?(place + 1)
            }
        }
        return try ranks.gather(ranks.isFirst ? totals.result : nil).first.flatMap { $0 } ?? totals.result
    }
}

/// What a process has predicted for an image, as it is given to others.
private enum PackedPredictions {
    /// For each task its name's length, the name, the sizes and the numbers.
    static func bytes(_ predictions: [String: Prediction]) -> [UInt8] {
        var bytes: [UInt8] = []
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

    /// - Throws: `RankError` where the bytes are no predictions: the processes are not alike.
    static func predictions(of bytes: [UInt8]) throws -> [String: Prediction] {
        var rest = bytes[...]
        func take(_ count: Int) throws -> ArraySlice<UInt8> {
            guard count >= 0, count <= rest.count else { throw RankError("predictions of another process end early") }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }
        func number() throws -> Int {
            Int(clamping: try take(8).withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) })
        }
        var predictions: [String: Prediction] = [:]
        while !rest.isEmpty {
            let task = String(decoding: try take(try number()), as: UTF8.self)
            let (height, width, channels, count) = (try number(), try number(), try number(), try number())
            let values = try take(4 * min(count, rest.count)).withUnsafeBytes { bytes in
                (0..<count).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
            }
            predictions[task] = Prediction(height: height, width: width, channels: channels, values: values)
        }
        return predictions
    }
}
