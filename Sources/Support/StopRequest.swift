import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The first polite signal that this process has got; 0 for none. Signal handlers may touch nothing else.
private let caughtSignal = Atomic<Int32>(0)

/// Whether this process is to end early: it has got a polite signal, or its time is nearly over.
///
/// Long work asks between its steps, puts away what it has, and throws ``Stopped``.
public final class StopRequest: Sendable {
    /// Why work is to end.
    public enum Reason: Sendable, Equatable {
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

    private let start = ContinuousClock.now
    private let limit: Duration?
    /// Seconds of the limit that putting work away takes, as bits.
    private let reserved = Atomic<UInt64>(0)

    /// A request that only the time makes, or nothing.
    ///
    /// - Parameter seconds: how long work may go on from now; nil for ever.
    public init(limit seconds: Double? = nil) { limit = seconds.map { .seconds($0) } }

    /// Has the first polite signal make the request from now on, and a second one end the process at once. Those that
    /// the process was started to ignore stay ignored, as `nohup` has it; but for SIGINT, which a shell without job
    /// control has all its background processes ignore.
    ///
    /// - Parameter seconds: how long work may go on from now; nil for ever.
    public static func listening(limit seconds: Double? = nil) -> StopRequest {
        caughtSignal.store(0, ordering: .sequentiallyConsistent)
        for (number, _) in polite {
            var before = sigaction()
            sigaction(number, nil, &before)
            var action = sigaction()
            #if canImport(Glibc)
                let known = before.__sigaction_handler.sa_handler
                action.__sigaction_handler.sa_handler = handle
            #else
                let known = before.__sigaction_u.__sa_handler
                action.__sigaction_u.__sa_handler = handle
            #endif
            let isIgnored = unsafeBitCast(known, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
            if isIgnored, number != SIGINT { continue }
            action.sa_flags = Int32(SA_RESTART)
            sigaction(number, &action, nil)
        }
        return StopRequest(limit: seconds)
    }

    private static let handle: @convention(c) (Int32) -> Void = { number in
        let (isFirst, _) = caughtSignal.compareExchange(
            expected: 0, desired: number, ordering: .sequentiallyConsistent)
        guard !isFirst else { return }
        signal(number, SIG_DFL)
        raise(number)
    }

    /// Why work is to end; nil while it need not.
    public var reason: Reason? {
        let number = caughtSignal.load(ordering: .sequentiallyConsistent)
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

    /// Seconds in a text such as `3h55m`, `90s`, `1d12h` or `3:55:00`; nil for any other, or none at all.
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
