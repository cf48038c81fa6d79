import AdaShareDeviceLayer
import AdaShareGraph
import AdaShareTuning

/// What the kernels of a reference run took, by where in the network they belong.
///
/// The ideal time of another plan is the sum over its kernels, each at the time the reference run took for it.
struct KernelTimes {
    /// One kernel of one place in the network. The same place on m inputs is m kernels with one key.
    struct Key: Hashable {
        let label, kernel: String

        init(label: String, kernel: String) {
            // A profile's label also says which tasks the launch serves, and that is what differs between plans.
            self.label = label.firstRange(of: " @").map { String(label[..<$0.lowerBound]) } ?? label
            self.kernel = kernel
        }
    }

    private var sums: [Key: (nanoseconds: Double, count: Double)] = [:]

    init(_ entries: [ProfileEntry]) {
        for entry in entries {
            let key = Key(label: entry.label, kernel: entry.kernelName)
            let old = sums[key, default: (0, 0)]
            sums[key] = (old.nanoseconds + Double(entry.durationNanoseconds), old.count + 1)
        }
    }

    /// Mean over the launches of that kernel; nil if the run had none.
    func milliseconds(_ key: Key) -> Double? { sums[key].map { $0.nanoseconds / $0.count / 1e6 } }

    /// Milliseconds of kernels at this run's times, a kernel needed m times counting m times.
    ///
    /// - Parameter fallback: times of kernels this run did not have; those that neither had are not counted.
    func ideal(_ keys: [Key], fallback: KernelTimes? = nil) -> Double {
        keys.reduce(0) { $0 + (milliseconds($1) ?? fallback?.milliseconds($1) ?? 0) }
    }
}

extension [ProfileEntry] {
    /// Of the time from the first launch's start to the last one's end, what no launch ran in; launches may overlap.
    var idleShare: Double {
        let sorted = filter { $0.endNanoseconds > $0.startNanoseconds }.sorted {
            $0.startNanoseconds < $1.startNanoseconds
        }
        guard let first = sorted.first else { return 0 }
        var (idle, end) = (UInt64(0), first.startNanoseconds)
        for one in sorted {
            if one.startNanoseconds > end { idle += one.startNanoseconds - end }
            end = Swift.max(end, one.endNanoseconds)
        }
        return Double(idle) / Double(end - first.startNanoseconds)
    }
}

extension Plan {
    /// The keys of the launches of one step.
    var kernelKeys: [KernelTimes.Key] {
        get throws { try launches.map { KernelTimes.Key(label: $0.site.label, kernel: $0.site.name) } }
    }
}

/// Median of some numbers.
///
/// - Precondition: there is one.
package func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
