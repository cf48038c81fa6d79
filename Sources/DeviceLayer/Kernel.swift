internal import CAdaShareOpenCL

/// One argument of a kernel, in the order of the kernel's parameters.
public enum KernelArgument: Sendable {
    /// A `__global` pointer.
    case buffer(DeviceBuffer)
    /// A `__global` pointer to memory that all launches share, constants of the library; not counted as moved.
    case shared(DeviceBuffer)
    /// An `int`.
    case int(Int32)
    /// An `int4`.
    case int4(SIMD4<Int32>)
    /// A `uint`.
    case uint(UInt32)
    /// A `float`.
    case float(Float)
    /// A `__local` pointer to that many bytes per work-group.
    case local(byteCount: Int)
}

/// A kernel together with its arguments: one launch site of a plan.
///
/// OpenCL calls on one kernel object are not thread-safe, so one `Kernel` belongs to one thread at a time: setting its
/// arguments or its label while another thread launches it is a race. Different kernels are independent of each other,
/// even if they come from the same program.
public final class Kernel: LaunchSite, @unchecked Sendable {
    /// Name of the function in the source.
    public let name: String
    /// What a profile calls this launch site; the kernel's name unless changed.
    public var label: String
    /// Multiply-accumulates of one launch, for profiles; 0 unless set.
    public var multiplyAccumulates = 0
    /// Bytes of the buffers among the arguments, for profiles: each argument once, so a buffer read and written in
    /// place under two arguments counts twice, and a shared one not. What one launch moves if every byte is touched
    /// once.
    public private(set) var argumentByteCount = 0

    let handle: OpaquePointer
    private let program: Program
    private let parameterCount: Int
    /// By argument; nil for what is not a buffer.
    private var buffers: [DeviceBuffer?] = []

    init(program: Program, name: String) throws(DeviceError) {
        let device = program.device
        let handle = try create(
            "clCreateKernel", device: device, kernel: name, detail: program.explainMissing(kernel: name)
        ) {
            clCreateKernel(program.handle, name, $0)
        }
        do throws(DeviceError) {
            let count = try queryScalar(cl_uint(0), "clGetKernelInfo", device: device, kernel: name) {
                clGetKernelInfo(handle, cl_kernel_info(CL_KERNEL_NUM_ARGS), $0, $1, $2)
            }
            parameterCount = Int(count)
        } catch {
            checkRelease(clReleaseKernel(handle), "clReleaseKernel")
            throw error
        }
        self.handle = handle
        self.program = program
        self.name = name
        label = name
    }

    deinit {
        checkRelease(clReleaseKernel(handle), "clReleaseKernel")
    }

    /// Bytes of memory that a work-item has for what registers do not hold, as the driver says: sums there make
    /// a kernel ten times slower and more. Drivers for CPUs count otherwise.
    ///
    /// - Throws: `DeviceError` if the query fails.
    public var privateByteCount: Int {
        get throws(DeviceError) {
            let bytes = try queryScalar(
                cl_ulong(0), "clGetKernelWorkGroupInfo", device: program.device, kernel: name
            ) {
                clGetKernelWorkGroupInfo(
                    handle, program.device.handle.device, cl_kernel_work_group_info(CL_KERNEL_PRIVATE_MEM_SIZE), $0, $1,
                    $2)
            }
            return Int(clamping: bytes)
        }
    }

    /// Sets all arguments; they stay for every later launch, and their buffers stay alive with this kernel.
    ///
    /// - Parameter arguments: one for each parameter, in order.
    /// - Throws: `DeviceError` if their number or a type's size is not what the kernel expects.
    public func setArguments(_ arguments: [KernelArgument]) throws(DeviceError) {
        guard arguments.count == parameterCount else {
            throw DeviceError(
                call: "clSetKernelArg", code: CL_INVALID_KERNEL_ARGS, kernel: name, device: program.device.name,
                detail: "\(arguments.count) arguments for a kernel of program '\(program.name)' "
                    + "that has \(parameterCount) parameters")
        }
        buffers = Array(repeating: nil, count: parameterCount)
        argumentByteCount = 0
        for (index, argument) in arguments.enumerated() {
            let status: cl_int
            switch argument {
            case .buffer(let buffer):
                buffers[index] = buffer
                argumentByteCount += buffer.byteCount
                status = set(index, Optional(buffer.handle))
            case .shared(let buffer):
                buffers[index] = buffer
                status = set(index, Optional(buffer.handle))
            case .int(let value): status = set(index, value)
            case .int4(let value): status = set(index, value)
            case .uint(let value): status = set(index, value)
            case .float(let value): status = set(index, value)
            case .local(let byteCount): status = clSetKernelArg(handle, cl_uint(index), byteCount, nil)
            }
            try check(status, of: argument, at: index)
        }
    }

    /// Exchanges buffers among arguments that are set to a `shared` one. Whoever launches the kernel keeps them alive:
    /// plans exchange thousands, and hold each once.
    ///
    /// - Parameters:
    ///   - indices: which arguments.
    ///   - buffer: the new one of each.
    /// - Throws: `DeviceError` if such an argument is not a buffer.
    public func lendBuffers(at indices: [Int], _ buffer: (Int) -> DeviceBuffer) throws(DeviceError) {
        var byteCount = 0
        for (position, index) in indices.enumerated() {
            let buffer = buffer(position)
            byteCount += buffer.byteCount
            try check(set(index, Optional(buffer.handle)), of: .buffer(buffer), at: index)
        }
        argumentByteCount = byteCount
    }

    private func check(
        _ status: cl_int, of argument: @autoclosure () -> KernelArgument, at index: Int
    ) throws(DeviceError) {
        guard status != CL_SUCCESS else { return }
        let argument = argument()
        throw DeviceError(
            call: "clSetKernelArg", code: status, kernel: name, device: program.device.name,
            detail: "argument \(index) of program '\(program.name)' was given \(argument.summary)")
    }

    private func set<Value: BitwiseCopyable>(_ index: Int, _ value: Value) -> cl_int {
        withUnsafeBytes(of: value) { clSetKernelArg(handle, cl_uint(index), $0.count, $0.baseAddress) }
    }
}

extension KernelArgument {
    /// The argument in words, for errors.
    fileprivate var summary: String {
        switch self {
        case .buffer(let buffer), .shared(let buffer): "a buffer of \(buffer.byteCount) bytes"
        case .int(let value): "int \(value)"
        case .int4(let value): "int4 \(value)"
        case .uint(let value): "uint \(value)"
        case .float(let value): "float \(value)"
        case .local(let byteCount): "\(byteCount) bytes of local memory"
        }
    }
}
