/// One launch of a plan: a kernel with its arguments, or a product of another library with its matrices.
public protocol LaunchSite: AnyObject {
    /// Name of the kernel.
    var name: String { get }
    /// What a profile calls this launch site.
    var label: String { get set }
    /// Multiply-accumulates of one launch, for profiles.
    var multiplyAccumulates: Int { get }
    /// Bytes of its buffers, for profiles; what is read and written in place counts twice.
    var argumentByteCount: Int { get }
    /// Exchanges the memory of its operands. Whoever launches it keeps that alive.
    ///
    /// - Parameter memory: of each operand.
    /// - Throws: `DeviceError` if the driver does not take it.
    func lend(_ memory: [LentBuffer]) throws(DeviceError)
}
