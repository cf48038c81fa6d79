import AdaShareExperiments
import Foundation
import Synchronization

/// The files that a page about runs is made of, looked at for changes as often as browsers ask.
public final class WatchedRuns: Sendable {
    private let folders: [URL]
    private let known = Mutex<(files: [URL], state: String)?>(nil)

    /// - Parameter folders: of the runs.
    public init(_ folders: [URL]) { self.folders = folders }

    /// Another text whenever a file has changed. Which runs belong to the runs, and have files too, is looked up only
    /// after a change: of the folders that they lie in, if of nothing else.
    public var state: String {
        known.withLock { known in
            if let known, Self.look(at: known.files) == known.state { return known.state }
            var files = folders.flatMap(RunDirectory.shown)
            while true {
                let state = Self.look(at: files)
                // What was made meanwhile would be seen only after another change.
                let again = folders.flatMap(RunDirectory.shown)
                if again == files {
                    known = (files, state)
                    return state
                }
                files = again
            }
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
