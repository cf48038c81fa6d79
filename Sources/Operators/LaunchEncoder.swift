import AdaShareDeviceLayer

/// One argument of a launch, before it has memory.
public enum LaunchArgument: Sendable {
    /// The memory of the operator's input, output, or scratch memory.
    case input(Int)
    /// The memory of the output at that position.
    case output(Int)
    /// The scratch memory that the operator asked for.
    case workspace
    /// The shared zeros of the kernel library.
    case zeros
    /// A number of 32 bits with sign.
    case int(Int32)
    /// Four of them.
    case int4(SIMD4<Int32>)
    /// A number of 32 bits without sign.
    case uint(UInt32)
    /// A float32.
    case float(Float)
    /// Local memory of the work-group, so many bytes.
    case local(Int)

    static func int(_ value: Int) -> LaunchArgument { .int(Int32(value)) }
    static func float(_ value: Double) -> LaunchArgument { .float(Float(value)) }
    static func flag(_ value: Bool) -> LaunchArgument { .int(Int32(value ? 1 : 0)) }
}

/// One launch with its memory, ready to be enqueued any number of times.
public final class BoundLaunch {
    fileprivate enum Work {
        case kernel(Kernel, WorkSize)
        case product(MatrixProductSite)
    }

    fileprivate let work: Work

    fileprivate init(_ work: Work) { self.work = work }

    /// What is launched.
    public var site: any LaunchSite {
        switch work {
        case .kernel(let kernel, _): kernel
        case .product(let site): site
        }
    }

    /// - Throws: `DeviceError` if the device refuses.
    public func enqueue(on queue: CommandQueue) throws(DeviceError) {
        switch work {
        case .kernel(let kernel, let size): try queue.launch(kernel, size)
        case .product(let site): try queue.launch(site)
        }
    }
}

/// A launch as an operator asks for it, before anything is compiled.
struct LaunchRequest {
    let file, kernel: String
    let options: [String]
    let arguments: [LaunchArgument]
    let size: WorkSize
}

extension LaunchArgument {
    /// Whether it is memory that differs between applications.
    var isBound: Bool {
        switch self {
        case .input, .output, .workspace: true
        case .zeros, .int, .int4, .uint, .float, .local: false
        }
    }
}

/// Collects the launches of one operator on given shapes.
public struct LaunchEncoder {
    /// Whose kernels are launched.
    public let library: KernelLibrary
    /// Shapes of the inputs.
    public let inputs: [Shape]
    /// Shapes of the outputs.
    public let outputs: [Shape]
    fileprivate var launches: [Encoding.Launch] = []

    fileprivate init(library: KernelLibrary, inputs: [Shape], outputs: [Shape]) {
        (self.library, self.inputs, self.outputs) = (library, inputs, outputs)
    }

    /// Appends a launch of `kernel` from `Kernels/<file>.cl`, compiled for activations as the operator's tensors store
    /// them.
    ///
    /// - Parameters:
    ///   - file: name of the kernel's file, without ending.
    ///   - kernel: name of the function.
    ///   - options: of the compiler, beside those of every kernel.
    ///   - arguments: of the function, in order.
    ///   - size: work-items, and those of a group.
    ///   - multiplyAccumulates: of the operator's `multiplyAccumulates`, those that this launch stands for.
    public mutating func launch(
        _ file: String, _ kernel: String, options: [String] = [], _ arguments: [LaunchArgument], _ size: WorkSize,
        multiplyAccumulates: Int = 0
    ) {
        let narrow =
            isNarrow ? ["-DBFLOAT16=1"] + (isWide && Self.wide.contains(file) ? ["-DVECTOR=\(wideVector)"] : []) : []
        let request = LaunchRequest(
            file: file, kernel: kernel, options: options + narrow, arguments: arguments, size: size)
        launches.append(
            Encoding.Launch(
                .kernel(request), arguments, inputs: inputs.count, multiplyAccumulates: multiplyAccumulates))
    }

