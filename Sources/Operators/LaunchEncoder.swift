import AdaShareDeviceLayer

/// One argument of a launch, before it has memory.
public enum LaunchArgument: Sendable, Equatable {
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

    var isNumber: Bool {
        switch self {
        case .int, .int4, .uint, .float: true
        case .input, .output, .workspace, .zeros, .local: false
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

/// Collects the launches of one operator on given shapes.
public struct LaunchEncoder {
    /// One launch, before it has memory.
    struct Launch {
        enum Work {
            case kernel(LaunchRequest)
            case product(MatrixProduct)
        }

        let work: Work
        let arguments: [LaunchArgument]
        let multiplyAccumulates: Int
    }

    /// Whose kernels are launched.
    public let library: KernelLibrary
    /// Shapes of the inputs.
    public let inputs: [Shape]
    /// Shapes of the outputs.
    public let outputs: [Shape]
    private(set) var launches: [Launch] = []

    init(library: KernelLibrary, inputs: [Shape], outputs: [Shape]) {
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
            Launch(work: .kernel(request), arguments: arguments, multiplyAccumulates: multiplyAccumulates))
    }

    /// Appends a matrix product of the CLBlast library, whose copies go to the workspace.
    mutating func multiply(
        _ product: MatrixProduct, left: LaunchArgument, right: LaunchArgument, result: LaunchArgument,
        multiplyAccumulates: Int
    ) {
        var product = product
        product.tile = library.productTile
        launches.append(
            Launch(
                work: .product(product), arguments: [left, right, result, .workspace],
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
