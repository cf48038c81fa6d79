internal import COpenCL
import Foundation

/// A product C = A B of row-major matrices of floats, computed by the CLBlast library.
public struct MatrixProduct: Sendable, Hashable {
    /// Rows of C, columns of C, and what is summed over.
    public let rows, columns, depth: Int
    /// Whether A is stored as depth × rows, and B as columns × depth.
    public let transposesLeft, transposesRight: Bool
    /// Floats from row to row of A, B and C as they are stored.
    public let leftPitch, rightPitch, resultPitch: Int

    public init(
        rows: Int, columns: Int, depth: Int, transposesLeft: Bool = false, transposesRight: Bool = false,
        leftPitch: Int, rightPitch: Int, resultPitch: Int
    ) {
        (self.rows, self.columns, self.depth) = (rows, columns, depth)
        (self.transposesLeft, self.transposesRight) = (transposesLeft, transposesRight)
        (self.leftPitch, self.rightPitch, self.resultPitch) = (leftPitch, rightPitch, resultPitch)
    }

    /// Whether the library is installed; it is looked for once.
    public static var isAvailable: Bool { CLBlast.sgemm != nil }
    /// Name of the library's file, which tells its version; nil where it is not installed.
    public static var library: String? { CLBlast.file }
}

/// A product together with its matrices: one launch site of a plan, as a `Kernel` is.
public final class MatrixProductSite: @unchecked Sendable {
    /// What profiles call the library's kernels.
    public static let name = "clblast_sgemm"
    public let product: MatrixProduct
    /// What a profile calls this launch site.
    public var label = MatrixProductSite.name
    /// Multiply-accumulates of one launch, for profiles.
    public let multiplyAccumulates: Int
    /// A, B and C.
    public var buffers: [DeviceBuffer]
    /// Bytes of the matrices, for profiles.
    public var argumentByteCount: Int { buffers.reduce(0) { $0 + $1.byteCount } }

    /// - Precondition: three buffers, for A, B and C.
    public init(_ product: MatrixProduct, buffers: [DeviceBuffer], multiplyAccumulates: Int) {
        precondition(buffers.count == 3)
        (self.product, self.buffers, self.multiplyAccumulates) = (product, buffers, multiplyAccumulates)
    }

    /// Enqueues the library's kernels.
    ///
    /// - Parameter event: receives the last one's event, unless nil.
    /// - Returns: an OpenCL status, or one of the library's own.
    func enqueue(on queue: OpaquePointer, event: UnsafeMutablePointer<cl_event?>?) -> cl_int {
        guard let sgemm = CLBlast.sgemm else { return CL_INVALID_OPERATION }
        var queue: cl_command_queue? = queue
        return sgemm(
            CLBlast.rowMajor, product.transposesLeft ? CLBlast.transposed : CLBlast.plain,
            product.transposesRight ? CLBlast.transposed : CLBlast.plain, product.rows, product.columns, product.depth,
            1,
            buffers[0].handle, 0, product.leftPitch, buffers[1].handle, 0, product.rightPitch, 0, buffers[2].handle, 0,
            product.resultPitch, &queue, event)
    }
}

/// The library's C interface (clblast_c.h), opened at run time: who does not have it does without.
private enum CLBlast {
    static let rowMajor: Int32 = 101
    static let plain: Int32 = 111
    static let transposed: Int32 = 112

    /// Layout, transpositions, m, n, k, alpha, A with offset and pitch, B likewise, beta, C likewise, queue, event.
    typealias Sgemm =
        @convention(c) (
            Int32, Int32, Int32, Int, Int, Int, Float, OpaquePointer?, Int, Int, OpaquePointer?, Int, Int, Float,
            OpaquePointer?, Int, Int, UnsafeMutablePointer<cl_command_queue?>, UnsafeMutablePointer<cl_event?>?
        ) -> Int32

    /// The mapped file, whose name tells the version.
    static let file: String? = {
        guard sgemm != nil else { return nil }
        let maps = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)) ?? ""
        let line = maps.split(separator: "\n").first { $0.contains("libclblast") }
        return line?.split(separator: "/").last.map(String.init) ?? "libclblast.so.1"
    }()

    static let sgemm: Sgemm? = {
        guard let library = dlopen("libclblast.so.1", RTLD_NOW | RTLD_LOCAL),
            let symbol = dlsym(library, "CLBlastSgemm")
        else { return nil }
        return unsafeBitCast(symbol, to: Sgemm.self)
    }()
}
