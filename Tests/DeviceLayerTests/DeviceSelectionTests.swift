import TestSupport
import Testing

@testable import AdaShareDeviceLayer

@Suite struct DeviceSelectionTests {
    private let cpu = Self.make(0, 0, "Host Processor", .cpu, units: 64)
    private let small = Self.make(1, 0, "Ray 10", .gpu, units: 16)
    private let large = Self.make(1, 1, "Ray 90 XL", .gpu, units: 100)
    private let twin = Self.make(1, 2, "Ray 90 XL", .gpu, units: 100)
    private var all: [Device] { [cpu, small, large, twin] }

    @Test(arguments: [nil, "", "  "]) func defaultIsTheLargestGPU(selector: String?) throws {
        #expect(try Device.select(selector, from: all) == large)
    }

    @Test func defaultWithoutGPUIsTheCPU() throws {
        let accelerator = Self.make(2, 0, "Board", .accelerator, units: 500)
        #expect(try Device.select(nil, from: [accelerator, cpu]) == cpu)
        #expect(try Device.select(nil, from: [accelerator]) == accelerator)
    }

    @Test func selectorsByTypeIndexAndName() throws {
        #expect(try Device.select("gpu", from: all) == large)
        #expect(try Device.select("CPU", from: all) == cpu)
        #expect(try Device.select("1:0", from: all) == small)
        #expect(try Device.select("1:2", from: all) == twin)
        #expect(try Device.select("hOST", from: all) == cpu)
        #expect(try Device.select("10", from: all) == small)
    }

    @Test func identicalDevicesAreInterchangeableAndOthersAreNot() throws {
        #expect(try Device.select("90 xl", from: all) == large)
        let error = try TestDevice.error { _ = try Device.select("ray", from: all) }
        #expect(error.description.contains("several"))
        #expect(error.description.contains("1:0 Ray 10") && error.description.contains("1:2 Ray 90 XL"))
        #expect(!error.description.contains("Host Processor"))
    }

    /// A name that another device's name begins with, and what only the platform is called.
    @Test func exactNamesAndPlatformsCount() throws {
        let short = Self.make(3, 0, "Host", .cpu, units: 1)
        #expect(try Device.select("host", from: [cpu, short]) == short)
        #expect(try Device.select("platform 0", from: all) == cpu)
        #expect(throws: DeviceError.self) { try Device.select("platform 1", from: all) }
    }

    @Test func olderVersionsAreRefusedAndNotTaken() throws {
        let old = Self.make(4, 0, "Old", .gpu, units: 1000, version: "OpenCL 1.1 Mesa 22.3.6")
        #expect(try Device.select(nil, from: [old, cpu]) == cpu)
        #expect(try Device.select("gpu", from: [old] + all) == large)
        for selector in ["old", "4:0", "gpu"] {
            let error = try TestDevice.error { _ = try Device.select(selector, from: [old, cpu]) }
            #expect(error.description.contains("Old") && !error.description.contains("\n"))
            #expect(error.description.contains("OpenCL 1.1 Mesa 22.3.6, expected OpenCL 1.2"))
        }
        let newer = Self.make(5, 0, "Old and new", .cpu, units: 1)
        #expect(try Device.select("vendor", from: [old, newer]) == newer, "the one that can be meant")
        for version in ["OpenCL 1.2", "OpenCL 3.0 PoCL", "OpenCL 10.0"] {
            #expect(Self.make(0, 0, "New", .cpu, units: 1, version: version).whyUnusable == nil)
        }
    }

    @Test(arguments: ["3:0", "nothing like it"]) func noMatchListsWhatThereIs(selector: String) throws {
        let error = try TestDevice.error { _ = try Device.select(selector, from: all) }
        #expect(error.description.contains(selector))
        for device in all { #expect(error.description.contains(device.description)) }
    }

    @Test func missingTypeListsWhatThereIs() throws {
        let error = try TestDevice.error { _ = try Device.select("gpu", from: [cpu]) }
        #expect(error.description.contains("gpu") && error.description.contains(cpu.description))
    }

    @Test func noDeviceNamesThePackage() throws {
        let error = try TestDevice.error { _ = try Device.select(nil, from: []) }
        #expect(error.description.hasPrefix("no OpenCL device on this machine: "))
        // Words, no codes; the loader's variables, OCL_ICD_…, are words.
        #expect(!error.description.contains("\n"))
        #expect(!error.description.split(separator: " ").contains { $0.hasPrefix("CL_") })
    }

    @Test func workSizeKeepsItsShape() {
        #expect(WorkSize(global: [8, 6], local: [4, 3]) != WorkSize(global: [8, 6]))
        #expect(WorkSize(global: [8, 6], local: [4, 3]).local == [4, 3])
    }

    @Test func errorsCarryTheirContextInOneLine() {
        let error = DeviceError(call: "clFoo", code: -54, kernel: "k", device: "d", detail: "too large")
        #expect(error.codeName == "CL_INVALID_WORK_GROUP_SIZE")
        #expect(
            error.description == "too large [clFoo returned CL_INVALID_WORK_GROUP_SIZE (-54), kernel k, device d]")
        #expect(DeviceError(call: "clFoo", code: -7777).description == "clFoo returned unknown OpenCL status (-7777)")
        #expect(DeviceError(call: "clFoo", code: -11, buildLog: "line").description.hasSuffix("\nline"))
    }

    private static func make(
        _ platform: Int, _ index: Int, _ name: String, _ type: DeviceType, units: Int, version: String = "OpenCL 1.2"
    ) -> Device {
        let handle = OpaquePointer(bitPattern: 16 + 256 * platform + index)!
        return Device(
            platformIndex: platform, deviceIndex: index, platformName: "platform \(platform)", name: name,
            vendor: "vendor", version: version, openCLCVersion: "OpenCL C 1.2", driverVersion: "1", type: type,
            computeUnits: units, globalMemoryBytes: 1 << 30, maximumAllocationBytes: 1 << 28,
            sharesHostMemory: false, localMemoryBytes: 1 << 15, maximumWorkGroupSize: 256, floatVectorWidth: 1,
            baseAddressAlignmentBytes: 128, extensions: [], platformVersion: "OpenCL 1.2",
            handle: DeviceHandle(platform: handle, device: handle))
    }
}

@Suite struct HostThreadsTests {
    @Test func listsOfCoresAreRead() {
        #expect(HostThreads.cores(in: "0-3,8, 10-11\n") == [0, 1, 2, 3, 8, 10, 11])
        #expect(HostThreads.cores(in: "\t0\n") == [0])
        #expect(HostThreads.cores(in: "").isEmpty && HostThreads.cores(in: "x-y").isEmpty)
    }

    /// Processes that compile kernels would take themselves for some of several.
    @Test func launchersAreForgotten() {
        let told = ["OMPI_COMM_WORLD_SIZE": "2", "PMI_RANK": "0", "PMIX_RANK": "0", "SLURM_PROCID": "1"]
        let own = ["PATH": "/bin", "POCL_CACHE_DIR": "/cache"]
        #expect(HostThreads.withoutLauncher(own.merging(told) { $1 }) == own)
    }
}
