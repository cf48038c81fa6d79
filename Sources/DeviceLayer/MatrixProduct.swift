internal import CAdaShareOpenCL
import Foundation

/// A product C = A B of row-major matrices of floats, computed by the CLBlast library.
public struct MatrixProduct: Sendable, Hashable {
    /// Rows of C, columns of C, and what is summed over.
    public let rows, columns, depth: Int
    /// Whether A is stored as depth × rows, and B as columns × depth.
    public let transposesLeft, transposesRight: Bool
    /// Floats from row to row of A, B and C as they are stored.
    public let leftPitch, rightPitch, resultPitch: Int
    /// Of the library's kernel; all products of a device should have the same.
    public var tile = MatrixProductTile.initial

    /// Creates a product of matrices as they are stored; see the properties.
    public init(
        rows: Int, columns: Int, depth: Int, transposesLeft: Bool = false, transposesRight: Bool = false,
        leftPitch: Int, rightPitch: Int, resultPitch: Int
    ) {
        (self.rows, self.columns, self.depth) = (rows, columns, depth)
        (self.transposesLeft, self.transposesRight) = (transposesLeft, transposesRight)
        (self.leftPitch, self.rightPitch, self.resultPitch) = (leftPitch, rightPitch, resultPitch)
    }

    /// Bytes that the library's copies of the matrices take at most: each padded to whole tiles, of up to 128 × 128.
    public var scratchByteCount: Int {
        let (m, n, k) = (tiled(rows), tiled(columns), tiled(depth))
        return 4 * (m * k + k * n + m * n)
    }

    private func tiled(_ extent: Int) -> Int { (extent + 127) / 128 * 128 }

    /// Whether the library is installed; it is looked for once.
    public static var isAvailable: Bool { CLBlast.interface != nil }
    /// Name of the library's file, which tells its version; nil where it is not installed.
    public static var library: String? { CLBlast.file }
}

/// A product together with its matrices: one launch site of a plan, as a `Kernel` is.
public final class MatrixProductSite: LaunchSite, @unchecked Sendable {
    /// What profiles call the library's kernels.
    public static let name = "clblast_sgemm"
    public var name: String { Self.name }
    /// What is multiplied.
    public let product: MatrixProduct
    public var label = MatrixProductSite.name
    public let multiplyAccumulates: Int
    /// Positions of A, B, C, and of `MatrixProduct.scratchByteCount` bytes for copies of them, in what is lent.
    private let operands: [Int]
    private var buffers: [LentBuffer] = []
    public var argumentByteCount: Int { buffers.prefix(3).reduce(0) { $0 + $1.byteCount } }

    /// Describes the product; it is launched when its operands have been lent.
    ///
    /// - Parameters:
    ///   - product: what is multiplied.
    ///   - operands: which of the operands are A, B, C and memory for copies of them.
    ///   - multiplyAccumulates: for profiles.
    public init(_ product: MatrixProduct, operands: [Int], multiplyAccumulates: Int) {
        precondition(operands.count == 4)
        (self.product, self.operands, self.multiplyAccumulates) = (product, operands, multiplyAccumulates)
    }

    public func lend(_ memory: [LentBuffer]) throws(DeviceError) { buffers = operands.map { memory[$0] } }

    /// Bytes that the library takes for copies, once it has been asked.
    private var scratchBytes: Int?

    /// Enqueues the library's kernels.
    ///
    /// - Parameter event: receives the last one's event, unless nil.
    /// - Returns: an OpenCL status, or one of the library's own.
    /// - Throws: `DeviceError` if the library refuses the tile, or wants more memory for copies than it allows for.
    func enqueue(
        on queue: OpaquePointer, event: UnsafeMutablePointer<cl_event?>?
    ) throws(DeviceError) -> cl_int {
        guard let interface = CLBlast.interface else { return CL_INVALID_OPERATION }
        // Until the product is enqueued nobody else gives its device another tile.
        CLBlast.lock.lock()
        defer { CLBlast.lock.unlock() }
        try CLBlast.use(product.tile, for: queue)
        var queue: cl_command_queue? = queue
        let left = product.transposesLeft ? CLBlast.transposed : CLBlast.plain
        let right = product.transposesRight ? CLBlast.transposed : CLBlast.plain
        var wanted = scratchBytes ?? 0
        if scratchBytes == nil {
            // Only the library knows its tiles on this device.
            let status = interface.scratchSize(
                CLBlast.rowMajor, left, right, product.rows, product.columns, product.depth, 0, product.leftPitch, 0,
                product.rightPitch, 0, product.resultPitch, &queue, &wanted)
            guard status == CL_SUCCESS else { return status }
            guard wanted <= buffers[3].byteCount else {
                throw DeviceError(
                    call: "CLBlastSGemmTempBufferSize", code: CL_INVALID_BUFFER_SIZE, kernel: name,
                    detail: "'\(label)': the library wants \(wanted) bytes for copies of matrices, at most "
                        + "\(buffers[3].byteCount) were expected: \(product)")
            }
            scratchBytes = wanted
        }
        return interface.sgemm(
            CLBlast.rowMajor, left, right, product.rows, product.columns, product.depth, 1, buffers[0].handle, 0,
            product.leftPitch, buffers[1].handle, 0, product.rightPitch, 0, buffers[2].handle, 0, product.resultPitch,
            &queue, event, wanted > 0 ? buffers[3].handle : nil)
    }
}

