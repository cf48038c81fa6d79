import AdaShareFiles
import AdaShareSupport
import Foundation

/// An image beside what is predicted for it, and below it, where there are labels, these and how far predictions are
/// from them; with what colours mean.
package struct PredictionPanel {
    /// What is drawn of one task.
    package struct Task {
        /// Of the task.
        package let name: String
        /// What it predicts.
        package let kind: any TaskKind
        /// For the image alone, as the head gives it.
        package let prediction: Prediction
        /// Whether numbers are in the unit of the kind.
        package let hasUnit: Bool
        let label: ImageLabel?
        let classes: [String]?

        /// - Parameters:
        ///   - name: of the task.
        ///   - kind: what it predicts.
        ///   - prediction: for the image alone, as the head gives it.
        ///   - label: nil where there is none.
        ///   - classes: what classes are called; nil for their numbers.
        ///   - hasUnit: whether numbers are in the unit of the kind.
        package init(
            name: String, kind: any TaskKind, prediction: Prediction, label: ImageLabel? = nil,
            classes: [String]? = nil, hasUnit: Bool = true
        ) {
            (self.name, self.kind, self.prediction, self.label) = (name, kind, prediction, label)
            (self.classes, self.hasUnit) = (classes, hasUnit)
        }

        /// What a class is called.
        package func name(ofClass index: Int) -> String {
            classes.flatMap { $0.indices.contains(index) ? $0[index] : nil } ?? "class \(index)"
        }

        /// From the least to the greatest number of prediction and label.
        package var range: ClosedRange<Double> {
            let format = kind.label
            let labels = label?.numbers.filter { format.isLabel([$0]) && $0.isFinite } ?? []
            let all = prediction.values.filter(\.isFinite) + (kind.isMap ? labels : [])
            return Double(all.min() ?? 0)...Double(all.max() ?? 0)
        }

        /// For a task of whole images, the classes with the largest scores and their probabilities.
        package func best(_ most: Int) -> [(index: Int, probability: Double)] {
            let scores = prediction.values.prefix(prediction.channels).map(Double.init)
            let top = scores.max() ?? 0
            let powers = scores.map { exp($0 - top) }
            let sum = powers.reduce(0, +)
            return powers.indices.sorted { (powers[$0], $1) > (powers[$1], $0) }.prefix(most).map {
                ($0, powers[$0] / sum)
            }
        }
    }

    private struct Cell {
        var caption: String
        var picture: Image
        var key: ColourKey?
    }

    private let title: String
    private let image: Image
    private let tasks: [Task]
    /// Predictions at the size of the image.
    private let enlarged: [Prediction]
    private let upsampling: Upsampling

    /// - Parameters:
    ///   - title: above all.
    ///   - image: what is predicted for.
    ///   - tasks: from left to right.
    ///   - upsampling: of predictions.
    package init(title: String, image: Image, tasks: [Task], upsampling: Upsampling) {
        (self.title, self.image, self.tasks, self.upsampling) = (title, image, tasks, upsampling)
        enlarged = tasks.map {
            type(of: $0.kind).extent == .pixels
                ? $0.prediction.upsampled(height: image.height, width: image.width, by: upsampling) : $0.prediction
        }
    }

    /// A task's prediction at the size of the image.
    ///
    /// - Parameter index: which task.
    package func picture(_ index: Int) -> Image {
        let (task, prediction) = (tasks[index], enlarged[index])
        guard type(of: task.kind).extent == .pixels else { return Self.listing(task, width: image.width, image.height) }
        let colours =
            task.kind.isMap
            ? Pictures.colours(prediction.values, within: task.range) : task.kind.colours(prediction)
        return Pictures.image(colours, width: image.width, height: image.height)
    }

    /// The picture.
    package func drawn() -> Image {
        let shown = sized(image)
        let scale = Self.textScale(shown.width)
        let columns = [[Cell(caption: "image", picture: shown)]] + tasks.indices.map { column($0, shown) }
        let rows = columns.map(\.count).max() ?? 1
        let (gap, line) = (6 * scale, BitmapFont.lineHeight * scale)
        let keys = columns.map { column in
            column.compactMap { $0.key?.width(scale: scale, limit: shown.width) }.max() ?? 0
        }
        let widths = keys.map { shown.width + ($0 > 0 ? gap + $0 : 0) }
        var canvas = Canvas(
            width: widths.reduce(0, +) + 2 * gap * columns.count,
            height: 2 * gap + line + rows * (line + shown.height + gap))
        canvas.write(title, x: gap, y: gap, scale: scale, limit: canvas.width - 2 * gap)
        var x = gap
        for (column, (width, keyWidth)) in zip(columns, zip(widths, keys)) {
            for (row, cell) in column.enumerated() {
                let top = 2 * gap + line + row * (line + shown.height + gap)
                canvas.write(cell.caption, x: x, y: top, scale: scale, limit: width)
                canvas.draw(cell.picture, x: x, y: top + line)
                cell.key?.draw(
                    on: &canvas, x: x + shown.width + gap, y: top + line, width: keyWidth, height: shown.height,
                    scale: scale)
            }
            x += width + 2 * gap
        }
        return canvas.image
    }

    /// Pixels of one of the font, beside pictures of that width.
    private static func textScale(_ width: Int) -> Int { width < 300 ? 1 : width < 500 ? 2 : 3 }

    /// Larger than on sheets of many.
    private func sized(_ picture: Image) -> Image { Pictures.readable([[picture]], most: 720)[0][0] }

    private func column(_ index: Int, _ shown: Image) -> [Cell] {
        let (task, prediction) = (tasks[index], enlarged[index])
        guard type(of: task.kind).extent == .pixels else {
            let picture = Self.listing(task, width: shown.width, shown.height)
            return [Cell(caption: "\(task.name), predicted", picture: picture)]
        }
        var cells = [
            Cell(
                caption: "\(task.name), predicted",
                picture: sized(picture(index)),
                key: key(task, task.kind.label.element == .classes ? task.kind.classes(of: prediction) : []))
        ]
        guard let label = task.label else { return cells }
        let truth =
            task.kind.isMap
            ? Pictures.colours(numbers(of: label, task.kind), within: task.range)
            : task.kind.colours(of: label).map { $0 ?? Pictures.withoutLabel }
        let absent = Int32(task.kind.label.absent)
        cells.append(
            Cell(
                caption: "\(task.name), label", picture: sized(enlarged(truth, label)),
                key: key(task, label.classes.filter { $0 >= 0 && $0 != absent }.map(Int.init))))
        let atLabel =
            (label.height, label.width) == (image.height, image.width)
            ? prediction : task.prediction.upsampled(height: label.height, width: label.width, by: upsampling)
        cells.append(error(task, task.kind.deviations(atLabel, from: label), label))
        return cells
    }

    /// Numbers of a label, NaN where there is none.
    private func numbers(of label: ImageLabel, _ kind: any TaskKind) -> [Float] {
        let format = kind.label
        return label.numbers.map { format.isLabel([$0]) && $0.isFinite ? $0 : .nan }
    }

    private func error(_ task: Task, _ deviations: [Float], _ label: ImageLabel) -> Cell {
        let known = deviations.filter { !$0.isNaN }
        let mean = known.reduce(0.0) { $0 + Double($1) } / Double(max(1, known.count))
        let unit = task.hasUnit ? task.kind.deviationUnit : nil
        guard task.kind.label.element == .classes else {
            let most = Double(known.max() ?? 0)
            let number = readable(mean, digits: 3) + (unit.map { $0 == "°" ? $0 : " " + $0 } ?? "")
            return Cell(
                caption: "\(task.name), error, mean \(number)",
                picture: sized(enlarged(Pictures.colours(deviations, within: 0...most), label)),
                key: .scale(0...most, unit: unit))
        }
        let colours = deviations.map { $0.isNaN ? Pictures.withoutLabel : $0 == 0 ? Self.right : Self.wrong }
        var words = [(Self.right, "right"), (Self.wrong, "wrong")]
        if known.count < deviations.count { words.append((Pictures.withoutLabel, "no label")) }
        return Cell(
            caption: "\(task.name), \(readable(100 * mean, digits: 2)) % wrong",
            picture: sized(enlarged(colours, label)), key: .words(words.map { (colour: $0.0, text: $0.1) }))
    }

    private static let right: Canvas.Colour = (228, 228, 228)
    private static let wrong: Canvas.Colour = (196, 40, 32)

    /// - Parameter classes: of the pixels.
    private func key(_ task: Task, _ classes: [Int]) -> ColourKey? {
        if task.kind.isMap { return .scale(task.range, unit: task.hasUnit ? task.kind.unit : nil) }
        guard task.kind.label.element == .classes else {
            guard task.kind.label.channels == 3 else { return nil }
            return .words([((204, 64, 64), "red: x"), ((64, 160, 64), "green: y"), ((64, 64, 204), "blue: z")])
        }
        var counts: [Int: Int] = [:]
        for index in classes { counts[index, default: 0] += 1 }
        let ordered = counts.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
        return .words(
            ordered.map { index, count in
                let share = Double(count) / Double(max(1, classes.count))
                return (
                    ColourMap.classColour(index),
                    "\(task.name(ofClass: index)): \(share < 0.005 ? "<1 %" : percent(share))"
                )
            })
    }

    /// Colours of a label at the size of the image, each pixel that of the nearest.
    private func enlarged(_ colours: [Canvas.Colour], _ label: ImageLabel) -> Image {
        let picture = Pictures.image(colours, width: label.width, height: label.height)
        guard (label.width, label.height) != (image.width, image.height) else { return picture }
        let pixels = (0..<image.height).flatMap { y in
            (0..<image.width).flatMap { x in
                let at = (y * label.height / image.height * label.width + x * label.width / image.width) * 3
                return picture.pixels[at..<at + 3]
            }
        }
        return Image(width: image.width, height: image.height, channels: 3, pixels: pixels)
    }

    /// Of a task of whole images: the likeliest classes with bars for their probabilities, and the label.
    private static func listing(_ task: Task, width: Int, _ height: Int) -> Image {
        let scale = textScale(width)
        let line = 2 * BitmapFont.lineHeight * scale
        var canvas = Canvas(width: width, height: height)
        let room = max(1, (height - BitmapFont.lineHeight * scale) / line)
        for (row, (index, probability)) in task.best(min(5, room)).enumerated() {
            let top = row * line
            canvas.write(
                "\(task.name(ofClass: index)): \(percent(probability))", x: 0, y: top, scale: scale, limit: width)
            let length = max(1, Int((probability * Double(width)).rounded()))
            canvas.fill(
                x: 0, y: top + 9 * scale, width: length, height: 6 * scale, ColourMap.classColour(index))
        }
        if let truth = task.label?.classes.first, truth >= 0, truth != Int32(task.kind.label.absent) {
            canvas.write(
                "label: \(task.name(ofClass: Int(truth)))", x: 0, y: height - BitmapFont.lineHeight * scale,
                scale: scale, limit: width)
        }
        return canvas.image
    }
}