    /// Appends a matrix product of the CLBlast library, whose copies go to the workspace.
    mutating func multiply(
        _ product: MatrixProduct, left: LaunchArgument, right: LaunchArgument, result: LaunchArgument,
        multiplyAccumulates: Int
    ) {
        var product = product
        product.tile = library.productTile
        launches.append(
            Encoding.Launch(
                .product(product), [left, right, result, .workspace], inputs: inputs.count,
                multiplyAccumulates: multiplyAccumulates))
    }

    private var isNarrow: Bool { (inputs + outputs).contains { $0.element == .bfloat16 } }
    /// Whether vectors are twice as long as elsewhere, 16 bytes of bfloat16, in kernels that compute each channel by
    /// itself: where channels are added up, longer vectors would add them in another order.
    private var isWide: Bool { library.family == .gpu && isNarrow }
    private var wideVector: Int { library.family.vectorWidth * (isWide ? 2 : 1) }
    private static let wide: Set = ["batchnorm", "elementwise", "pooling"]

    /// The vectors of a tensor, as kernels count them that compute each channel by itself.
    func wideVectors(_ shape: Shape) -> Int { shape.storedCount / wideVector }
    /// The same of one row of a tensor.
    func wideRowVectors(_ shape: Shape) -> Int { shape.storedChannels / wideVector }

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
        enum Work {
            case kernel(LaunchRequest)
            case product(MatrixProduct)
        }

        let work: Work
        let arguments: [LaunchArgument]
        let multiplyAccumulates: Int
        /// Which arguments are memory that differs between applications, and of these what each is: an input, an output
        /// behind all inputs, −1 for the workspace.
        let bound: [Int]
        let operands: [Int]

