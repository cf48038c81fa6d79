import AdaShareDeviceLayer
import AdaShareOperators
import TestSupport
import Testing

/// Root of the suites that use a device: the tests of one process take turns.
@Suite(.serialized, .needsDevice)
struct TrainingTests {}

extension TestDevice {
    /// The kernels of CPUs with registers of 16 floats, which run on any device: they have tiles to choose from.
    private static let tiled = KeptUntilFault {
        try KernelLibrary(context: context(), family: .cpu, vectorWidth: 16)
    }
    static func cpuLibrary() throws -> KernelLibrary { try tiled.get() }

    /// The kernels made for the device.
    static func nativeLibrary() throws -> KernelLibrary { try library(nativeFamily()) }
}
