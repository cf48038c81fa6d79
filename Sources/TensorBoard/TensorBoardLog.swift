import AdaShareFiles
import AdaShareSupport
import Foundation

/// What TensorBoard shows of a run, in a file of its own in the run's folder.
///
/// Every call writes through to the system. Not safe for use from several threads.
package final class TensorBoardLog {
    private let file: EventsFile

    /// Whether a file in a run's folder is one of these.
    package static func isName(_ name: String) -> Bool { name.hasPrefix(EventsFile.prefix) }

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - folder: the run's, after which TensorBoard names it.
    ///   - nextStep: the first step that is still to be taken: what earlier files have of it and of later ones, which
    ///     a run does again that goes on from a checkpoint, is then hidden.
    ///   - time: now, in seconds since 1970-01-01 UTC.
    /// - Throws: `InputError` if the file cannot be made or written.
    package init(_ folder: URL, nextStep: Int, time: Double) throws {
        file = try EventsFile(in: folder, at: time)
        try write(0, time) { $0.fileVersion = "brain.Event:2" }
        // Readers take the first one of a run for its beginning, and each later one for a restart.
        try write(nextStep, time) { $0.sessionLog = .with { $0.status = .start } }
    }

    /// Whether its file has been removed since: another log goes on.
    package var isGone: Bool { file.isGone }

    /// Numbers at a step, each with its tag.
    ///
    /// - Throws: `InputError` if they cannot be written.
    package func write(_ scalars: [(tag: String, value: Double)], step: Int, time: Double) throws {
        guard !scalars.isEmpty else { return }
        try summary(
            step, time,
            scalars.map { scalar in
                .with {
                    $0.tag = scalar.tag
                    $0.simpleValue = Float(scalar.value)
                }
            })
    }

    /// A picture at a step.
    ///
    /// - Parameters:
    ///   - image: the picture.
    ///   - tag: its name; TensorBoard shows those that are alike up to a slash together.
    ///   - description: Markdown, shown on demand.
    ///   - step: when it was like that.
    ///   - time: when it was made.
    /// - Throws: `InputError` if it cannot be written.
    package func write(_ image: Image, tag: String, description: String, step: Int, time: Double) throws {
        let encoded = try image.png(for: file.url.path)
        let texts = [Data("\(image.width)".utf8), Data("\(image.height)".utf8), encoded]
        try write(texts, plugin: "images", tag, description, step, time)
    }

    /// Text, in Markdown.
    ///
    /// - Throws: `InputError` if it cannot be written.
    package func write(text: String, tag: String, step: Int, time: Double) throws {
        try write([Data(text.utf8)], plugin: "text", tag, "", step, time)
    }

    /// What runs are told apart by, for the page that compares them. Which of these differ between runs, and which
    /// numbers there are to compare by, TensorBoard finds out itself: an experiment that one run described would hide
    /// what another has beside it.
    ///
    /// - Parameters:
    ///   - values: by name; nothing but numbers, words and yes or no.
    ///   - time: when the run began.
    /// - Throws: `InputError` if they cannot be written.
    package func write(hyperparameters values: [String: JSONValue], time: Double) throws {
        try write(
            "session_start_info", time,
            .with {
                $0.sessionStartInfo = .with {
                    $0.hparams = values.compactMapValues(TBValue.init)
                    $0.startTimeSecs = time
                }
            })
    }

    /// Says that the run has done all it was to do. Of several such statements TensorBoard believes the first one: a
    /// run that has failed may still go on, and says nothing.
    ///
    /// - Throws: `InputError` if that cannot be written.
    package func writeSuccess(time: Double) throws {
        try write(
            "session_end_info", time,
            .with {
                $0.sessionEndInfo = .with {
                    $0.status = .success
                    $0.endTimeSecs = time
                }
            })
    }

    /// Flushes the file to disk.
    ///
    /// - Throws: `InputError` if the disk refuses.
    package func synchronize() throws { try file.synchronize() }

    /// Strings of bytes, for one of TensorBoard's plug-ins.
    private func write(
        _ texts: [Data], plugin: String, _ tag: String, _ description: String, _ step: Int, _ time: Double
    ) throws {
        try summary(
            step, time,
            [
                .with {
                    $0.tag = tag
                    $0.metadata.pluginData.pluginName = plugin
                    $0.metadata.summaryDescription = description
                    $0.tensor = .with {
                        $0.dtype = .dtString
                        // A single one is no list: text is shown as it is, not in a table.
                        $0.tensorShape.dim = texts.count == 1 ? [] : [.with { $0.size = Int64(texts.count) }]
                        $0.stringVal = texts
                    }
                }
            ])
    }

    private func write(_ tag: String, _ time: Double, _ data: TBHParamsPluginData) throws {
        let content: Data
        do {
            content = try data.serializedData()
        } catch {
            preconditionFailure("messages of plain values can be encoded: \(error)")
        }
        try summary(
            0, time,
            [
                .with {
                    $0.tag = "_hparams_/\(tag)"
                    $0.metadata.pluginData = .with {
                        $0.pluginName = "hparams"
                        $0.content = content
                    }
                }
            ])
    }

    private func summary(_ step: Int, _ time: Double, _ values: [TBSummary.Value]) throws {
        try write(step, time) { $0.summary = .with { $0.value = values } }
    }

    private func write(_ step: Int, _ time: Double, _ fill: (inout TBEvent) -> Void) throws {
        var event = TBEvent()
        (event.step, event.wallTime) = (Int64(step), time)
        fill(&event)
        try file.append(event)
    }
}

extension TBValue {
    /// nil for what is neither number, word nor yes or no.
    fileprivate init?(_ value: JSONValue) {
        self.init()
        switch value {
        case .bool(let value): boolValue = value
        case .integer(let value): numberValue = Double(value)
        case .number(let value): numberValue = value
        case .string(let value): stringValue = value
        case .null, .array, .object: return nil
        }
    }
}
