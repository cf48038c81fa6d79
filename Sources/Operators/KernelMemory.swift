import AdaShareDeviceLayer

/// Memory of a kernel's work-items.
public struct KernelMemory: Sendable, Encodable, CustomStringConvertible {
    /// The function, and the options it was compiled with.
    public let name: String
    /// What a work-item has there because registers do not hold it.
    public let privateBytes: Int

    public var description: String { "\(name): \(privateBytes) bytes" }
}

extension KernelLibrary {
    /// What the kernels that some operators launch keep in memory instead of registers, each once; nothing on CPUs,
    /// whose drivers count otherwise, and of kernels that do not compile.
    ///
    /// - Parameter encodings: of the operators.
    public func kernelMemory(_ encodings: [Encoding]) -> [KernelMemory] {
        guard context.device.type != .cpu else { return [] }
        var seen: Set<String> = []
        return encodings.flatMap(\.requests).compactMap { launch in
            let name = ([launch.kernel] + launch.options).joined(separator: " ")
            guard seen.insert(name).inserted, let program = try? context.program(program(launch)),
                let bytes = try? program.kernel(launch.kernel).privateByteCount
            else { return nil }
            return KernelMemory(name: name, privateBytes: bytes)
        }
    }
}
