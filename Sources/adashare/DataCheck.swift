import AdaShareConfiguration
import AdaShareDatasets
import AdaShareExperiments
import AdaShareSupport
import ArgumentParser
import Foundation

struct DataCheck: LoggingCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Decode all images and labels of a configuration once, and say what is wrong.",
        discussion: """
            Prints errors, which training would stop at or not begin with, warnings, and what the data sets hold:
            images of each split and label, shares of classes, ranges of numbers, sizes. Images with the same pixels \
            are named.
            The exit code is 1 if there is an error.
            """)

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var part: TaskOptions
    @OptionGroup var logging: LogOptions
    @Flag(help: "Print JSON, with every problem.") var json = false

    func run(on console: Console) throws {
        let experiment = try Experiment(part.select(options.load(on: console)))
        let progress = ProgressPrinter(console)
        var answer = Answer()
        var datasets: [any Dataset] = []
        for source in experiment.sources {
            do {
                // Nothing is read twice, so nothing need be kept.
                let dataset = try experiment.open(source)
                datasets.append(dataset)
                let report = DatasetCheck(dataset, labels: source.labels).run { done in
                    progress.report(.checking(dataset: dataset.name, done: done, total: dataset.count))
                }
                let crop = experiment.configuration.dataset.crop
                if let share = report.facts.share(ofCrop: crop.height, crop.width), share < 0.75 {
                    progress.report(
                        .notice(
                            "images of \(dataset.name) fill \(percent(share)) of crops of "
                                + "\(dimensions(height: crop.height, width: crop.width)) (dataset.crop); the rest is "
                                + "padding"))
                }
                answer.dataSets.append(Answer.Placed(place: source.place, found: report.facts))
                answer.problems += report.problems.map { Answer.Placed(place: source.place, found: $0) }
            } catch {
                let lines = (error as? InputError)?.each.map(\.description) ?? ["\(error)"]
                answer.problems += lines.map { Answer.Placed(place: source.place, found: DatasetProblem(.error, $0)) }
            }
        }
        progress.finish()
        if answer.count(.error) == 0 {
            do {
                _ = try experiment.openInputs(datasets)
            } catch {
                // Data that is only scored is sound.
                let severity: DatasetProblem.Severity = error is NothingToTrainOn ? .warning : .error
                let refusal = DatasetProblem(severity, "train refuses this configuration: \(located(error))")
                answer.problems.append(Answer.Placed(place: "configuration", found: refusal))
            }
        }
        try console.print(json ? JSONText.pretty(answer) : answer.text(places: experiment.sources.count > 1))
        if answer.count(.error) > 0 { throw ExitCode.failure }
    }

    /// What was found in all data sets.
    struct Answer: Encodable {
        /// Something found, and where the configuration has its data set; encodes to one object.
        struct Placed<Found: Encodable>: Encodable {
            let place: String
            let found: Found

            func encode(to encoder: any Encoder) throws {
                try found.encode(to: encoder)
                var container = encoder.container(keyedBy: CodingKeys.self)
                try container.encode(place, forKey: .place)
            }

            private enum CodingKeys: String, CodingKey { case place }
        }

        var dataSets: [Placed<DatasetFacts>] = []
        var problems: [Placed<DatasetProblem>] = []

        func count(_ severity: DatasetProblem.Severity) -> Int {
            problems.count { $0.found.severity == severity }
        }
    }
}

extension DataCheck.Answer {
    /// Problems of one severity that are printed; there may be one in every file.
    private static let mostLines = 50

