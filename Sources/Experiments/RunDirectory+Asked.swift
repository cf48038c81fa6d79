import AdaShareMethods
import AdaShareSupport
import Foundation

/// What a run is for, where that is less than all that its configuration describes.
extension RunDirectory {
    /// What `train` was asked for beside the configuration.
    package struct Asked: Codable, Sendable, Equatable {
        /// The phases, and those that were over before.
        package var phases: Set<Phase>
        /// The policy to retrain under, where one was given.
        package var policy: SelectionPolicy?

        /// Creates a record.
        package init(phases: Set<Phase>, policy: SelectionPolicy? = nil) {
            (self.phases, self.policy) = (phases, policy)
        }

        private enum Key: String, CodingKey { case phases, policy }

        package init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Key.self)
            phases = Set(try values.decode([Phase].self, forKey: .phases))
            policy = try values.decodeIfPresent(SelectionPolicy.self, forKey: .policy)
        }

        package func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: Key.self)
            try values.encode(phases.map(\.rawValue).sorted(), forKey: .phases)
            try values.encodeIfPresent(policy, forKey: .policy)
        }
    }

    /// What was asked for; nil for all phases.
    ///
    /// - Throws: `InputError` if the file is damaged.
    package func readAsked() throws -> Asked? {
        let file = Entry.asked.url(in: url)
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        guard let data = try? Data(contentsOf: file), let asked = try? JSONText.decode(Asked.self, from: data)
        else {
            throw InputError(
                file: file.path, found: "no file that `train` wrote",
                expected: "the phases that were asked for; without it the run is for all of them")
        }
        return asked
    }

    /// Keeps what is asked for, for who goes on with the run.
    ///
    /// - Parameters:
    ///   - asked: nil for all phases.
    ///   - outlines: of the method.
    /// - Throws: `InputError` if it cannot be written, or removed.
    package func keep(_ asked: Asked?, of outlines: [PhaseOutline]) throws {
        let file = Entry.asked.url(in: url)
        let all = Set(outlines.filter { $0.companion == nil && $0.iterations > 0 }.map(\.phase))
        guard var asked else { return try remove(file) }
        asked.phases.formUnion(all.filter { hasFinished($0) })
        if asked.policy == nil, all.isSubset(of: asked.phases) { return try remove(file) }
        try AtomicFile.write(Data((try JSONText.line(asked) + "\n").utf8), to: file)
    }

    /// Where it stayed, a run that is gone on with would end after the phases of before.
    private func remove(_ file: URL) throws {
        guard FileManager.default.fileExists(atPath: file.path) else { return }
        guard unlink(file.path) == 0 else {
            throw InputError.system("unlink", file.path, expected: "a file that can be removed")
        }
        try AtomicFile.flush(folder: url.path)
    }

    /// Whether a phase has come to its end, and left its weights.
    package func hasFinished(_ phase: Phase) -> Bool {
        FileManager.default.fileExists(atPath: checkpoints.appendingPathComponent("\(phase.rawValue).safetensors").path)
    }
}
