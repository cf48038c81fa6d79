import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport
import Foundation

/// A try of a device: whether kernels compile, compute what they should, and how fast.
public struct DeviceProbe: Codable, Sendable, Equatable {
    /// Seconds until the first kernels had run, those of making them included.
    public var seconds: Double?
    /// GFLOP/s of multiply-adds in registers.
    public var gflops: Double?
    /// GB/s of memory, read and written together.
    public var gbPerSecond: Double?
    /// What is usual; nil for a device that nothing is known of.
    public var usual: UsualSpeed?
    /// What went wrong; nil where nothing did.
    public var failure: String?

    /// Of a device that could not be tried.
    public init(failure: String) { self.failure = failure }

    /// Tries a device.
    ///
    /// - Parameters:
    ///   - context: the device.
    ///   - family: kernel family; nil picks the device's.
    public init(_ context: DeviceContext, family: KernelFamily? = nil) {
        let start = ContinuousClock.now
        usual = UsualSpeed(context.device, HostLimits())
        do {
            let speed = DeviceSpeed(library: try KernelLibrary(context: context, family: family), repeats: 3)
            let copy = try speed.copy()
            seconds = (ContinuousClock.now - start) / .seconds(1)
            gbPerSecond = copy.gbPerSecond
            if !copy.isRight { failure = "a kernel has computed something wrong: 1 · 2 is not 2 everywhere" }
            gflops = try speed.peak()
        } catch {
            failure = "\(error)"
        }
    }

    /// What is slower than it should be, a clause each.
    var slownesses: [String] {
        guard let usual else { return [] }
        func clause(_ measured: Double?, _ usual: Double, _ unit: String) -> String? {
            guard let measured, measured < usual * UsualSpeed.least else { return nil }
            return "\(readable(measured, digits: 2)) \(unit), usual are about \(readable(usual, digits: 2))"
        }
        return [clause(gflops, usual.gflops, "GFLOP/s"), clause(gbPerSecond, usual.gbPerSecond, "GB/s")]
            .compactMap { $0 }
    }
}
