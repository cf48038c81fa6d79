/// The broad kind of a device, which decides between the CPU and GPU kernel families.
public enum DeviceType: String, Sendable, Codable {
    /// A graphics processor.
    case gpu
    /// The processor itself, for example through pocl.
    case cpu
    /// A device that is neither, made for computing.
    case accelerator
    /// Any other.
    case other
}

/// One OpenCL device of this machine and the properties the engine plans with.
public struct Device: Sendable, Hashable, CustomStringConvertible {
    /// Position of the platform among all platforms, from 0.
    public let platformIndex: Int
    /// Position of the device on its platform, from 0.
    public let deviceIndex: Int
    /// Name of the platform, that is of the driver.
    public let platformName: String
    /// Name of the device.
    public let name: String
    /// Vendor as the driver reports it; not reliable enough to choose kernels by.
    public let vendor: String
    /// Version of OpenCL the device offers.
    public let version: String
    /// Version of OpenCL C the device's compiler accepts.
    public let openCLCVersion: String
    /// Version of the driver; part of the program cache's key.
    public let driverVersion: String
    /// The kind of device.
    public let type: DeviceType
    /// Number of compute units: cores on a CPU, multiprocessors on a GPU.
    public let computeUnits: Int
    /// Memory of the device, in bytes.
    public let globalMemoryBytes: Int
    /// The largest single buffer, in bytes.
    public let maximumAllocationBytes: Int
    /// Whether the device works on memory of the host, which then need not be copied.
    public let sharesHostMemory: Bool
    /// Local memory of one work-group, in bytes.
    public let localMemoryBytes: Int
    /// Most work-items in one work-group.
    public let maximumWorkGroupSize: Int
    /// Floats of the device's registers: of the vector it prefers or, where that is longer, of the one it has.
    public let floatVectorWidth: Int
    /// What the offset of every slice must be a multiple of, in bytes.
    public let baseAddressAlignmentBytes: Int
    /// Names of the extensions the device offers.
    public let extensions: [String]

    /// Version of the platform; part of the program cache's key.
    let platformVersion: String
    /// The OpenCL identifiers.
    let handle: DeviceHandle

    /// The selector that names exactly this device, for example `0:1`.
    public var selector: String { "\(platformIndex):\(deviceIndex)" }

    /// Selector, name, type and size in one line.
    public var description: String {
        "\(selector) \(name) (\(type.rawValue), \(computeUnits) compute units, "
            + "\(globalMemoryBytes >> 20) MiB, \(platformName))"
    }
}

/// Identifiers of a root device and its platform, which live as long as the process and are never released.
struct DeviceHandle: @unchecked Sendable, Hashable {
    let platform: OpaquePointer
    let device: OpaquePointer
}
