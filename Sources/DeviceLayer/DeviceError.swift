/// A failed OpenCL call, or a device request that nothing on this machine satisfies.
public struct DeviceError: Error, CustomStringConvertible, Sendable {
    /// The function that failed, for example `clBuildProgram`.
    public let call: String
    /// The OpenCL status, zero or negative.
    public let code: Int32
    /// The kernel concerned, if there is one.
    public let kernel: String?
    /// The name of the device concerned, if there is one.
    public let device: String?
    /// What the device's compiler said, if a program was being built.
    public let buildLog: String?
    /// What was found, what was expected and what to do, in words.
    public let detail: String?

    /// Makes an error; everything that is not known stays `nil`.
    public init(
        call: String, code: Int32, kernel: String? = nil, device: String? = nil, buildLog: String? = nil,
        detail: String? = nil
    ) {
        self.call = call
        self.code = code
        self.kernel = kernel
        self.device = device
        self.buildLog = buildLog
        self.detail = detail
    }

    /// Work that `DeviceContext.isStopped` has ended: nothing is wrong with the device.
    public static let stopped = DeviceError(call: "stop", code: 0, detail: "stopped before the kernels were compiled")
    /// Whether it is `stopped`.
    public var isStop: Bool { call == Self.stopped.call }

    /// Whether the device had not the memory that was asked for; it goes on with less.
    public var isOutOfMemory: Bool {
        // Allocation failures of the device and its host, and a buffer of a size that the device never gives.
        [-4, -6, -61].contains(code)
    }

    /// The name the OpenCL headers give to `code`.
    public var codeName: String {
        Self.codeNames[code] ?? "unknown OpenCL status"
    }

    /// One readable message; only a build log adds further lines.
    public var description: String {
        var message = detail ?? ""
        // A request refused before any OpenCL call was made is explained by its detail alone.
        if call.lowercased().hasPrefix("cl") || detail == nil {
            var facts = "\(call) returned \(codeName) (\(code))"
            if let kernel { facts += ", kernel \(kernel)" }
            if let device { facts += ", device \(device)" }
            message = message.isEmpty ? facts : "\(message) [\(facts)]"
        }
        if let buildLog, !buildLog.isEmpty { message += "\n\(buildLog)" }
        return message
    }

    /// What an installable client driver loader answers when it knows no platform at all.
    static let platformNotFound: Int32 = -1001

    private static let codeNames: [Int32: String] = [
        0: "CL_SUCCESS", -1: "CL_DEVICE_NOT_FOUND", -2: "CL_DEVICE_NOT_AVAILABLE", -3: "CL_COMPILER_NOT_AVAILABLE",
        -4: "CL_MEM_OBJECT_ALLOCATION_FAILURE", -5: "CL_OUT_OF_RESOURCES", -6: "CL_OUT_OF_HOST_MEMORY",
        -7: "CL_PROFILING_INFO_NOT_AVAILABLE", -8: "CL_MEM_COPY_OVERLAP", -9: "CL_IMAGE_FORMAT_MISMATCH",
        -10: "CL_IMAGE_FORMAT_NOT_SUPPORTED", -11: "CL_BUILD_PROGRAM_FAILURE", -12: "CL_MAP_FAILURE",
        -13: "CL_MISALIGNED_SUB_BUFFER_OFFSET", -14: "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
        -15: "CL_COMPILE_PROGRAM_FAILURE", -16: "CL_LINKER_NOT_AVAILABLE", -17: "CL_LINK_PROGRAM_FAILURE",
        -18: "CL_DEVICE_PARTITION_FAILED", -19: "CL_KERNEL_ARG_INFO_NOT_AVAILABLE", -30: "CL_INVALID_VALUE",
        -31: "CL_INVALID_DEVICE_TYPE", -32: "CL_INVALID_PLATFORM", -33: "CL_INVALID_DEVICE",
        -34: "CL_INVALID_CONTEXT", -35: "CL_INVALID_QUEUE_PROPERTIES", -36: "CL_INVALID_COMMAND_QUEUE",
        -37: "CL_INVALID_HOST_PTR", -38: "CL_INVALID_MEM_OBJECT", -39: "CL_INVALID_IMAGE_FORMAT_DESCRIPTOR",
        -40: "CL_INVALID_IMAGE_SIZE", -41: "CL_INVALID_SAMPLER", -42: "CL_INVALID_BINARY",
        -43: "CL_INVALID_BUILD_OPTIONS", -44: "CL_INVALID_PROGRAM", -45: "CL_INVALID_PROGRAM_EXECUTABLE",
        -46: "CL_INVALID_KERNEL_NAME", -47: "CL_INVALID_KERNEL_DEFINITION", -48: "CL_INVALID_KERNEL",
        -49: "CL_INVALID_ARG_INDEX", -50: "CL_INVALID_ARG_VALUE", -51: "CL_INVALID_ARG_SIZE",
        -52: "CL_INVALID_KERNEL_ARGS", -53: "CL_INVALID_WORK_DIMENSION", -54: "CL_INVALID_WORK_GROUP_SIZE",
        -55: "CL_INVALID_WORK_ITEM_SIZE", -56: "CL_INVALID_GLOBAL_OFFSET", -57: "CL_INVALID_EVENT_WAIT_LIST",
        -58: "CL_INVALID_EVENT", -59: "CL_INVALID_OPERATION", -60: "CL_INVALID_GL_OBJECT",
        -61: "CL_INVALID_BUFFER_SIZE", -62: "CL_INVALID_MIP_LEVEL", -63: "CL_INVALID_GLOBAL_WORK_SIZE",
        -64: "CL_INVALID_PROPERTY", -65: "CL_INVALID_IMAGE_DESCRIPTOR", -66: "CL_INVALID_COMPILER_OPTIONS",
        -67: "CL_INVALID_LINKER_OPTIONS", -68: "CL_INVALID_DEVICE_PARTITION_COUNT",
        -1001: "CL_PLATFORM_NOT_FOUND_KHR", illegalAccess: "illegal memory access (NVIDIA)",
    ]
}