        init(_ work: Work, _ arguments: [LaunchArgument], inputs: Int, multiplyAccumulates: Int) {
            (self.work, self.arguments, self.multiplyAccumulates) = (work, arguments, multiplyAccumulates)
            bound = arguments.indices.filter { arguments[$0].isBound }
            operands = arguments.compactMap { argument in
                switch argument {
                case .input(let number): number
                case .output(let number): inputs + number
                case .workspace: -1
                case .zeros, .int, .int4, .uint, .float, .local: nil
                }
            }
        }
    }

    /// Multiply-accumulates of one application.
    public let multiplyAccumulates: Int
    private let launches: [Launch]
    private let library: KernelLibrary
    private let inputs, outputs: [Shape]
    /// Scratch memory of one application.
    public let workspaceByteCount: Int
    /// Those that no plan holds.
    private var idle: [Application] = []
    /// Whether the kernels have been compiled.
    var isPrepared = false

    /// - Throws: `DeviceError` if the device has no such matrix units as the operator wants.
    public init(_ operation: any Operator, inputs: [Shape], outputs: [Shape], library: KernelLibrary) throws {
        var encoder = LaunchEncoder(library: library, inputs: inputs, outputs: outputs)
        try operation.encode(&encoder)
        launches = encoder.launches
        self.library = library
        self.inputs = inputs
        self.outputs = outputs
        workspaceByteCount = operation.workspaceByteCount(inputs: inputs, outputs: outputs, family: library.family)
        multiplyAccumulates = operation.multiplyAccumulates(inputs: inputs, outputs: outputs)
    }

    /// The kernels that are launched, as the operator asked for them.
    var requests: [LaunchRequest] {
        launches.compactMap { if case .kernel(let request) = $0.work { request } else { nil } }
    }

    /// What it launches of this package's kernels, in words: the same where the same ones run on the same sizes.
    public var signature: [String] {
        requests.map { "\($0.file) \($0.kernel) \($0.options) \($0.arguments) \($0.size)" }
    }

    /// What has to be compiled before the first launch; nothing for a library's products, which compile themselves.
    var kernelRequests: [KernelRequest] {
        requests.map { request in
            let arguments = request.arguments.map { argument -> KernelRequest.Argument in
                switch argument {
                case .input(let i): .buffer(byteCount: inputs[i].byteCount)
                case .output(let i): .buffer(byteCount: outputs[i].byteCount)
                case .workspace: .buffer(byteCount: workspaceByteCount)
                case .zeros: .buffer(byteCount: library.zeros.byteCount)
                case .int(let value): .int(value)
                case .int4(let value): .int4((0..<4).map { value[$0] })
                case .uint(let value): .uint(value)
                case .float(let value): .float(value)
                case .local(let byteCount): .local(byteCount: byteCount)
                }
            }
            return KernelRequest(
                program: library.program(request), kernel: request.kernel, arguments: arguments, size: request.size)
        }
    }

    /// Gives the launches memory, which the caller keeps as long as it launches them.
    ///
    /// - Parameters:
    ///   - inputs: what the operator reads.
    ///   - outputs: what it computes.
    ///   - memory: of values, by id.
    ///   - workspace: scratch memory; nil where the operator asks for none.
    ///   - label: what profiles call the launches; empty for the kernels' own names.
    /// - Precondition: the memory fits the shapes; there is a workspace if the operator asks for one.
    /// - Throws: `DeviceError` if a kernel does not compile, or the device has no room for a kernel object.
    public func bind(
        inputs: [Value], outputs: [Value], memory: [DeviceBuffer?], workspace: DeviceBuffer?, label: String
    ) throws -> Application {
        let application = try idle.popLast() ?? Application(launches.map(make))
        for (launch, bound) in zip(launches, application.launches) {
            func buffer(_ position: Int) -> DeviceBuffer {
                let operand = launch.operands[position]
                let found =
                    operand < 0
                    ? workspace
                    : memory[operand < inputs.count ? inputs[operand].id : outputs[operand - inputs.count].id]
                guard let found else { preconditionFailure("a value without memory, or a workspace not asked for") }
                return found
            }
            switch bound.work {
            case .kernel(let kernel, _):
                kernel.label = label.isEmpty ? kernel.name : label
                try kernel.lendBuffers(at: launch.bound, buffer)
            case .product(let site):
                site.label = label.isEmpty ? site.name : label
                site.buffers = launch.operands.indices.map(buffer)
            }
        }
        return application
    }

    /// A launch with all its arguments, zeros where it has no memory yet.
    private func make(_ launch: Launch) throws -> BoundLaunch {
        let zeros = library.zeros
        switch launch.work {
        case .product(let product):
            let site = MatrixProductSite(
                product, buffers: launch.operands.map { _ in zeros }, multiplyAccumulates: launch.multiplyAccumulates)
            return BoundLaunch(.product(site))
        case .kernel(let request):
            let kernel = try library.context.program(library.program(request)).kernel(request.kernel)
            try kernel.setArguments(
                launch.arguments.map { argument in
                    switch argument {
                    case .input, .output, .workspace, .zeros: .shared(zeros)
                    case .int(let value): .int(value)
                    case .int4(let value): .int4(value)
                    case .uint(let value): .uint(value)
                    case .float(let value): .float(value)
                    case .local(let byteCount): .local(byteCount: byteCount)
                    }
                })
            kernel.multiplyAccumulates = launch.multiplyAccumulates
            return BoundLaunch(.kernel(kernel, request.size))
        }
    }

    /// Takes back what `bind` gave: the next application only moves its pointers.
    public func recycle(_ application: Application) {
        for launch in application.launches {
            if case .product(let site) = launch.work { site.buffers = [] }
        }
        idle.append(application)
    }
}

extension Encoding {
    /// One application of an operator: its launches, with memory while a plan holds it.
    public final class Application {
        /// In order.
        public let launches: [BoundLaunch]

        fileprivate init(_ launches: [BoundLaunch]) { self.launches = launches }
    }
}
