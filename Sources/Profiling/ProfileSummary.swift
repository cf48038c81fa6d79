import AdaShareSupport
import Foundation

/// What kernels took, `profile.json`.
public struct ProfileSummary: Codable, Sendable, Equatable {
    /// Sums over the launches of one kernel.
    public struct Kernel: Codable, Sendable, Equatable {
        /// As the program calls it.
        public let name: String
        /// How often it was launched.
        public let launches: Int
        /// Time on the device.
        public let milliseconds: Double
        /// 10⁹ floating-point operations per second, two for each multiply-accumulate of a convolution; nil for others.
        public let gigaflops: Double?
        /// 10⁹ bytes of the launches' buffers per second; nil where nothing was counted.
        public let gigabytesPerSecond: Double?
    }

    /// Launches of all kernels.
    public let launches: Int
    /// Time of all kernels on the device.
    public let milliseconds: Double
    /// The one that took longest first.
    public let kernels: [Kernel]
}

extension ProfileReport {
    /// What the kernels took.
    public var summary: ProfileSummary {
        let all = total
        let order = kernels.sorted {
            ($1.value.nanoseconds, $0.key) < ($0.value.nanoseconds, $1.key)
        }
        return ProfileSummary(
            launches: all.launches, milliseconds: Double(all.nanoseconds) / 1e6,
            kernels: order.map { name, total in
                ProfileSummary.Kernel(
                    name: name, launches: total.launches, milliseconds: Double(total.nanoseconds) / 1e6,
                    gigaflops: total.gigaflops, gigabytesPerSecond: total.gigabytes)
            })
    }
}
