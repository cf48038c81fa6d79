internal import CAdaShareOpenCL

/// Builds programs for one device of one context, from source or from a binary.
struct ProgramBuilder {
    let context: OpaquePointer
    let device: Device

    /// The options the compiler sees: those given, silence about what it could warn of, and the language version,
    /// unless they name one.
    static func complete(_ options: [String]) -> [String] {
        let version = options.contains { $0.hasPrefix("-cl-std=") } ? [] : ["-cl-std=CL1.2"]
        return options + (options.contains("-w") ? [] : ["-w"]) + version
    }

    /// Compiles a source.
    ///
    /// - Throws: `DeviceError` with the build log if it does not compile.
    func build(name: String, source: String, options: [String]) throws(DeviceError) -> OpaquePointer {
        var source = source
        let program = try create("clCreateProgramWithSource", device: device, detail: "program '\(name)'") { status in
            source.withUTF8 { text in
                text.withMemoryRebound(to: CChar.self) { characters in
                    var pointer = characters.baseAddress
                    var length = characters.count
                    return clCreateProgramWithSource(context, 1, &pointer, &length, status)
                }
            }
        }
        let status = build(program, options)
        guard status == CL_SUCCESS else {
            DeviceFaults.all.note(status, "clBuildProgram")
            let log = buildLog(program)
            checkRelease(clReleaseProgram(program), "clReleaseProgram")
            throw DeviceError(
                call: "clBuildProgram", code: status, device: device.name, buildLog: log,
                detail: "program '\(name)' does not build with options \(options.joined(separator: " "))")
        }
        return program
    }

    /// Makes a program from a binary this device produced earlier.
    ///
    /// - Returns: the program, or `nil` if the driver does not accept the binary.
    func load(binary: [UInt8], options: [String]) -> OpaquePointer? {
        var status: cl_int = CL_SUCCESS
        var binaryStatus: cl_int = CL_SUCCESS
        let program = binary.withUnsafeBufferPointer { bytes in
            var identifier: cl_device_id? = device.handle.device
            var length = bytes.count
            var pointer = bytes.baseAddress
            return clCreateProgramWithBinary(context, 1, &identifier, &length, &pointer, &binaryStatus, &status)
        }
        guard let program else { return nil }
        guard status == CL_SUCCESS, binaryStatus == CL_SUCCESS, build(program, options) == CL_SUCCESS else {
            checkRelease(clReleaseProgram(program), "clReleaseProgram")
            return nil
        }
        return program
    }

    /// The device's binary of a built program.
    ///
    /// - Returns: the bytes, or `nil` if the driver offers none.
    func binary(of program: OpaquePointer) -> [UInt8]? {
        var size = 0
        let sizeStatus = clGetProgramInfo(
            program, cl_program_info(CL_PROGRAM_BINARY_SIZES), MemoryLayout<Int>.size, &size, nil)
        guard sizeStatus == CL_SUCCESS, size > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        let status = bytes.withUnsafeMutableBufferPointer { buffer in
            var pointer = buffer.baseAddress
            return clGetProgramInfo(
                program, cl_program_info(CL_PROGRAM_BINARIES), MemoryLayout<UnsafeMutablePointer<UInt8>?>.size,
                &pointer, nil)
        }
        return status == CL_SUCCESS ? bytes : nil
    }

    private func build(_ program: OpaquePointer, _ options: [String]) -> cl_int {
        var identifier: cl_device_id? = device.handle.device
        return clBuildProgram(program, 1, &identifier, options.joined(separator: " "), nil, nil)
    }

    private func buildLog(_ program: OpaquePointer) -> String {
        do throws(DeviceError) {
            return try queryString("clGetProgramBuildInfo", device: device) {
                clGetProgramBuildInfo(
                    program, device.handle.device, cl_program_build_info(CL_PROGRAM_BUILD_LOG), $0, $1, $2)
            }
        } catch {
            return "(no build log: \(error))"
        }
    }
}
