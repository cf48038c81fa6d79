import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareProfiling
import AdaShareRanks
import AdaShareSupport

/// What a step of several processes takes, from what one of them computes, when its gradients are known, and how fast
/// bytes travel. Every process computes as much however many there are.
///
///     exchange of b bytes among R = 2 b / staging + 2 transfer + 2 (R − 1) message + 2 b (R − 1)/R ÷ bandwidth
///     end of an exchange          = max(its values are known, end of the one before) + what it takes
///     exposed                     = max(0, end of the last one − everything is computed)
///
/// Of the bytes that leave a process, those to others on its host travel at the speed of staging, and the rest share
/// the host's link. What is gathered, not summed, is sent whole to everybody, in one transfer. What processes tell each
/// other between steps, and kernels that join what is gathered, which are more with more processes, are left out.
public struct ScaleModel: Codable, Sendable {
    /// Values that travel together.
    public struct Exchange: Codable, Sendable {
        /// Bytes that each process gives.
        public let byteCount: Int
        /// When they are known, in ms from the step's begin, or where the exchange before took longer, when it had
        /// ended.
        public let readyMs: Double
        /// Whether everybody gets everybody's values instead of their sum.
        public let isGathered: Bool
    }

    /// How bytes travel.
    public struct Link: Codable, Sendable {
        /// What beginning a transfer and noticing its end take, in ms.
        public var transferMs: Double
        /// What each message to another process costs beside its bytes, in ms.
        public var messageMs: Double
        /// Of a host's link, in bytes per ms.
        public var bytesPerMs: Double
        /// Between device and host memory, in bytes per ms.
        public var stagingBytesPerMs: Double
        /// Processes that share a host's link.
        public var processesPerHost = 1

        /// What a message takes on networks made for MPI, if nothing is known, in ms.
        public static let usualMessageMs = 0.002

        /// Describes a link.
        public init(
            transferMs: Double, messageMs: Double, bytesPerMs: Double, stagingBytesPerMs: Double,
            processesPerHost: Int = 1
        ) {
            self.transferMs = transferMs
            self.messageMs = messageMs
            self.bytesPerMs = bytesPerMs
            self.stagingBytesPerMs = stagingBytesPerMs
            self.processesPerHost = processesPerHost
        }
    }

    /// When everything is computed that needs no other process, in ms from the step's begin.
    public var computedMs: Double
    /// What is left to do then, such as the last updates, in ms.
    public var restMs: Double
    /// In the order in which they travel.
    public var exchanges: [Exchange]
    /// How their bytes travel.
    public var link: Link

    /// What a step of so many processes takes, and by how much less it would without exchanges, in ms.
    public func step(processes: Int) -> (ms: Double, exposedMs: Double) {
        var end = 0.0
        for exchange in exchanges { end = max(end, exchange.readyMs) + ms(exchange, among: processes) }
        let exposed = processes > 1 ? max(0, end - computedMs) : 0
        return (computedMs + exposed + restMs, exposed)
    }

    /// How fast a process is among so many, relative to one alone.
    public func efficiency(processes: Int) -> Double { step(processes: 1).ms / step(processes: processes).ms }

    private func ms(_ exchange: Exchange, among processes: Int) -> Double {
        let (bytes, all) = (Double(exchange.byteCount), Double(processes))
        let sharing = Double(min(processes, link.processesPerHost))
        // Of a process's bytes: to the others on its host, and to other hosts.
        let (near, far) = ((sharing - 1) / all, (all - sharing) / all)
        let travel = near / link.stagingBytesPerMs + far / (link.bytesPerMs / sharing)
        let transfer = link.transferMs + (all - 1) * link.messageMs
        guard !exchange.isGathered else {
            return (1 + all) * bytes / link.stagingBytesPerMs + transfer + bytes * all * travel
        }
        return 2 * bytes / link.stagingBytesPerMs + 2 * transfer + 2 * bytes * travel
    }

