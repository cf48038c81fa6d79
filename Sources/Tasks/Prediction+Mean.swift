import AdaShareDatasets

extension Prediction {
    /// The same with left and right exchanged.
    var flipped: Prediction {
        var flipped: [Float] = []
        flipped.reserveCapacity(values.count)
        for row in 0..<values.count / max(1, width * channels) {
            for column in (0..<width).reversed() {
                let at = (row * width + column) * channels
                flipped += values[at..<at + channels]
            }
        }
        return Prediction(height: height, width: width, channels: channels, values: flipped)
    }

    /// The mean of each number.
    ///
    /// - Precondition: at least one prediction, all of one size.
    static func mean(of predictions: [Prediction]) -> Prediction {
        let first = predictions[0]
        precondition(
            predictions.allSatisfy {
                ($0.height, $0.width, $0.channels, $0.values.count)
                    == (first.height, first.width, first.channels, first.values.count)
            }, "predictions of several sizes")
        return Prediction(
            height: first.height, width: first.width, channels: first.channels,
            values: first.values.indices.map { index in
                Float(predictions.reduce(0.0) { $0 + Double($1.values[index]) } / Double(predictions.count))
            })
    }

    /// The same with other numbers at each pixel, as many as there were.
    func mappingPixels(_ change: ([Double]) -> [Double]) -> Prediction {
        var changed: [Float] = []
        changed.reserveCapacity(values.count)
        for at in stride(from: 0, to: values.count, by: channels) {
            changed += change(values[at..<at + channels].map(Double.init)).map { Float($0) }
        }
        return Prediction(height: height, width: width, channels: channels, values: changed)
    }

    /// The same brought to another size: bilinear between the centres of pixels.
    package func resized(height: Int, width: Int) -> Prediction {
        guard (height, width) != (self.height, self.width) else { return self }
        let rows = AxisMap(source: self.height, scaled: height)
        let columns = AxisMap(source: self.width, scaled: width)
        var resized: [Float] = []
        resized.reserveCapacity(values.count / (self.height * self.width) * height * width)
        let perImage = self.height * self.width * channels
        for image in stride(from: 0, to: values.count, by: perImage) {
            for y in 0..<height {
                let (low, high, down) = (rows.low[y], rows.high[y], rows.share[y])
                for x in 0..<width {
                    let (left, right, along) = (columns.low[x], columns.high[x], columns.share[x])
                    for channel in 0..<channels {
                        func value(_ row: Int, _ column: Int) -> Float {
                            values[image + (row * self.width + column) * channels + channel]
                        }
                        let upper = value(low, left) + (value(low, right) - value(low, left)) * along
                        let lower = value(high, left) + (value(high, right) - value(high, left)) * along
                        resized.append(upper + (lower - upper) * down)
                    }
                }
            }
        }
        return Prediction(height: height, width: width, channels: channels, values: resized)
    }
}
