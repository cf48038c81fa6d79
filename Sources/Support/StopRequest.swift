import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Whether this process is to end early: it has got a polite signal, or its time is nearly over.
///
/// Long work asks between its steps, puts away what it has, and throws ``Stopped``.
public final class StopRequest: Sendable {
    /// Why work is to end.
    public enum Reason: Sendable, Equatable, Codable {
        /// A signal, by number.
        case signal(Int32)
        /// The time that was given is nearly over.
        case timeLimit

        /// What the process exits with: 128 and the signal's number as shells count, or 124 as `timeout` does.
        public var exitCode: Int32 {
            switch self {
            case .signal(let number): 128 + number
            case .timeLimit: 124
            }
        }

        /// What a person calls it.
        public var name: String {
            switch self {
            case .signal(let number):
                StopRequest.polite.first { $0.number == number }?.name ?? "signal \(number)"
            case .timeLimit: "time limit"
            }
        }
    }

    /// What terminals, users and schedulers send, the last few some time before they kill.
    private static let polite: [(number: Int32, name: String)] = [
        (SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGHUP, "SIGHUP"), (SIGUSR1, "SIGUSR1"), (SIGUSR2, "SIGUSR2"),
        (SIGXCPU, "SIGXCPU"),
    ]

    /// The first polite signal that this process has got; 0 for none.
    private static let caught = Atomic<Int32>(0)
    private let start = ContinuousClock.now
    private let limit: Duration?
    /// Seconds of the limit that putting work away takes, as bits.
    private let reserved = Atomic<UInt64>(0)

    /// A request that only the time makes, or nothing.
    ///
    /// - Parameter seconds: how long work may go on from now; nil for ever.
    public init(limit seconds: Double? = nil) { limit = seconds.map { .seconds($0) } }

    /// What comes so soon after the first signal is a part of it: `timeout` sends its own to the process and then to
    /// its group, and so may schedulers.
    private static let echo = Duration.milliseconds(300)

    /// Has the first polite signal make the request from now on, and a second one end the process at once. Those that
    /// the process was started to ignore stay ignored, as `nohup` has it; but for SIGINT, which a shell without job
    /// control has all its background processes ignore.
    ///
    /// - Parameter seconds: how long work may go on from now; nil for ever.
    public static func listening(limit seconds: Double? = nil) -> StopRequest {
        _ = listener
        return StopRequest(limit: seconds)
    }

    /// Waits for the signals in a thread of its own, with all others deaf to them: handlers would not last, since
    /// compilers in device drivers put theirs in their place.
    ///
    /// To be made before other threads are, which inherit what the first one is deaf to.
    private static let listener: Void = {
        var signals = sigset_t()
        sigemptyset(&signals)
        for (number, _) in polite {
            var action = sigaction()
            sigaction(number, nil, &action)
            #if canImport(Glibc)
                let known = action.__sigaction_handler.sa_handler
            #else
                let known = action.__sigaction_u.__sa_handler
            #endif
            if unsafeBitCast(known, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
                if number != SIGINT { continue }
                signal(number, SIG_DFL)
            }
            sigaddset(&signals, number)
        }
        let awaited = signals
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        Thread.detachNewThread {
            var first: ContinuousClock.Instant?
            while true {
                var (signals, number) = (awaited, Int32(0))
                guard sigwait(&signals, &number) == 0 else { continue }
                let (isFirst, _) = caught.compareExchange(
                    expected: 0, desired: number, ordering: .sequentiallyConsistent)
                if isFirst { first = .now }
                if let first, .now - first < echo { continue }
                signal(number, SIG_DFL)
                pthread_sigmask(SIG_UNBLOCK, &signals, nil)
                kill(getpid(), number)
            }
        }
    }()

    /// Makes the request, as SIGHUP does, once standard input ends: a process that holds its other end is gone then,
    /// however it ended.
    public static func listenForEndOfInput() {
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while true {
                let count = read(STDIN_FILENO, &byte, 1)
                if count > 0 || count < 0 && errno == EINTR { continue }
                // No second request: work that ends already may do so in peace.
                _ = caught.compareExchange(expected: 0, desired: SIGHUP, ordering: .sequentiallyConsistent)
                return
            }
        }
    }

    /// Why work is to end; nil while it need not.
    public var reason: Reason? {
        let number = Self.caught.load(ordering: .sequentiallyConsistent)
        if number != 0 { return .signal(number) }
        guard let limit else { return nil }
        let reserve = Double(bitPattern: reserved.load(ordering: .relaxed))
        return ContinuousClock.now - start + .seconds(reserve) >= limit ? .timeLimit : nil
    }

    /// Ends work that early before the time limit.
    ///
    /// - Parameter seconds: what putting it away takes.
    public func reserve(_ seconds: Double) { reserved.store(seconds.bitPattern, ordering: .relaxed) }

    /// - Throws: ``Stopped`` if work is to end.
    public func check() throws {
        if let reason { throw Stopped(reason: reason) }
    }

    /// Seconds in a text such as `3h55m`, `90s`, `1d12h` or `3:55:00`.
    ///
    /// - Parameter text: what a person gave.
    /// - Returns: nil for any other text, and where it comes to none at all.
    public static func seconds(_ text: String) -> Double? {
        if text.contains(":") {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0).map(Double.init) }
            guard parts.count == 3, let hours = parts[0], let minutes = parts[1], let seconds = parts[2], minutes < 60,
                seconds < 60
            else { return nil }
            let total = hours * 3600 + minutes * 60 + seconds
            return total > 0 ? total : nil
        }
        let units: [(Character, Double)] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)]
        var (total, number, next) = (0.0, "", 0)
        for character in text {
            if character.isASCII, character.isNumber {
                number.append(character)
                continue
            }
            guard let unit = units[next...].firstIndex(where: { $0.0 == character }), let count = UInt32(number) else {
                return nil
            }
            total += Double(count) * units[unit].1
            (number, next) = ("", unit + 1)
        }
        return number.isEmpty && total > 0 ? total : nil
    }
}

/// Work that has ended early because it was asked to.
public struct Stopped: Error, CustomStringConvertible, Sendable, Equatable {
    /// Why.
    public let reason: StopRequest.Reason
    /// Where it got to; nil where there was nothing to put away.
    public let place: String?

    /// Creates the error.
    ///
    /// - Parameters:
    ///   - reason: why work ended.
    ///   - place: where it got to.
    public init(reason: StopRequest.Reason, place: String? = nil) { (self.reason, self.place) = (reason, place) }

    public var description: String { "stopped by \(reason.name)" + (place.map { ", \($0)" } ?? "") }
}
