import AdaShareExperiments
import Foundation
import Synchronization

/// The files that a page about runs is made of, looked at for changes as often as browsers ask.
public final class WatchedRuns: Sendable {
    private let folders: [URL]
    private let known = Mutex<Known?>(nil)

    private struct Known {
        let files: [URL]
        /// Of the folders that runs which belong to the runs lie in, before these were listed: one that is made
        /// meanwhile is a change then.
        let places: String
        let state: String
    }

    /// - Parameter folders: of the runs.
    public init(_ folders: [URL]) { self.folders = folders }

    /// Another text whenever a file has changed. Which runs belong to the runs, and have files too, is looked up only
    /// after a change: of the folders that they lie in, if of nothing else.
    public var state: String {
        known.withLock { known in
            let places = Self.look(at: folders.flatMap(RunDirectory.partFolders))
            if let known, known.places == places, Self.look(at: known.files) == known.state {
                return places + known.state
            }
            let files = folders.flatMap(RunDirectory.shown)
            let state = Self.look(at: files)
            known = Known(files: files, places: places, state: state)
            return places + state
        }
    }

    /// Which files these are, and when they were written.
    private static func look(at files: [URL]) -> String {
        files.map { file in
            var status = stat()
            guard stat(file.path, &status) == 0 else { return "–" }
            #if canImport(Darwin)
                let time = status.st_mtimespec
            #else
                let time = status.st_mtim
            #endif
            return "\(status.st_ino) \(status.st_size) \(time.tv_sec).\(time.tv_nsec)"
        }.joined(separator: "\n")
    }
}
