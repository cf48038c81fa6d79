import AdaShareSupport
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the handler below says and makes, ready before it runs: it may only call the system.
nonisolated(unsafe) private var lastWords: UnsafeMutablePointer<CChar>?
nonisolated(unsafe) private var lastMark: UnsafeMutablePointer<CChar>?
/// The thread that another library may abort the process on.
nonisolated(unsafe) private var stranger: pthread_t?

/// The cache of a driver that ends the process where a file in it is damaged, as pocl does.
enum DriverCache {
    private static let markName = "adashare-aborted"
    /// Whether a file could be made in pocl's cache when this process first used it.
    private static let wasWritable = DriverDiagnosis.poclCacheProblem() == nil

    /// What is wrong with pocl's cache; nil where nothing is. Only a process that could not write it tries again.
    static func problem() -> DriverProblem? { wasWritable ? nil : DriverDiagnosis.poclCacheProblem() }

    /// Why pocl's cache is another folder than it would have taken, which others could have filled with code; nil where
    /// it is not. To be asked before the driver is first used, which reads the place from the environment.
    static let refusal: String? = {
        let place = DriverDiagnosis.poclCache()
        guard let reason = PrivateFolder.problem(place) else { return nil }
        guard let own = UserCache.root?.appendingPathComponent("pocl", isDirectory: true),
            PrivateFolder.make(own) == nil
        else { return "pocl runs what lies in its cache folder \(place), and \(reason): POCL_CACHE_DIR names another" }
        setenv("POCL_CACHE_DIR", own.path, 1)
        return "pocl's cache folder \(place) is not used: \(reason); \(own.path) is"
    }()

    /// Looks after pocl's cache: repairs it where the process that used it last was ended by the driver, and leaves a
    /// mark where that happens to this one.
    static func lookAfter(folder: String = DriverDiagnosis.poclCache()) {
        let mark = folder + "/" + markName
        if FileManager.default.fileExists(atPath: mark) {
            repair(folder)
            unlink(mark)
        }
        guard lastMark == nil else { return }
        lastMark = strdup(mark)
        lastWords = strdup(
            "Error: the device's driver has ended the program; if it says so again, delete its cache \(folder) (the "
                + "next start looks for damaged files there)\n")
        signal(SIGABRT) { _ in
            if let stranger, pthread_equal(stranger, pthread_self()) != 0 { return }
            if let lastWords { _ = write(STDERR_FILENO, lastWords, strlen(lastWords)) }
            if let lastMark { close(open(lastMark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)) }
        }
    }

    /// Has the end of the process on the calling thread, which calls no driver, be no fault of the driver's cache.
    static func leaveOutThisThread() { stranger = pthread_self() }

    /// Removes libraries that are not whole; all that pocl has made where all seem to be.
    private static func repair(_ folder: String) {
        guard let walk = FileManager.default.enumerator(atPath: folder) else { return }
        var isFound = false
        for case let name as String in walk where name.hasSuffix(".so") {
            let path = folder + "/" + name
            guard !isWhole(path) else { continue }
            isFound = true
            // The driver makes the whole folder of the kernel anew.
            try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent)
        }
        guard !isFound else { return }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where isPocls(name) {
            try? FileManager.default.removeItem(atPath: folder + "/" + name)
        }
    }

    /// Whether a name in the folder is one that pocl gives: two letters of a hash, or a temporary file.
    static func isPocls(_ name: String) -> Bool {
        name.hasPrefix("tempfile") || name.utf8.count == 2 && name.utf8.allSatisfy { (65...90).contains($0) }
    }

    /// Whether a 64-bit ELF file reaches as far as its section headers, which linkers write last.
    static func isWhole(_ path: String) -> Bool {
        guard let file = FileHandle(forReadingAtPath: path), let head = try? file.read(upToCount: 64), head.count == 64,
            head.starts(with: [0x7F, 0x45, 0x4C, 0x46]), let size = try? file.seekToEnd()
        else { return false }
        func number<Value: FixedWidthInteger>(_ offset: Int, _: Value.Type) -> UInt64 {
            head.withUnsafeBytes {
                UInt64(truncatingIfNeeded: $0.loadUnaligned(fromByteOffset: offset, as: Value.self))
            }
        }
        let (start, entry, count) = (number(40, UInt64.self), number(58, UInt16.self), number(60, UInt16.self))
        let (end, overflow) = start.addingReportingOverflow(entry * count)
        return !overflow && start > 0 && end <= size
    }
}
