import Foundation

/// The threads with which a driver makes a device of the host's processor.
public enum HostThreads {
    /// Asks pocl to keep each of its threads on a core of its own, which it does if it is asked before platforms are
    /// looked for. Left alone, the system at times runs two of them on one core, and a kernel takes up to twice as
    /// long.
    ///
    /// pocl's thread n goes to core n. So this does nothing where the user has decided (`POCL_AFFINITY`, or a number of
    /// threads), has given the process a part of the cores only, or where cores have been switched off. Linux only.
    public static func stayOnTheirCores() {
        guard let cores, let online = text("/sys/devices/system/cpu/online").map(Self.cores(in:)),
            online.isSubset(of: cores), online == Set(0..<online.count),
            ["POCL_MAX_PTHREAD_COUNT", "POCL_CPU_MAX_CU_COUNT"].allSatisfy({
                ProcessInfo.processInfo.environment[$0] == nil
            })
        else { return }
        setenv("POCL_AFFINITY", "1", 0)
    }

    /// Gives each of several processes of one host its part of the cores, and a cache of pocl's of its own, which
    /// several that compile the same kernels at a time have damaged: a subfolder of the one that is asked for. To be
    /// called before platforms are looked for. A number of threads that the user has decided on stays; a process that
    /// its launcher has given cores of its own takes these (Linux only).
    ///
    /// - Parameters:
    ///   - processes: on this host, this one included.
    ///   - place: among them, from 0: the first one takes the cache as it is.
    public static func share(among processes: Int, place: Int) {
        guard processes > 1 else { return }
        if let cores, let online = text("/sys/devices/system/cpu/online").map(Self.cores(in:)) {
            let own = cores == online ? max(1, cores.count / processes) : cores.count
            setenv("POCL_MAX_PTHREAD_COUNT", "\(own)", 0)
        }
        if place > 0, DriverCache.refusal == nil {
            setenv("POCL_CACHE_DIR", DriverDiagnosis.poclCache() + "/process-\(place)", 1)
        }
    }

    /// An environment without what launchers of several processes tell each: a process that one of these starts is none
    /// of them.
    package static func withoutLauncher(_ environment: [String: String]) -> [String: String] {
        let prefixes = ["OMPI_", "PMIX_", "PMI_", "PRTE_", "HYDI_", "HYDRA_", "MPI_LOCAL", "SLURM_"]
        return environment.filter { variable in !prefixes.contains { variable.key.hasPrefix($0) } }
    }

    /// Says that the calling thread calls no driver: where another library aborts the process on it, as MPI does, the
    /// driver's cache is not looked at for damage. For one thread of a process.
    public static func callNoDriver() { DriverCache.leaveOutThisThread() }

    /// The cores that this process may use; nil where the system does not say.
    static var cores: Set<Int>? {
        text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
            .map { cores(in: $0.dropFirst("Cpus_allowed_list:".count)) }
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
