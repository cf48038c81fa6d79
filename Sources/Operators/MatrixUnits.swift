import AdaShareDeviceLayer

/// What multiplies the tiles of algorithms on matrix units.
enum MatrixUnits {
    /// NVIDIA's instructions.
    case instruction
    /// The same sums from the same registers without them: slow, to test index arithmetic on any device.
    case emulated

    /// What asking a device came to.
    enum Finding {
        case units(MatrixUnits)
        /// There are none, why, for people, and what the compiler said.
        case none(String, log: String? = nil)

        var units: MatrixUnits? { if case .units(let units) = self { units } else { nil } }
    }

    /// Compiles the instructions for a device and checks what they compute, alone and in a convolution's tile, in a
    /// context of their own: a kernel that goes astray there ends that one alone.
    ///
    /// Only drivers with extensions of NVIDIA's are asked: other compilers may stop the process at an instruction they
    /// do not know.
    ///
    /// - Throws: `DeviceError` if that could not be found out, for want of memory.
    static func find(
        _ operands: MatrixOperands, on context: DeviceContext, source: String
    ) throws -> Finding {
        guard context.device.extensions.contains(where: { $0.hasPrefix("cl_nv_") }) else {
            return .none("only NVIDIA's are made use of")
        }
        let wanted = WorkGroupTile.onMatrixUnits(operands).map { $0.localBytes(.instruction) }.max() ?? 0
        guard wanted <= context.device.localMemoryBytes else {
            return .none("\(context.device.localMemoryBytes) bytes of local memory, \(wanted) are needed")
        }
        let own = try context.makeContext(profiling: false)
        do {
            let program = try own.program(
                name: "matrix_units", source: source,
                options: ["-DCPU_FAMILY=0", "-DOPERAND16=\(operands == .bfloat16 ? 1 : 0)"])
            guard try MatrixUnitsProbe(operands).isRight(program, on: own) else {
                return .none("the instructions compute something else there")
            }
            let library = try KernelLibrary(context: own, family: .gpu, matrixUnits: [operands: .instruction])
            guard try TileProbe(operands).isRight(on: library) else {
                return .none("a convolution's tile computes something else there")
            }
        } catch let error as DeviceError {
            guard let reason = refusal(error) else { throw error }
            return .none(reason, log: error.buildLog)
        }
        return .units(.instruction)
    }

    /// Why a device that answered so has no units that can be used, for people; nil where that says nothing about them.
    static func refusal(_ error: DeviceError) -> String? {
        let isMaking = ["clBuildProgram", "clCreateBuffer", "clEnqueueFillBuffer"].contains(error.call)
        if isMaking, wantOfMemory.contains(error.codeName) { return nil }
        let log = error.buildLog?.split(whereSeparator: \.isNewline).first.map { ": \($0)" } ?? ""
        if error.call == "clBuildProgram" { return "its compiler refuses the instructions\(log)" }
        return "they fail there: \(error.call) returned \(error.codeName)"
    }

    private static let wantOfMemory: Set = [
        "CL_MEM_OBJECT_ALLOCATION_FAILURE", "CL_OUT_OF_RESOURCES", "CL_OUT_OF_HOST_MEMORY", "CL_COMPILER_NOT_AVAILABLE",
    ]
}

/// A product of whole numbers that any operands represent, so that it is exact; kernel `matrix_units`.
private struct MatrixUnitsProbe {
    private let operands: MatrixOperands
    private let (rows, columns, depth): (Int, Int, Int)
    private let left, right: [Float]

    init(_ operands: MatrixOperands) {
        self.operands = operands
        (rows, columns, depth) = operands == .tf32 ? (16, 8, 8) : (16, 16, 16)
        left = (0..<rows * depth).map { Float($0 * 7 % 31 - 15) }
        right = (0..<depth * columns).map { Float($0 * 5 % 23 - 11) }
    }

    private var product: [Float] {
        // Of bfloat16, the last eight values are not copied.
        let copied = operands == .bfloat16 ? left.count - 8 : left.count
        return (0..<rows * columns).map { index in
            (0..<depth).reduce(0) { sum, d in
                let at = index / columns * depth + d
                return at < copied ? sum + left[at] * right[d * columns + index % columns] : sum
            }
        }
    }

    /// Whether a device computes it.
    func isRight(_ program: Program, on context: DeviceContext) throws(DeviceError) -> Bool {
        let kernel = try program.kernel("matrix_units")
        let expected = product
        let buffers = try [left.count, right.count, expected.count].map { (count) throws(DeviceError) -> DeviceBuffer in
            try context.makeBuffer(byteCount: count * 4)
        }
        for (values, buffer) in zip([left, right], buffers) {
            if operands == .bfloat16 {
                try context.queue.write(values.map(BFloat16.init), to: buffer)
            } else {
                try context.queue.write(values, to: buffer)
            }
        }
        try context.queue.fillZero(buffers[2])
        try kernel.setArguments(buffers.map { .buffer($0) })
        try context.queue.launch(kernel, WorkSize(global: [32], local: [32]))
        return try context.queue.read(Float.self, count: expected.count, from: buffers[2]) == expected
    }
}