    /// The list of problems, then what there is.
    ///
    /// - Parameter places: whether lines say which data set they are about.
    func text(places: Bool) -> String {
        var lines: [String] = []
        for severity in [DatasetProblem.Severity.error, .warning] {
            let found = problems.filter { $0.found.severity == severity }
            lines += found.prefix(Self.mostLines).map {
                "\(severity.rawValue): " + (places ? "\($0.place): " : "") + $0.found.message
            }
            if found.count > Self.mostLines {
                lines.append("\(severity.rawValue): and \(found.count - Self.mostLines) more, which --json lists")
            }
        }
        if !lines.isEmpty { lines.append("") }
        for entry in dataSets {
            lines.append((places ? "\(entry.place): " : "") + entry.found.text)
            lines.append("")
        }
        func counted(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
        lines.append("\(counted(count(.error), "error")), \(counted(count(.warning), "warning"))")
        return lines.joined(separator: "\n")
    }
}

extension DatasetFacts {
    /// How much of a crop images fill, in the mean; nil without images.
    fileprivate func share(ofCrop height: Int, _ width: Int) -> Double? {
        let all = sizes.reduce(0) { $0 + $1.images }
        let filled = sizes.reduce(0) { $0 + $1.images * min($1.height, height) * min($1.width, width) }
        return all == 0 ? nil : Double(filled) / Double(all * height * width)
    }

    fileprivate var text: String {
        let most = 4
        let sizes = self.sizes.prefix(most).map {
            dimensions(height: $0.height, width: $0.width) + (self.sizes.count > 1 ? " (\($0.images))" : "")
        }
        var head = "\(name), \(samples) images"
        if !sizes.isEmpty { head += " of " + sizes.joined(separator: ", ") }
        if self.sizes.count > most { head += " and \(self.sizes.count - most) other sizes" }
        if undecoded > 0 { head += "; \(undecoded) with an error, left out of ranges and shares" }
        return ([head, splitTable.text] + [numberTable].compactMap { $0?.text } + labels.compactMap(\.classText))
            .joined(separator: "\n\n")
    }

    private var splitTable: Table {
        var table = Table(["split", "images"] + labels.map(\.name))
        for split in splits {
            table.add([split.name, "\(split.images)"] + labels.map { "\($0.carriers[split.name] ?? 0)" })
        }
        return table
    }

    /// A row for each channel of numbers; nil without any.
    private var numberTable: Table? {
        var table = Table(["label", "minimum", "maximum", "mean", "without label"])
        let found = labels.filter { $0.numbers != nil }
        for label in found {
            let numbers = label.numbers ?? []
            for (channel, range) in numbers.enumerated() {
                table.add([
                    label.name + (numbers.count > 1 ? " \(channel)" : ""), readable(range.minimum),
                    readable(range.maximum), readable(range.mean), label.shareText,
                ])
            }
            if numbers.isEmpty { table.add([label.name, Table.none, Table.none, Table.none, label.shareText]) }
        }
        return found.isEmpty ? nil : table
    }
}

extension DatasetFacts.Label {
    fileprivate var shareText: String { percentOf(placesWithoutLabel, places) }

    /// Shares of the classes, ten in a row; nil for numbers.
    fileprivate var classText: String? {
        guard let classes else { return nil }
        let perRow = 10
        let labelled = places - placesWithoutLabel
        // One row needs no other numbers than its own.
        let isOne = classes.count <= perRow
        var table = Table(
            [isOne ? "class" : "classes"] + (0..<min(perRow, classes.count)).map { isOne ? "\($0)" : "+\($0)" })
        for first in stride(from: 0, to: classes.count, by: perRow) {
            table.add(
                [isOne ? "share" : "\(first)"]
                    + classes[first..<min(first + perRow, classes.count)].map { percentOf($0, labelled) })
        }
        return
            "\(name), \(format): of the images that carry it \(shareText) without label, the rest is\n\n\(table.text)"
    }
}

/// A share in percent with a decimal, – of nothing.
private func percentOf(_ part: Int, _ whole: Int) -> String {
    guard whole > 0 else { return Table.none }
    guard part > 0 else { return "0 %" }
    let share = 100 * Double(part) / Double(whole)
    return share < 0.05 ? "< 0.1 %" : "\((share * 10).rounded() / 10) %"
}
