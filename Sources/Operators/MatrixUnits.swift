import DeviceLayer

/// What multiplies the tiles of `ConvolutionArithmetic.tf32`.
enum MatrixUnits {
    /// NVIDIA's instruction.
    case instruction
    /// The same sums from the same registers without it: slow, to test index arithmetic on any device.
    case emulated

    /// Compiles the instruction for a device and checks what it computes; nil where its compiler does not take it, or it does not
    /// add up.
    ///
    /// Only drivers with extensions of NVIDIA's are asked: other compilers may stop the process at an instruction they do not know.
    ///
    /// - Throws: `DeviceError` if that could not be found out.
    init?(of context: DeviceContext, source: String) throws(DeviceError) {
        guard context.device.extensions.contains(where: { $0.hasPrefix("cl_nv_") }),
            WorkGroupTile.onMatrixUnits.allSatisfy({ $0.localBytes(.instruction) <= context.device.localMemoryBytes })
        else { return nil }
        let program: Program
        do {
            program = try context.program(name: "matrix_units", source: source, options: ["-DCPU_FAMILY=0"])
        } catch let error where error.call == "clBuildProgram" && !Self.wantOfMemory.contains(error.codeName) {
            return nil
        }
        guard try Self.sums(of: program, on: context) == Self.product else { return nil }
        self = .instruction
    }

    private static let wantOfMemory = ["CL_OUT_OF_RESOURCES", "CL_OUT_OF_HOST_MEMORY", "CL_COMPILER_NOT_AVAILABLE"]

    /// Operands of 16×8 and 8×8 whole numbers, so that their product is exact.
    private static let left = (0..<128).map { Float($0 * 7 % 31 - 15) }
    private static let right = (0..<64).map { Float($0 * 5 % 23 - 11) }

    private static var product: [Float] {
        (0..<128).map { index in
            (0..<8).reduce(0) { $0 + left[index / 8 * 8 + $1] * right[$1 * 8 + index % 8] }
        }
    }

    private static func sums(of program: Program, on context: DeviceContext) throws(DeviceError) -> [Float] {
        let kernel = try program.kernel("matrix_units")
        let buffers = try [left, right, product].map { (values) throws(DeviceError) -> DeviceBuffer in
            try context.makeBuffer(byteCount: values.count * 4)
        }
        try context.queue.write(left, to: buffers[0])
        try context.queue.write(right, to: buffers[1])
        try context.queue.fillZero(buffers[2])
        try kernel.setArguments(buffers.map { .buffer($0) })
        try context.queue.launch(kernel, WorkSize(global: [32], local: [32]))
        return try context.queue.read(Float.self, count: 128, from: buffers[2])
    }
}
