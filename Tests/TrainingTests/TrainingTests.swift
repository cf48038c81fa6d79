import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

/// Root of the suites that use a device: the tests of one process take turns.
@Suite(.serialized, .needsDevice)
struct TrainingTests {}

extension TestDevice {
    /// The kernels of CPUs, which run on any device: what algorithms there are is a matter of the family.
    static func cpuLibrary() throws -> KernelLibrary {
        try families.contains(.cpu) ? library(.cpu) : KernelLibrary(context: context(), family: .cpu)
    }

    /// The kernels made for the device.
    static func nativeLibrary() throws -> KernelLibrary { try library(nativeFamily()) }
}
