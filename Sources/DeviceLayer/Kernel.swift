internal import CAdaShareOpenCL

/// One argument of a kernel, in the order of the kernel's parameters.
public enum KernelArgument: Sendable {
    /// A `__global` pointer.
    case buffer(DeviceBuffer)
    /// A `__global` pointer to memory that all launches share, constants of the library; not counted as moved.
    case shared(DeviceBuffer)
    /// A `__global` pointer to memory that `lend` gives: the operand at that position.
    case operand(Int)
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
    private var operands: [Operand] = []

    /// An argument that is lent.
    private struct Operand {
        let argument, position: Int
        /// Number of the buffer it is set to; 0 before the first.
        var buffer = 0
    }

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
        operands = []
        argumentByteCount = 0
        for (index, argument) in arguments.enumerated() {
            switch argument {
            case .buffer(let buffer):
                buffers[index] = buffer
                argumentByteCount += buffer.byteCount
            case .shared(let buffer): buffers[index] = buffer
            case .operand(let position): operands.append(Operand(argument: index, position: position))
            case .int, .int4, .uint, .float, .local: break
            }
            try set(index, argument)
        }
    }

    /// Sets some of the numbers among the arguments.
    ///
    /// - Parameter numbers: arguments by position.
    /// - Throws: `DeviceError` if a type's size is not what the kernel expects.
    public func set(_ numbers: [(index: Int, value: KernelArgument)]) throws(DeviceError) {
        for (index, value) in numbers { try set(index, value) }
    }

    private func set(_ index: Int, _ argument: KernelArgument) throws(DeviceError) {
        let status: cl_int =
            switch argument {
            case .buffer(let buffer), .shared(let buffer): set(index, Optional(buffer.handle))
            case .operand: CL_SUCCESS
            case .int(let value): set(index, value)
            case .int4(let value): set(index, value)
            case .uint(let value): set(index, value)
            case .float(let value): set(index, value)
            case .local(let byteCount): clSetKernelArg(handle, cl_uint(index), byteCount, nil)
            }
        guard status == CL_SUCCESS else { throw refusal(status, argument.summary, at: index) }
    }

    /// Exchanges the memory of the operands. Whoever launches the kernel keeps it alive: plans exchange thousands of
    /// buffers, and hold each once.
    ///
    /// - Parameter memory: of each operand.
    /// - Throws: `DeviceError` if such an argument is not a buffer.
    public func lend(_ memory: [LentBuffer]) throws(DeviceError) {
        var byteCount = 0
        // Out of the object, which would count every access to it.
        var operands = self.operands
        self.operands = []
        defer { self.operands = operands }
        for index in operands.indices {
            let operand = operands[index]
            let buffer = memory[operand.position]
            byteCount += buffer.byteCount
            // The driver takes longer to be told the same again.
            guard buffer.number != operand.buffer else { continue }
            operands[index].buffer = buffer.number
            let status = set(operand.argument, Optional(buffer.handle))
            guard status == CL_SUCCESS else {
                operands[index].buffer = 0
                throw refusal(status, "a buffer of \(buffer.byteCount) bytes", at: operand.argument)
            }
        }
        argumentByteCount = byteCount
    }

    private func refusal(_ status: cl_int, _ given: String, at index: Int) -> DeviceError {
        DeviceFaults.all.note(status, "clSetKernelArg")
        return DeviceError(
            call: "clSetKernelArg", code: status, kernel: name, device: program.device.name,
            detail: "argument \(index) of program '\(program.name)' was given \(given)")
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
        case .operand(let position): "operand \(position)"
        case .int(let value): "int \(value)"
        case .int4(let value): "int4 \(value)"
        case .uint(let value): "uint \(value)"
        case .float(let value): "float \(value)"
        case .local(let byteCount): "\(byteCount) bytes of local memory"
        }
    }
}
