/// A program to build: what distinguishes it from the others of a context.
public struct ProgramRequest: Hashable, Sendable, Codable {
    /// What errors call it, usually the source file's name.
    public let name: String
    /// The whole source text.
    public let source: String
    /// Compiler options without blanks inside, completed by `ProgramBuilder.complete`.
    public let options: [String]

    /// Creates the request.
    ///
    /// - Parameter name: of the file, for errors.
    /// - Parameter source: the whole text.
    /// - Parameter options: `-cl-std=CL1.2` is added unless a version is named, and `-w`: warnings about our kernels
    ///   are `tools/check`'s to find, a user's terminal is no place for them.
    public init(name: String, source: String, options: [String]) {
        self.name = name
        self.source = source
        self.options = ProgramBuilder.complete(options)
    }

    /// Source texts are long, and those of one name hardly ever differ.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(options)
    }
}

/// A kernel as it is going to be launched: what a driver needs to know to have it compiled before that.
///
/// pocl makes machine code of a kernel at its first launch, for that launch's size of work-groups.
public struct KernelRequest: Sendable, Codable {
    /// One argument, with no memory behind it.
    public enum Argument: Sendable, Codable {
        /// Global memory of so many bytes.
        case buffer(byteCount: Int)
        /// A number of 32 bits with sign.
        case int(Int32)
        /// Four of them.
        case int4([Int32])
        /// A number of 32 bits without sign.
        case uint(UInt32)
        /// A float32.
        case float(Float)
        /// Local memory of the work-group, so many bytes.
        case local(byteCount: Int)
    }

    /// Whose source has the kernel.
    public let program: ProgramRequest
    /// Name of the function in the source.
    public let kernel: String
    /// What it is launched with.
    public let arguments: [Argument]
    /// Work-items per dimension, and of a group; local is nil where the driver chooses.
    let global: [Int]
    let local: [Int]?

    /// Creates the request for a launch of that size.
    public init(program: ProgramRequest, kernel: String, arguments: [Argument], size: WorkSize) {
        self.program = program
        self.kernel = kernel
        self.arguments = arguments
        (global, local) = (size.global, size.local)
    }

    /// What decides about the machine code: arguments do not.
    struct Key: Hashable {
        let program: ProgramRequest
        let kernel: String
        let local: [Int]?
        /// pocl makes another kernel for grids of 65,535 work-items and more in a row.
        let isLarge: Bool
        /// Where the driver chooses the group, by this.
        let global: [Int]?
    }

    var key: Key {
        Key(program: program, kernel: kernel, local: local, isLarge: isLarge, global: local == nil ? global : nil)
    }

    private var isLarge: Bool { (global.max() ?? 0) >= 65_535 }

    /// The smallest launch that has the same machine code made: one group, where that is allowed.
    var smallest: WorkSize {
        guard let local, !isLarge else { return WorkSize(global: global, local: local) }
        return WorkSize(global: local, local: local)
    }
}
