import AdaShareSupport
import ArgumentParser
import Foundation
import Synchronization

/// The process's standard streams: what is wrong with them may cost text, never work or a file.
enum StandardStreams {
    /// Has writing to a reader that is gone, or past what files may hold, fail instead of ending the process, and takes
    /// the places of streams that are closed, so that no file of a run gets one of their numbers: what is then written
    /// there fails as before.
    static func guardAll() {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
            _ = open("/dev/null", O_RDONLY)
        }
    }

    /// Whether the process's arguments are known, the first of which is its own name: on Linux they are in /proc.
    static var hasArguments: Bool { CommandLine.argc > 0 }

    /// The first argument of the process that is no UTF-8, its other bytes spelled out: a text of it would be another
    /// name.
    static func argumentThatIsNoText() -> String? {
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let argument = CommandLine.unsafeArgv[index], String(validatingCString: argument) == nil else {
                continue
            }
            return spelled(Data(bytes: argument, count: strlen(argument)))
        }
        return nil
    }

    /// The working folder of the process, spelled out, if its name is no UTF-8: paths below it would lead elsewhere.
    static func folderThatIsNoText() -> String? {
        guard let path = getcwd(nil, 0) else { return nil }
        defer { free(path) }
        return String(validatingCString: path) == nil ? spelled(Data(bytes: path, count: strlen(path))) : nil
    }

    /// Writes a part of an answer to standard output, all of it, however long its reader takes.
    ///
    /// - Throws: `InputError` if it cannot be written, for example to a full disk.
    static func answer(_ text: String) throws {
        var bytes = Data(text.utf8)
        while !bytes.isEmpty {
            let count = write(bytes, to: STDOUT_FILENO)
            if count < 0 && errno == EAGAIN {
                _ = isReady(STDOUT_FILENO, milliseconds: -1)
                continue
            }
            guard count > 0 else {
                // A reader that has had enough, as `head`, is no news.
                if errno == EPIPE { throw ExitCode(128 + SIGPIPE) }
                throw InputError(
                    file: "standard output", found: "a write that failed (\(String(cString: strerror(errno))))",
                    expected: "a place that takes the answer")
            }
            bytes.removeFirst(count)
        }
    }

    /// Writes to standard error what may be lost: a reader that is there and does not read, as a terminal that is held
    /// or a pipe that is full, is waited for once, and then no longer until it reads again.
    static func remark(_ text: String) {
        var bytes = Data(text.utf8)
        while !bytes.isEmpty {
            let patience: Int32 = isHeld.load(ordering: .relaxed) ? 0 : longestWait
            guard isReady(STDERR_FILENO, milliseconds: patience) else {
                isHeld.store(true, ordering: .relaxed)
                return
            }
            isHeld.store(false, ordering: .relaxed)
            // A pipe that is ready takes that much without waiting.
            let count = write(bytes.prefix(Int(PIPE_BUF)), to: STDERR_FILENO)
            if count < 0 && errno == EAGAIN { continue }
            guard count > 0 else { return }
            bytes.removeFirst(count)
        }
    }

    private static let isHeld = Atomic(false)
    /// Milliseconds.
    private static let longestWait: Int32 = 1000

    private static func isReady(_ file: Int32, milliseconds: Int32) -> Bool {
        var state = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
        while true {
            let count = poll(&state, 1, milliseconds)
            if count < 0 && errno == EINTR { continue }
            return count != 0
        }
    }

    /// Without a buffer of its own, so that nothing is left to be lost when the process ends.
    private static func write(_ bytes: Data, to file: Int32) -> Int {
        while true {
            let count = bytes.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
            if count >= 0 || errno != EINTR { return count }
        }
    }
}