    /// The same step computed in another time, and another link.
    public func scaled(computedMs: Double?, link: Link?) -> ScaleModel {
        var model = self
        let factor = (computedMs ?? self.computedMs) / self.computedMs
        model.computedMs *= factor
        model.restMs *= factor
        model.exchanges = exchanges.map {
            Exchange(byteCount: $0.byteCount, readyMs: $0.readyMs * factor, isGathered: $0.isGathered)
        }
        model.link = link ?? self.link
        return model
    }

    /// Whether every number is one that can be measured.
    package var isSound: Bool {
        func isTime(_ ms: Double) -> Bool { ms >= 0 && ms < 1e12 }
        let speeds = [link.bytesPerMs, link.stagingBytesPerMs]
        return computedMs > 0 && isTime(computedMs) && isTime(restMs) && isTime(link.transferMs)
            && isTime(link.messageMs) && speeds.allSatisfy { $0 > 0 && $0 < 1e18 }
            && 1...65536 ~= link.processesPerHost
            && exchanges.allSatisfy { $0.byteCount >= 0 && $0.byteCount < 1 << 50 && isTime($0.readyMs) }
    }

    /// Bytes that each process sends to others in a step.
    package func bytesSent(processes: Int) -> Int {
        exchanges.reduce(0) { sum, exchange in
            sum
                + (exchange.isGathered
                    ? exchange.byteCount * (processes - 1) : 2 * exchange.byteCount / processes * (processes - 1))
        }
    }

    /// A table of steps of several numbers of processes.
    public func table(processes: [Int]) -> String {
        var table = Table(["processes", "ms a step", "exposed", "efficiency"])
        for count in processes {
            let (ms, exposed) = step(processes: count)
            table.add([
                "\(count)", readable(ms), "\(readable(exposed)) ms (\(readable(100 * exposed / ms)) %)",
                readable(efficiency(processes: count), digits: 3),
            ])
        }
        return table.text
    }
}

extension ScaleModel.Link {
    /// Measures how the processes reach each other, with nothing else to do.
    ///
    /// - Parameters:
    ///   - ranks: several processes, each of which measures.
    ///   - context: the device of this one.
    /// - Throws: `RankError`, `DeviceError`.
    static func measured(among ranks: RankGroup, on context: DeviceContext) throws -> Self {
        let large = 1 << 21
        func ms(_ count: Int) throws -> Double {
            let times = try (0..<5).map { _ in
                _ = try ranks.gather([UInt8]())
                return try ranks.start { ranks in
                    var values = [Float](repeating: 1, count: count)
                    let begun = ContinuousClock.now
                    var span = values.mutableSpan
                    try ranks.sum(&span)
                    return (ContinuousClock.now - begun).milliseconds
                }.wait()
            }
            return try ranks.gather(median(times)).max() ?? 0
        }
        let (others, all) = (Double(ranks.count - 1), Double(ranks.count))
        let (short, long) = (try ms(ranks.count), try ms(large))
        // Faster than this no clock tells.
        let perProcess = 2 * Double(4 * large) * others / all / max(long - short, 0.01)
        return Self(
            transferMs: max(0, short / 2 - others * Self.usualMessageMs), messageMs: Self.usualMessageMs,
            bytesPerMs: perProcess * Double(ranks.local.count), stagingBytesPerMs: try stagingBytesPerMs(context),
            processesPerHost: ranks.local.count)
    }

    /// Between device and host memory, there and back, in two pieces that lie apart.
    private static func stagingBytesPerMs(_ context: DeviceContext) throws -> Double {
        let window = try HostWindow(context: context)
        let byteCount = 1 << 23
        let pieces = try [1, 2].map { _ in
            (buffer: try context.makeBuffer(byteCount: byteCount / 2), count: byteCount / 8)
        }
        let times = try (0..<5).map { _ in
            let ready = try context.queue.marker()
            let begun = ContinuousClock.now
            try window.change(pieces, after: ready) { _ in }
            return (ContinuousClock.now - begun).milliseconds
        }
        return 2 * Double(byteCount) / median(times)
    }
}
