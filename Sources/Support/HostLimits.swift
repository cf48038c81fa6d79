import Foundation

/// What the machine has, and what control groups, as containers have them, leave of it to this process.
package struct HostLimits: Sendable, Equatable {
    /// Cores that are switched on, and those that the process may run on.
    package var cores, allowedCores: Int
    /// Time on cores that it gets, in cores; nil without a limit.
    package var quota: Double?
    /// Bytes of memory, and what the process may take of them; nil without a limit.
    package var memoryBytes: Int
    package var memoryLimitBytes: Int?

    /// The cores' worth of time that a computation may take.
    package var usableCores: Double { min(Double(allowedCores), quota ?? .infinity) }

    /// - Parameter root: stands before every path, for tests.
    package init(root: String = "") {
        let process = ProcessInfo.processInfo
        (cores, allowedCores) = (process.processorCount, process.activeProcessorCount)
        memoryBytes = Int(clamping: process.physicalMemory)
        let groups = ControlGroups(root: root)
        quota = groups.quota
        // Version 1 says a number beyond all memory where there is no limit.
        memoryLimitBytes = groups.memoryLimit.flatMap { $0 < memoryBytes ? $0 : nil }
    }
}

/// The control groups that the process is in, of versions 1 and 2.
private struct ControlGroups {
    private let root: String
    /// Path of the process's group, by controller; version 2 has no name.
    private let paths: [String: String]

    init(root: String) {
        self.root = root
        var paths: [String: String] = [:]
        let text = (try? String(contentsOfFile: root + "/proc/self/cgroup", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else { continue }
            for name in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                paths[String(name)] = parts[2]
            }
        }
        self.paths = paths
    }

    var quota: Double? {
        let second = values(of: "cpu.max", "").compactMap { text -> Double? in
            let words = text.split(separator: " ").map { Double($0) }
            guard words.count == 2, let quota = words[0], let period = words[1], period > 0 else { return nil }
            return quota / period
        }
        let periods = values(of: "cpu.cfs_period_us", "cpu").map { Double($0) ?? 0 }
        let first = zip(values(of: "cpu.cfs_quota_us", "cpu"), periods).compactMap { text, period -> Double? in
            guard let quota = Double(text), quota > 0, period > 0 else { return nil }
            return quota / period
        }
        return (second + first).min()
    }

    var memoryLimit: Int? {
        (values(of: "memory.max", "") + values(of: "memory.limit_in_bytes", "memory")).compactMap { Int($0) }.min()
    }

    /// The texts of a file in the process's group and in those around it. In a container the group's path may be that
    /// of the machine, while the container's own group lies at the top.
    private func values(of file: String, _ controller: String) -> [String] {
        guard let path = paths[controller] else { return [] }
        let tops = controller.isEmpty ? ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] : ["/sys/fs/cgroup/\(controller)"]
        return tops.flatMap { top -> [String] in
            var (folder, found): (String, [String]) = (path, [])
            while true {
                let place = root + top + (folder == "/" ? "" : folder)
                if let text = try? String(contentsOfFile: "\(place)/\(file)", encoding: .utf8) {
                    found.append(text.trimmingCharacters(in: .whitespacesAndNewlines))
                }
                guard folder != "/", !folder.isEmpty else { return found }
                folder = (folder as NSString).deletingLastPathComponent
            }
        }
    }
}
