import Foundation

/// The threads with which a driver makes a device of the host's processor.
public enum HostThreads {
    /// Asks pocl to keep each of its threads on a core of its own, which it does if it is asked before platforms are looked
    /// for. Left alone, the system at times runs two of them on one core, and a kernel takes up to twice as long.
    ///
    /// Does nothing where the user has decided (`POCL_AFFINITY`), or has given the process a part of the cores only, which
    /// pocl would not keep to. Linux only.
    public static func stayOnTheirCores() {
        guard let online = text("/sys/devices/system/cpu/online"), let status = text("/proc/self/status"),
            let allowed = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed_list:") }),
            cores(in: online).isSubset(of: cores(in: allowed.dropFirst("Cpus_allowed_list:".count)))
        else { return }
        setenv("POCL_AFFINITY", "1", 0)
    }

    private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

    /// The numbers in a list such as `0-2,5`.
    static func cores(in list: some StringProtocol) -> Set<Int> {
        Set(
            list.split(separator: ",").flatMap { part -> [Int] in
                let ends = part.split(separator: "-").compactMap {
                    Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
                }
                guard let first = ends.first, let last = ends.last, first <= last else { return [] }
                return Array(first...last)
            })
    }
}
