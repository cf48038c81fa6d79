import DeviceLayer

/// One argument of a launch, before it has memory.
public enum LaunchArgument: Sendable {
    /// The memory of the operator's input, output, or scratch memory.
    case input(Int)
    case output(Int)
    case workspace
    /// The shared zeros of the kernel library.
    case zeros
    case int(Int32)
    case int4(SIMD4<Int32>)
    case uint(UInt32)
    case float(Float)
    /// Local memory of the work-group, so many bytes.
    case local(Int)

    static func int(_ value: Int) -> LaunchArgument { .int(Int32(value)) }
    static func float(_ value: Double) -> LaunchArgument { .float(Float(value)) }
    static func flag(_ value: Bool) -> LaunchArgument { .int(Int32(value ? 1 : 0)) }
}

/// One kernel with its arguments set, ready to be enqueued any number of times.
public final class KernelLaunch {
    public let kernel: Kernel
    public let size: WorkSize

    init(kernel: Kernel, size: WorkSize) {
        self.kernel = kernel
        self.size = size
    }
}

/// Collects the launches of one operator on given shapes.
public struct LaunchEncoder {
    public let library: KernelLibrary
    public let inputs: [Shape]
    public let outputs: [Shape]
    fileprivate var launches: [Encoding.Launch] = []

    /// Appends a launch of `kernel` from `Kernels/<file>.cl`.
    ///
    /// - Parameter multiplyAccumulates: of the operator's `multiplyAccumulates`, those that this launch stands for.
    public mutating func launch(
        _ file: String, _ kernel: String, options: [String] = [], _ arguments: [LaunchArgument], _ size: WorkSize,
        multiplyAccumulates: Int = 0
    ) throws {
        launches.append(
            Encoding.Launch(
                program: try library.program(file: file, options: options), kernel: kernel, arguments: arguments,
                size: size, multiplyAccumulates: multiplyAccumulates))
    }

    /// The vectors of a tensor, as kernels of this family count them.
    func vectors(_ shape: Shape) -> Int { shape.storedCount / library.family.vectorWidth }
    /// The vectors of one row of a tensor.
    func rowVectors(_ shape: Shape) -> Int { shape.storedChannels / library.family.vectorWidth }
}

/// The launches of an operator on given shapes, without memory.
///
/// A function of both alone, so every application shares it: binding one to memory sets a few pointers. Kernel objects
/// come back with `recycle` when a plan has gone, all else still set; used by one thread at a time, as kernels are.
public final class Encoding {
    fileprivate final class Launch {
        let program: Program
        let kernel: String
        let arguments: [LaunchArgument]
        let size: WorkSize
        let multiplyAccumulates: Int
        /// Which arguments are memory that differs between applications.
        let bound: [Int]

        init(
            program: Program, kernel: String, arguments: [LaunchArgument], size: WorkSize, multiplyAccumulates: Int
        ) {
            (self.program, self.kernel, self.arguments) = (program, kernel, arguments)
            (self.size, self.multiplyAccumulates) = (size, multiplyAccumulates)
            bound = arguments.indices.filter {
                switch arguments[$0] {
                case .input, .output, .workspace: true
                case .zeros, .int, .int4, .uint, .float, .local: false
                }
            }
        }
    }

    /// Multiply-accumulates of one application.
    public let multiplyAccumulates: Int
    private let launches: [Launch]
    private let zeros: DeviceBuffer
    /// Of each launch, those that no plan holds.
    private var idle: [[KernelLaunch]]

    /// - Throws: `DeviceError` if a kernel does not compile.
    public init(_ operation: any Operator, inputs: [Shape], outputs: [Shape], library: KernelLibrary) throws {
        var encoder = LaunchEncoder(library: library, inputs: inputs, outputs: outputs)
        try operation.encode(&encoder)
        launches = encoder.launches
        zeros = library.zeros
        idle = launches.map { _ in [] }
        multiplyAccumulates = operation.multiplyAccumulates(inputs: inputs, outputs: outputs)
    }

    /// Appends the launches of one application to a list.
    ///
    /// - Parameters:
    ///   - label: what profiles call them; empty for the kernels' own names.
    /// - Precondition: the buffers fit the shapes; there is a workspace if the operator asks for one.
    /// - Throws: `DeviceError` if the device has no room for a kernel object.
    public func bind(
        inputs: [DeviceBuffer], outputs: [DeviceBuffer], workspace: DeviceBuffer?, label: String,
        to list: inout [KernelLaunch]
    ) throws {
        for (position, launch) in launches.enumerated() {
            func buffer(_ argument: LaunchArgument) -> DeviceBuffer? {
                switch argument {
                case .input(let i): return inputs[i]
                case .output(let i): return outputs[i]
                case .workspace:
                    guard let workspace else {
                        preconditionFailure("\(launch.kernel) has a workspace its operator did not ask for")
                    }
                    return workspace
                case .zeros, .int, .int4, .uint, .float, .local: return nil
                }
            }
            let bound: KernelLaunch
            if let known = idle[position].popLast() {
                bound = known
                for index in launch.bound {
                    if let memory = buffer(launch.arguments[index]) { try known.kernel.setBuffer(memory, at: index) }
                }
            } else {
                let kernel = try launch.program.kernel(launch.kernel)
                try kernel.setArguments(
                    launch.arguments.map { argument in
                        switch argument {
                        case .input, .output, .workspace: .buffer(buffer(argument) ?? zeros)
                        case .zeros: .shared(zeros)
                        case .int(let value): .int(value)
                        case .int4(let value): .int4(value)
                        case .uint(let value): .uint(value)
                        case .float(let value): .float(value)
                        case .local(let byteCount): .local(byteCount: byteCount)
                        }
                    })
                kernel.multiplyAccumulates = launch.multiplyAccumulates
                bound = KernelLaunch(kernel: kernel, size: launch.size)
            }
            bound.kernel.label = label.isEmpty ? launch.kernel : label
            list.append(bound)
        }
    }

    /// Takes back what `bind` gave for one application.
    ///
    /// - Parameter start: where it begins in the list; moves on behind it.
    public func recycle(_ list: [KernelLaunch], from start: inout Int) {
        for (position, launch) in launches.enumerated() {
            let bound = list[start + position]
            bound.kernel.releaseBuffers(at: launch.bound)
            idle[position].append(bound)
        }
        start += launches.count
    }
}
