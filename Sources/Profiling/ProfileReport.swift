import AdaShareDeviceLayer
import AdaShareSupport
import Foundation

/// What a profile adds up to: totals per kernel and per launch site, and the first launches one by one for a trace.
///
/// Totals count every launch; the trace keeps the first `limit`, so that memory is bounded however long a run is.
public struct ProfileReport: Sendable {
    /// Launches the trace keeps at most.
    public let limit: Int
    /// Launches that are in the totals, but not in the trace.
    public private(set) var dropped = 0
    /// Totals by kernel name.
    public private(set) var kernels: [String: Total] = [:]
    /// Totals by launch site: label and kernel name.
    public private(set) var sites: [Site: Total] = [:]

    /// Names of the queues, in the order of their first entries: the tracks of the trace.
    private(set) var queues: [String] = []
    private(set) var kept: [(queue: Int, entry: ProfileEntry)] = []

    /// One place of the network that launches a kernel.
    public struct Site: Hashable, Sendable {
        /// Scope of the network that records the launch, and the kernel it launches.
        public let label, kernelName: String
    }

    /// Sums over launches.
    public struct Total: Sendable, Equatable {
        /// Number of launches.
        public var launches = 0
        /// Time on the device.
        public var nanoseconds: UInt64 = 0
        /// Multiply-accumulates that the launch sites were given; 0 for everything but convolutions.
        public var multiplyAccumulates = 0
        /// Bytes of the launches' buffer arguments, an estimate of the bytes moved.
        public var bytes = 0

        mutating func add(_ entry: ProfileEntry) {
            launches += 1
            nanoseconds += entry.durationNanoseconds
            multiplyAccumulates += entry.multiplyAccumulates
            bytes += entry.byteCount
        }

        /// 10⁹ floating-point operations per second, two for each multiply-accumulate; nil if none were counted.
        public var gigaflops: Double? { rate(2 * multiplyAccumulates) }
        /// 10⁹ bytes per second; nil if no time passed.
        public var gigabytes: Double? { rate(bytes) }

        private func rate(_ count: Int) -> Double? {
            count > 0 && nanoseconds > 0 ? Double(count) / Double(nanoseconds) : nil
        }
    }

    /// Creates an empty report.
    ///
    /// - Parameter limit: launches the trace keeps at most.
    public init(limit: Int = 200_000) { self.limit = limit }

    /// Adds the launches of one queue, in the order they ran.
    public mutating func add(_ entries: [ProfileEntry], queue: String) {
        guard !entries.isEmpty else { return }
        let track = queues.firstIndex(of: queue) ?? queues.count
        if track == queues.count { queues.append(queue) }
        for entry in entries {
            kernels[entry.kernelName, default: Total()].add(entry)
            sites[Site(label: entry.label, kernelName: entry.kernelName), default: Total()].add(entry)
            if kept.count < limit { kept.append((track, entry)) } else { dropped += 1 }
        }
    }

    /// Sums over everything.
    public var total: Total {
        kernels.values.reduce(into: Total()) { sum, one in
            sum.launches += one.launches
            sum.nanoseconds += one.nanoseconds
            sum.multiplyAccumulates += one.multiplyAccumulates
            sum.bytes += one.bytes
        }
    }

    /// The kernels and the launch sites that took longest, for people.
    ///
    /// - Parameter top: rows of each table at most.
    public func text(top: Int = 12) -> String {
        let byKernel = kernels.map { (name: $0.key, total: $0.value) }
        let bySite = sites.map { (name: $0.key.title, total: $0.value) }
        return [table("kernel", byKernel, top: top), table("launch site", bySite, top: top)].joined(separator: "\n\n")
    }

    private func table(_ title: String, _ rows: [(name: String, total: Total)], top: Int) -> String {
        let all = total
        var table = Table([title, "launches", "ms", "share", "GFLOP/s", "GB/s"])
        func add(_ name: String, _ total: Total) {
            let share = all.nanoseconds == 0 ? 0 : 100 * Double(total.nanoseconds) / Double(all.nanoseconds)
            table.add([
                name, "\(total.launches)", readable(Double(total.nanoseconds) / 1e6), readable(share) + " %",
                total.gigaflops.map { readable($0) } ?? Table.none, total.gigabytes.map { readable($0) } ?? Table.none,
            ])
        }
        // Equal times in the order of names, so that the same profile gives the same text.
        let order = rows.sorted { ($1.total.nanoseconds, $0.name) < ($0.total.nanoseconds, $1.name) }
        for row in order.prefix(top) { add(row.name, row.total) }
        add(rows.count > top ? "all \(rows.count)" : "all", all)
        return table.text
    }
}

extension ProfileReport.Site {
    /// The label and, unless it is the label, the kernel's name.
    var title: String { label == kernelName ? label : "\(label) \(kernelName)" }
}
