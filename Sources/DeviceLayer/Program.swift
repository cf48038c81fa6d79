internal import CAdaShareOpenCL

/// A program built for one device.
public final class Program: @unchecked Sendable {
    /// The name it was asked for by, usually its source file's.
    public let name: String

    let handle: OpaquePointer
    let device: Device

    /// Takes over a built program.
    init(name: String, handle: OpaquePointer, device: Device) {
        self.name = name
        self.handle = handle
        self.device = device
    }

    deinit {
        checkRelease(clReleaseProgram(handle), "clReleaseProgram")
    }

    /// Makes a new kernel object: one for each launch site, so that its arguments are set once.
    ///
    /// - Throws: `DeviceError` listing the program's kernels if it has none of that name.
    public func kernel(_ name: String) throws(DeviceError) -> Kernel {
        try Kernel(program: self, name: name)
    }

    /// Says which kernels there are, for the error about one there is not.
    func explainMissing(kernel: String) -> String? {
        var names: String?
        do throws(DeviceError) {
            names = try queryString("clGetProgramInfo", device: device) {
                clGetProgramInfo(handle, cl_program_info(CL_PROGRAM_KERNEL_NAMES), $0, $1, $2)
            }
        } catch {
            names = nil
        }
        let known = (names ?? "unknown ones").split(separator: ";").joined(separator: ", ")
        return "no kernel '\(kernel)' in program '\(name)', which has \(known.isEmpty ? "none" : known)"
    }
}
