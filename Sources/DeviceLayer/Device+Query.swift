internal import CAdaShareOpenCL
import Foundation

extension Device {
    /// Lists the usable devices of all platforms, in the drivers' order.
    ///
    /// A device that is unavailable or has no compiler is left out but keeps its index. A platform that fails does
    /// not hide the others.
    ///
    /// - Returns: the devices; none if no driver is installed.
    /// - Throws: `DeviceError` if a query fails and no other platform has a device.
    public static func all() throws(DeviceError) -> [Device] {
        // pocl ends the process over an empty name of its cache folder, which means none.
        if let place = getenv("POCL_CACHE_DIR"), place.pointee == 0 { unsetenv("POCL_CACHE_DIR") }
        _ = DriverCache.refusal
        var platformCount: cl_uint = 0
        let status = clGetPlatformIDs(0, nil, &platformCount)
        if status == DeviceError.platformNotFound || (status == CL_SUCCESS && platformCount == 0) { return [] }
        try check(status, "clGetPlatformIDs")
        var platforms = [cl_platform_id?](repeating: nil, count: Int(platformCount))
        try check(clGetPlatformIDs(platformCount, &platforms, nil), "clGetPlatformIDs")

        var devices: [Device] = []
        var firstFailure: DeviceError?
        for (index, platform) in platforms.enumerated() {
            guard let platform else { continue }
            do throws(DeviceError) {
                devices += try devicesOf(platform, index: index)
            } catch {
                firstFailure = firstFailure ?? error
            }
        }
        if devices.isEmpty, let firstFailure { throw firstFailure }
        return devices
    }

    private static func devicesOf(_ platform: OpaquePointer, index: Int) throws(DeviceError) -> [Device] {
        var count: cl_uint = 0
        let everyType = cl_device_type(CL_DEVICE_TYPE_ALL)
        let status = clGetDeviceIDs(platform, everyType, 0, nil, &count)
        if status == CL_DEVICE_NOT_FOUND || (status == CL_SUCCESS && count == 0) { return [] }
        try check(status, "clGetDeviceIDs")
        var identifiers = [cl_device_id?](repeating: nil, count: Int(count))
        try check(clGetDeviceIDs(platform, everyType, count, &identifiers, nil), "clGetDeviceIDs")

        var devices: [Device] = []
        for (deviceIndex, identifier) in identifiers.enumerated() {
            guard let identifier else { continue }
            let query = DeviceQuery(identifier: identifier)
            guard try query.flag(CL_DEVICE_AVAILABLE), try query.flag(CL_DEVICE_COMPILER_AVAILABLE) else { continue }
            devices.append(
                try Device(
                    DeviceHandle(platform: platform, device: identifier), platformIndex: index,
                    deviceIndex: deviceIndex))
        }
        return devices
    }

    private init(_ handle: DeviceHandle, platformIndex: Int, deviceIndex: Int) throws(DeviceError) {
        let query = DeviceQuery(identifier: handle.device)
        self.handle = handle
        self.platformIndex = platformIndex
        self.deviceIndex = deviceIndex
        platformName = try Self.platformString(handle.platform, CL_PLATFORM_NAME)
        platformVersion = try Self.platformString(handle.platform, CL_PLATFORM_VERSION)
        name = try query.string(CL_DEVICE_NAME)
        vendor = try query.string(CL_DEVICE_VENDOR)
        version = try query.string(CL_DEVICE_VERSION)
        openCLCVersion = try query.string(CL_DEVICE_OPENCL_C_VERSION)
        driverVersion = try query.string(CL_DRIVER_VERSION)
        type = DeviceType(openCL: try query.scalar(CL_DEVICE_TYPE, as: cl_device_type(0)))
        computeUnits = Int(try query.scalar(CL_DEVICE_MAX_COMPUTE_UNITS, as: cl_uint(0)))
        globalMemoryBytes = Int(clamping: try query.scalar(CL_DEVICE_GLOBAL_MEM_SIZE, as: cl_ulong(0)))
        maximumAllocationBytes = Int(clamping: try query.scalar(CL_DEVICE_MAX_MEM_ALLOC_SIZE, as: cl_ulong(0)))
        sharesHostMemory = try query.scalar(CL_DEVICE_HOST_UNIFIED_MEMORY, as: cl_bool(0)) != 0
        localMemoryBytes = Int(clamping: try query.scalar(CL_DEVICE_LOCAL_MEM_SIZE, as: cl_ulong(0)))
        maximumWorkGroupSize = try query.scalar(CL_DEVICE_MAX_WORK_GROUP_SIZE, as: 0)
        // Compilers that vectorise by themselves prefer a width of 1, whatever the registers are.
        floatVectorWidth = Int(
            max(
                try query.scalar(CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, as: cl_uint(0)),
                try query.scalar(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, as: cl_uint(0))))
        // OpenCL reports this one in bits.
        baseAddressAlignmentBytes = max(1, Int(try query.scalar(CL_DEVICE_MEM_BASE_ADDR_ALIGN, as: cl_uint(0))) / 8)
        extensions = try query.string(CL_DEVICE_EXTENSIONS).split(separator: " ").map(String.init)
    }

    private static func platformString(_ platform: OpaquePointer, _ property: Int32) throws(DeviceError) -> String {
        try queryString("clGetPlatformInfo") { size, value, actual in
            clGetPlatformInfo(platform, cl_platform_info(property), size, value, actual)
        }
    }
}

extension DeviceType {
    fileprivate init(openCL bits: cl_device_type) {
        if bits & cl_device_type(CL_DEVICE_TYPE_GPU) != 0 {
            self = .gpu
        } else if bits & cl_device_type(CL_DEVICE_TYPE_CPU) != 0 {
            self = .cpu
        } else if bits & cl_device_type(CL_DEVICE_TYPE_ACCELERATOR) != 0 {
            self = .accelerator
        } else {
            self = .other
        }
    }
}

/// Reads properties of one device.
private struct DeviceQuery {
    let identifier: OpaquePointer

    func string(_ property: Int32) throws(DeviceError) -> String {
        try queryString("clGetDeviceInfo") { size, value, actual in
            clGetDeviceInfo(identifier, cl_device_info(property), size, value, actual)
        }
    }

    func scalar<Value: BitwiseCopyable>(_ property: Int32, as zero: Value) throws(DeviceError) -> Value {
        try queryScalar(zero, "clGetDeviceInfo") { size, value, actual in
            clGetDeviceInfo(identifier, cl_device_info(property), size, value, actual)
        }
    }

    func flag(_ property: Int32) throws(DeviceError) -> Bool {
        try scalar(property, as: cl_bool(0)) != 0
    }
}
