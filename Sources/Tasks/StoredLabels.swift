import AdaShareDatasets

/// Labels of the pixels of an image as an image file holds them.
public enum StoredLabels: Sendable, Equatable {
    /// The class of each pixel.
    case classes([UInt16])
    /// R,G,B of 8 bits.
    case colours([UInt8])
    /// Numbers of 8 bits.
    case bytes([UInt8])
    /// Numbers of 16 bits.
    case words([UInt16])
}

extension TaskKind {
    public func numbers(_ prediction: Prediction) -> [Float] { prediction.values }

    /// Classes by number, directions as colours, and of other numbers thousandths from 0 to 65535.
    public func stored(_ prediction: Prediction) -> StoredLabels {
        if label.element == .classes { return .classes(classes(of: prediction).map { UInt16($0) }) }
        guard label.channels != 3 else {
            // 255 would say that there is no label.
            return .colours(colours(prediction).flatMap { [min(254, $0.0), min(254, $0.1), min(254, $0.2)] })
        }
        return .words(prediction.values.map { UInt16(max(0, min(65_535, ($0.isNaN ? 0 : $0 * 1000).rounded()))) })
    }

    public func deviations(_ prediction: Prediction, from label: ImageLabel) -> [Float] {
        if self.label.element == .classes {
            return zip(classes(of: prediction), label.classes).map { found, truth in
                truth < 0 || truth == Int32(self.label.absent) ? .nan : truth == Int32(found) ? 0 : 1
            }
        }
        return differences(prediction, label) { [format = self.label] in format.isLabel([$0]) && $0.isFinite }
    }

    /// The class with the largest score at each pixel.
    package func classes(of prediction: Prediction) -> [Int] {
        (0..<prediction.values.count / prediction.channels).map { pixel in
            bestChannel(prediction.values, from: pixel * prediction.channels, count: prediction.channels)
        }
    }

    /// Absolute differences of first numbers, NaN where there is no label.
    func differences(_ prediction: Prediction, _ label: ImageLabel, isLabel: (Float) -> Bool) -> [Float] {
        let channels = self.label.channels
        return (0..<label.numbers.count / channels).map { pixel in
            let truth = label.numbers[pixel * channels]
            return isLabel(truth) ? abs(prediction.values[pixel * prediction.channels] - truth) : .nan
        }
    }
}

/// How predictions, which are smaller than images, come to their size.
public enum Upsampling: String, Sendable, CaseIterable {
    /// Each pixel takes the nearest output, as metrics do.
    case nearest
    /// Between the centres of outputs, linear along both axes: scores of classes before the largest is taken.
    case bilinear
}

extension Prediction {
    /// At another size.
    ///
    /// - Precondition: one image.
    package func upsampled(height: Int, width: Int, by form: Upsampling) -> Prediction {
        guard form == .nearest else { return resized(height: height, width: width) }
        guard (height, width) != (self.height, self.width) else { return self }
        var values: [Float] = []
        values.reserveCapacity(height * width * channels)
        for y in 0..<height {
            let row = y * self.height / height * self.width
            for x in 0..<width {
                let at = (row + x * self.width / width) * channels
                values += self.values[at..<at + channels]
            }
        }
        return Prediction(height: height, width: width, channels: channels, values: values)
    }

    /// One image of several.
    ///
    /// - Parameter index: which one, from 0.
    package func image(_ index: Int) -> Prediction {
        let size = height * width * channels
        return Prediction(
            height: height, width: width, channels: channels,
            values: Array(values[index * size..<(index + 1) * size]))
    }
}
