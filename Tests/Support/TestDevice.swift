import AdaShareDeviceLayer
import AdaShareOperators
import Foundation
import Testing

/// The device under test, with what is compiled for it: every program once in a process, whichever suite asks first.
///
/// `ADASHARE_DEVICE` chooses the device (`gpu`, `cpu`, `0:1`, part of a name), as it does for the program.
public enum TestDevice {
    public static let isPresent = (try? Device.all().isEmpty) == false
    public static let absence: Comment = "no OpenCL device: apt-get install pocl-opencl-icd"

    private static let selected = Result<Device, any Error> {
        try Device.select(ProcessInfo.processInfo.environment["ADASHARE_DEVICE"])
    }
    private static let shared = KeptUntilFault {
        try DeviceContext(
            device: try device(), cacheDirectory: nil,
            finishesEachLaunch: ProcessInfo.processInfo.environment["ADASHARE_FINISH_LAUNCHES"] == "1")
    }
    private static let libraries = KernelFamily.allCases.map { family in
        KeptUntilFault { try KernelLibrary(context: try context(), family: family) }
    }

    /// The device tests run on.
    public static func device() throws -> Device { try selected.get() }

    /// The context that suites share where they need no cache, profile or queue of their own.
    public static func context() throws -> DeviceContext { try shared.get() }

    /// The kernels of one family as the program compiles them for this device.
    public static func library(_ family: KernelFamily) throws -> KernelLibrary {
        try #require(zip(KernelFamily.allCases, libraries).first { $0.0 == family }).1.get()
    }

    /// The family made for the device.
    public static func nativeFamily() throws -> KernelFamily { KernelFamily(for: try device()) }

    /// Whether it is Oclgrind, which is far too slow for large cases.
    public static let isSimulated = (try? device())?.platformName == "Oclgrind"

    /// Both families on CPUs and on Oclgrind, which calls itself a GPU; real GPUs have no use for the CPU family.
    public static let families: [KernelFamily] = {
        guard let device = try? device() else { return [] }
        return device.type == .cpu || device.platformName == "Oclgrind" ? KernelFamily.allCases : [.gpu]
    }()
}

/// What the tests of a process share, made at its first use, and again after a fault of the device: else one bad kernel
/// would fail every test that comes after it.
package final class KeptUntilFault<Value>: @unchecked Sendable {
    private let make: () throws -> Value
    private let faults: () -> Int
    private let lock = NSLock()
    private var kept: (result: Result<Value, any Error>, faults: Int)?

    /// - Parameters:
    ///   - faults: how many there have been.
    ///   - make: makes it.
    package init(
        faults: @escaping () -> Int = { DeviceError.faultCount }, _ make: @escaping () throws -> Value
    ) {
        (self.faults, self.make) = (faults, make)
    }

    /// What there is.
    ///
    /// - Throws: what making it threw.
    package func get() throws -> Value {
        lock.lock()
        defer { lock.unlock() }
        let faults = faults()
        if let kept, kept.faults == faults { return try kept.result.get() }
        let result = Result { try make() }
        kept = (result, faults)
        return try result.get()
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips, visibly, on a machine without an OpenCL device.
    public static var needsDevice: Self { .enabled(if: TestDevice.isPresent, TestDevice.absence) }
}
