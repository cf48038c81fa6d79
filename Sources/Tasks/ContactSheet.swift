import AdaShareDatasets
import AdaShareFiles

/// Pictures of what training gets, and sheets of pictures.
extension Pictures {
    /// What pixels without a label are drawn in.
    static let withoutLabel: (UInt8, UInt8, UInt8) = (128, 128, 128)

    /// An image of a batch as the network gets it, its normalisation undone: padding has the colour of the mean.
    ///
    /// - Parameters:
    ///   - index: which image, 0..<N.
    ///   - batch: where it is.
    public static func image(_ index: Int, of batch: Batch) -> Image {
        let (order, mean, factor) = (batch.normalisation.order, batch.normalisation.mean, batch.normalisation.factor)
        let values = batch.image[index * batch.height * batch.width * 3..<(index + 1) * batch.height * batch.width * 3]
        func byte(_ value: Float) -> UInt8 { UInt8(max(0, min(255, value.rounded()))) }
        var bytes = [UInt8](repeating: 0, count: values.count)
        for at in stride(from: 0, to: bytes.count, by: 3) {
            for channel in 0..<3 {
                let value = values[values.startIndex + at + channel]
                bytes[at + order[channel]] = byte(value / factor[channel] + mean[channel])
            }
        }
        return Image(width: batch.width, height: batch.height, channels: 3, pixels: bytes)
    }

    /// A label of an image of a batch, drawn as predictions are; mid-grey where there is none.
    ///
    /// - Parameters:
    ///   - name: of the label.
    ///   - kind: what the task that learns it predicts.
    ///   - index: which image, 0..<N.
    ///   - batch: where it is.
    public static func label(_ name: String, of kind: any TaskKind, image index: Int, in batch: Batch) -> Image {
        let colours = batch.imageLabel(name, image: index).map(kind.colours) ?? [nil]
        let pixels = (0..<batch.height * batch.width).flatMap { pixel in
            // One colour for all pixels where a label is the whole image's.
            let colour = colours[colours.count == 1 ? 0 : pixel] ?? withoutLabel
            return [colour.0, colour.1, colour.2]
        }
        return Image(width: batch.width, height: batch.height, channels: 3, pixels: pixels)
    }

    /// Rows of pictures on white, each in the middle of a cell; cells are as large as the largest picture.
    ///
    /// - Parameters:
    ///   - rows: from top to bottom, each from left to right; they may be of different lengths.
    ///   - gap: between cells, pixels.
    ///   - margin: around all of them, pixels.
    /// - Precondition: at least one picture, all RGB.
    public static func sheet(_ rows: [[Image]], gap: Int = 4, margin: Int = 0) -> Image {
        let all = rows.joined()
        let cell = (height: all.map(\.height).max() ?? 0, width: all.map(\.width).max() ?? 0)
        let columns = rows.map(\.count).max() ?? 0
        let height = rows.count * (cell.height + gap) - gap + 2 * margin
        let width = columns * (cell.width + gap) - gap + 2 * margin
        var bytes = [UInt8](repeating: 255, count: height * width * 3)
        for (row, pictures) in rows.enumerated() {
            for (column, picture) in pictures.enumerated() {
                let top = margin + row * (cell.height + gap) + (cell.height - picture.height) / 2
                let left = margin + column * (cell.width + gap) + (cell.width - picture.width) / 2
                let line = picture.width * 3
                for y in 0..<picture.height {
                    let target = ((top + y) * width + left) * 3
                    bytes.replaceSubrange(
                        target..<target + line, with: picture.pixels[y * line..<(y + 1) * line])
                }
            }
        }
        return Image(width: width, height: height, channels: 3, pixels: bytes)
    }

    /// Pictures at a size at which one looks at several at once, all by the same factor: small ones enlarged pixel by
    /// pixel, large ones reduced to the mean of blocks.
    ///
    /// - Parameters:
    ///   - rows: of pictures.
    ///   - most: pixels of the longest side.
    /// - Precondition: at least one picture, all RGB.
    public static func readable(_ rows: [[Image]], most: Int = 480) -> [[Image]] {
        let least = 160
        let side = rows.joined().map { max($0.height, $0.width) }.max() ?? least
        if side < least {
            let factor = (least + side - 1) / side
            return rows.map { $0.map { resized($0, by: (factor, 1)) } }
        }
        return side > most ? rows.map { $0.map { resized($0, by: (1, (side + most - 1) / most)) } } : rows
    }

    /// - Parameter scale: numerator and denominator of the factor, one of them 1.
    private static func resized(_ picture: Image, by scale: (Int, Int)) -> Image {
        let (up, down) = scale
        let (height, width) = (max(1, picture.height * up / down), max(1, picture.width * up / down))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(height * width * 3)
        for y in 0..<height {
            let rows = y * down / up..<min(picture.height, y * down / up + down)
            for x in 0..<width {
                let columns = x * down / up..<min(picture.width, x * down / up + down)
                for channel in 0..<3 {
                    var sum = 0
                    for row in rows {
                        for column in columns {
                            sum += Int(picture.pixels[(row * picture.width + column) * 3 + channel])
                        }
                    }
                    bytes.append(UInt8(sum / (rows.count * columns.count)))
                }
            }
        }
        return Image(width: width, height: height, channels: 3, pixels: bytes)
    }
}

extension TaskKind {
    /// Classes in their colours, three numbers as R, G, B, and of other numbers the first from the least (dark) to the
    /// greatest (bright).
    public func colours(of label: ImageLabel) -> [(UInt8, UInt8, UInt8)?] {
        let format = self.label
        if format.element == .classes {
            return label.classes.map { $0 < 0 || $0 == Int32(format.absent) ? nil : ColourMap.classColour(Int($0)) }
        }
        let channels = format.channels
        let isLabel = (0..<label.numbers.count / channels).map {
            format.isLabel(label.numbers[$0 * channels..<($0 + 1) * channels])
        }
        if channels == 3 {
            func byte(_ value: Float) -> UInt8 { UInt8(max(0, min(255, value.rounded()))) }
            return isLabel.enumerated().map { pixel, isLabel in
                let at = 3 * pixel
                return isLabel
                    ? (byte(label.numbers[at]), byte(label.numbers[at + 1]), byte(label.numbers[at + 2])) : nil
            }
        }
        // What is no number does not count for the range.
        let values = isLabel.enumerated().map { $1 ? label.numbers[$0 * channels] : .nan }
        let drawn = Pictures.range(Prediction(height: 1, width: values.count, channels: 1, values: values))
        return zip(isLabel, drawn).map { $0 ? $1 : nil }
    }
}