/// The library's C interface (clblast_c.h), opened at run time: who does not have it does without.
private enum CLBlast {
    static let rowMajor: Int32 = 101
    static let plain: Int32 = 111
    static let transposed: Int32 = 112
    static let singlePrecision: Int32 = 32

    /// Layout, transpositions, m, n, k, alpha, A with offset and pitch, B likewise, beta, C likewise, queue, event,
    /// scratch memory.
    typealias Sgemm =
        @convention(c) (
            Int32, Int32, Int32, Int, Int, Int, Float, OpaquePointer?, Int, Int, OpaquePointer?, Int, Int, Float,
            OpaquePointer?, Int, Int, UnsafeMutablePointer<cl_command_queue?>, UnsafeMutablePointer<cl_event?>?,
            OpaquePointer?
        ) -> Int32
    /// Device, kernel, precision, number of parameters, names, values.
    typealias OverrideParameters =
        @convention(c) (
            OpaquePointer?, UnsafePointer<CChar>, Int32, Int, UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<Int>
        ) -> Int32
    /// Layout, transpositions, m, n, k, offset and pitch of A, B and C, queue, bytes wanted.
    typealias ScratchSize =
        @convention(c) (
            Int32, Int32, Int32, Int, Int, Int, Int, Int, Int, Int, Int, Int,
            UnsafeMutablePointer<cl_command_queue?>, UnsafeMutablePointer<Int>
        ) -> Int32

    /// The mapped file, whose name tells the version.
    static let file: String? = {
        guard interface != nil else { return nil }
        let maps = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)) ?? ""
        let line = maps.split(separator: "\n").first { $0.contains("libclblast") }
        return line?.split(separator: "/").last.map(String.init) ?? "libclblast.so.1"
    }()

    struct Interface: Sendable {
        let sgemm: Sgemm
        let scratchSize: ScratchSize
        let overrideParameters: OverrideParameters
    }

    static let interface: Interface? = {
        guard let library = dlopen("libclblast.so.1", RTLD_NOW | RTLD_LOCAL),
            let sgemm = dlsym(library, "CLBlastSgemmWithTempBuffer"),
            let scratchSize = dlsym(library, "CLBlastSGemmTempBufferSize"),
            let overrideParameters = dlsym(library, "CLBlastOverrideParameters")
        else { return nil }
        return Interface(
            sgemm: unsafeBitCast(sgemm, to: Sgemm.self), scratchSize: unsafeBitCast(scratchSize, to: ScratchSize.self),
            overrideParameters: unsafeBitCast(overrideParameters, to: OverrideParameters.self))
    }()

    /// Held from `use` to the product's last launch.
    static let lock = NSLock()
    /// What the library's kernel has been told, by device: its interface cannot be asked.
    nonisolated(unsafe) private static var tiles: [OpaquePointer: MatrixProductTile] = [:]

    /// Makes products on a queue's device run with a tile.
    ///
    /// - Throws: `DeviceError` if the library refuses.
    static func use(_ tile: MatrixProductTile, for queue: OpaquePointer) throws(DeviceError) {
        var device: OpaquePointer?
        let size = MemoryLayout<OpaquePointer?>.size
        let status = clGetCommandQueueInfo(queue, cl_command_queue_info(CL_QUEUE_DEVICE), size, &device, nil)
        guard let interface, status == CL_SUCCESS, let device else {
            throw DeviceError(call: "clGetCommandQueueInfo", code: status)
        }
        if tiles[device] == tile { return }
        tiles[device] = nil
        for (kernel, parameters) in [("Xgemm", tile.parameters), ("GemmRoutine", MatrixProductTile.always)] {
            let names = parameters.map { strdup($0.key) }
            defer { for name in names { free(name) } }
            let refusal = interface.overrideParameters(
                device, kernel, singlePrecision, names.count, names.map { UnsafePointer($0) }, parameters.map(\.value))
            guard refusal == CL_SUCCESS else {
                throw DeviceError(
                    call: "CLBlastOverrideParameters", code: refusal, kernel: kernel,
                    detail: "\(file ?? "CLBlast") does not take the parameters of tile \(tile.rawValue)")
            }
        }
        tiles[device] = tile
    }
}
