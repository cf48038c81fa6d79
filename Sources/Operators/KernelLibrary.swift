import AdaShareDeviceLayer
import CAdaShareKernels
import Foundation

/// Which form of kernels runs: wide registers for CPUs, work-groups and local memory for GPUs.
public enum KernelFamily: String, Sendable, CaseIterable {
    /// Wide registers: one work-item per group.
    case cpu
    /// Work-groups of many items, local memory.
    case gpu

    /// The family made for a device, decided by its type alone.
    public init(for device: Device) { self = device.type == .cpu ? .cpu : .gpu }

    /// Floats per vector.
    public var vectorWidth: Int { self == .cpu ? 16 : 4 }
}

/// Compiles the embedded kernel sources for one device and kernel family.
public final class KernelLibrary: @unchecked Sendable {
    /// The device, its queue and memory.
    public let context: DeviceContext
    /// Which form of kernels is compiled.
    public let family: KernelFamily
    /// Sums of 16 floats that a CPU's work-item keeps in registers beside their operands:
    /// `RegisterTile.wideAccumulators` where a register holds 16 floats; 6 where each takes two of 16 registers or four
    /// of 32, 2 where four of 16.
    let accumulators: Int
    /// Whether a register holds 16 floats.
    var hasWideRegisters: Bool { accumulators == RegisterTile.wideAccumulators }
    /// More weights than that are walked once, pixels many times, instead of the other way round: what a last-level
    /// cache holds beside the pixels.
    let cachedWeightBytes: Int
    /// Local memory that a work-group of the CPU family takes at most: half of the device's, unless set.
    let localBytes: Int
    /// Whether kernels may ask for memory ahead: on platforms where that is known to work. Elsewhere an interpreter
    /// stops at what it compiles to, or a compiler ends the process over it.
    private var hasPrefetch: Bool { family == .cpu && Self.prefetching.contains(context.device.platformName) }
    private static let prefetching: Set = ["Portable Computing Language", "Intel(R) OpenCL"]
    /// Whether the compiler takes a limit of registers per work-item. Left alone, NVIDIA's assembler gives the largest
    /// tile's weight gradient 161, and a multiprocessor then holds one group of 256 items; with 128 it holds two, for
    /// nine words of spilling.
    var limitsRegisters: Bool { context.device.extensions.contains("cl_nv_compiler_options") }
    /// Zeros that kernels read in place of pixels outside an image; at least `zeroCount` floats.
    let zeros: DeviceBuffer
    private var requests: [ProgramKey: ProgramRequest] = [:]
    private let lock = NSLock()
    private var tile = MatrixProductTile.initial
    /// What multiplies which operands, as given or as found out.
    private var knownUnits: [MatrixOperands: MatrixUnits.Finding] = [:]
    /// Work-items per group of the GPU family's convolution tile.
    static let gpuWorkGroup = 256
    /// The widest tensor row a convolution may read.
    static let zeroCount = 1 << 16

    /// Creates a library that has compiled nothing.
    ///
    /// - Parameters:
    ///   - context: the device, opened.
    ///   - family: nil picks the family made for the device.
    ///   - vectorWidth: floats per register of a CPU; nil asks the device.
    ///   - cachedWeightBytes: how many bytes of weights stay in a CPU's last-level cache.
    ///   - localBytes: of local memory for a CPU's work-group; nil asks the device.
    /// - Throws: `DeviceError` if memory for the shared zeros cannot be had, `UnsupportedDevice` if the family's
    ///   work-groups are too large for the device.
    public convenience init(
        context: DeviceContext, family: KernelFamily? = nil, vectorWidth: Int? = nil, cachedWeightBytes: Int = 24 << 20,
        localBytes: Int? = nil
    ) throws {
        try self.init(
            context: context, family: family, vectorWidth: vectorWidth, cachedWeightBytes: cachedWeightBytes,
            localBytes: localBytes, matrixUnits: [:])
    }

    /// - Parameter matrixUnits: what is not in there, the device is asked for.
    init(
        context: DeviceContext, family: KernelFamily? = nil, vectorWidth: Int? = nil, cachedWeightBytes: Int = 24 << 20,
        localBytes: Int? = nil, matrixUnits: [MatrixOperands: MatrixUnits]
    ) throws {
        self.context = context
        knownUnits = matrixUnits.mapValues { .units($0) }
        self.localBytes = localBytes ?? context.device.localMemoryBytes / 2
        self.cachedWeightBytes = cachedWeightBytes
        accumulators = RegisterTile.accumulators(vectorWidth: vectorWidth ?? context.device.floatVectorWidth)
        self.family = family ?? KernelFamily(for: context.device)
        guard self.family == .cpu || context.device.maximumWorkGroupSize >= Self.gpuWorkGroup else {
            throw UnsupportedDevice(device: context.device)
        }
        self.zeros = try context.makeBuffer(byteCount: Self.zeroCount * 4)
    }

    /// The tile of CLBlast's products, in plans that are made from now on; for all of a device, since a change makes
    /// the library compile again.
    public var productTile: MatrixProductTile {
        get {
            lock.lock()
            defer { lock.unlock() }
            return tile
        }
        set {
            lock.lock()
            defer { lock.unlock() }
            tile = newValue
        }
    }

    /// How convolutions can round here, if they may round as wanted: in float32 where there are no matrix units.
    ///
    /// - Throws: `DeviceError` if the device could not be asked.
    public func arithmetic(_ wanted: ConvolutionArithmetic) throws -> ConvolutionArithmetic {
        guard let operands = wanted.operands else { return wanted }
        return try matrixUnits(operands) == nil ? .float32 : wanted
    }

    /// What multiplies such operands; nil where nothing does.
    ///
    /// - Throws: `DeviceError` if the device could not be asked.
    func matrixUnits(_ operands: MatrixOperands) throws -> MatrixUnits? { try finding(operands).units }

    /// Why there are no matrix units for such operands, for people; nil where there are.
    ///
    /// - Throws: `DeviceError` if the device could not be asked.
    public func whyNoMatrixUnits(_ operands: MatrixOperands) throws -> String? {
        if case .none(let reason, _) = try finding(operands) { reason } else { nil }
    }

    /// What the device's compiler said about such operands' instructions; nil where it took them, or was not asked.
    ///
    /// - Throws: `DeviceError` if the device could not be asked.
    public func matrixUnitsBuildLog(_ operands: MatrixOperands) throws -> String? {
        if case .none(_, let log) = try finding(operands) { log } else { nil }
    }

    /// The device is asked once.
    private func finding(_ operands: MatrixOperands) throws -> MatrixUnits.Finding {
        lock.lock()
        defer { lock.unlock() }
        if let known = knownUnits[operands] { return known }
        let source = Self.source(of: ["matrix_units"])
        let finding =
            try family == .gpu
            ? MatrixUnits.find(operands, on: context, source: source) : .none("kernels for CPUs do not use them")
        knownUnits[operands] = finding
        return finding
    }

    /// What names a program of this library: sources are fixed.
    private struct ProgramKey: Hashable {
        let file: String
        let options: [String]
    }

    /// Files whose kernels need no options of their own.
    private static let plain = [
        "batchnorm", "channel_mix", "convolution_pack", "elementwise", "image_gates", "losses", "objective",
        "optimizers", "policy", "pooling", "random", "reduction", "residual", "resize", "scalar_product",
        "sigmoid_product", "subspaces",
    ]

    /// The program that has a launch's kernel, not yet compiled.
    func program(_ launch: LaunchRequest) -> ProgramRequest {
        // A program costs more than the unused kernels of all these files.
        let isShared =
            launch.options.isEmpty && context.device.compilesAtFirstLaunch && Self.plain.contains(launch.file)
        let file = isShared ? "plain" : launch.file
        let key = ProgramKey(file: file, options: launch.options)
        lock.lock()
        defer { lock.unlock() }
        if let known = requests[key] { return known }
        let source = Self.source(of: isShared ? Self.plain : [file])
        let request = ProgramRequest(name: file, source: source, options: commonOptions + launch.options)
        requests[key] = request
        return request
    }

    /// Options of every program.
    private lazy var commonOptions: [String] = {
        let family = ["-DCPU_FAMILY=\(self.family == .cpu ? 1 : 0)"] + (hasPrefetch ? ["-DHAS_PREFETCH=1"] : [])
        guard context.device.compilesAtFirstLaunch else { return family }
        // pocl's compiler reads all of OpenCL's declarations before every program, 0.2 s that are most of what a
        // program costs, unless clang's header is taken for read already, by its guard.
        let own = family + ["-D_OPENCL_H_", "-DOWN_BUILTINS"]
        let prelude = ProgramRequest(name: "prelude", source: Self.source(of: []), options: own)
        return (try? context.program(prelude)) == nil ? family : own
    }()

    /// Has everything compiled that some operators launch, on all cores. Like kernels, an encoding belongs to one
    /// thread at a time.
    ///
    /// - Throws: `DeviceError` with the build log if a kernel does not compile.
    public func prepare(_ encodings: [Encoding]) throws(DeviceError) {
        let encodings = encodings.filter { !$0.isPrepared }
        guard !encodings.isEmpty else { return }
        try context.prepare(encodings.flatMap(\.kernelRequests))
        for encoding in encodings { encoding.isPrepared = true }
    }

    /// The text of a program: kernel files behind the prelude.
    private static func source(of files: [String]) -> String {
        (["prelude"] + files).map { "#line 1 \"\($0).cl\"\n" + source($0) }.joined(separator: "\n")
    }

    /// The text of a kernel file, with the files it includes in place of its `#include` lines.
    static func source(_ name: String) -> String {
        guard let text = adashare_kernel_source(name) else { preconditionFailure("no kernel file \(name)") }
        let lines = String(cString: text).split(separator: "\n", omittingEmptySubsequences: false)
        return lines.enumerated().map { number, line in
            let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
            guard line.hasPrefix("#include"), parts.count == 3 else { return String(line) }
            let file = String(parts[1])
            let own = name.hasSuffix(".h") ? name : name + ".cl"
            return "#line 1 \"\(file)\"\n\(source(file))\n#line \(number + 2) \"\(own)\""
        }.joined(separator: "\n")
    }

    /// The text of every kernel file: what a measured time belongs to.
    public static let sources: String = {
        var text = ""
        for index in 0... {
            guard let name = adashare_kernel_name(Int32(index)) else { break }
            text += source(String(cString: name))
        }
        return text
    }()

    /// Vectors of a row that a work-item takes at each step, `VG` in the kernels: whole cache lines in a row.
    func vectorsSideBySide(_ shape: Shape) -> (count: Int, options: [String]) {
        family == .cpu && shape.storedChannels % 64 == 0
            ? (shape.storedChannels >= 1024 ? (8, ["-DVG=8"]) : (4, ["-DVG=4"])) : (1, [])
    }

    /// Rows per chunk of a column reduction: chunks stay in a core's cache on CPUs; on GPUs they are enough work-items,
    /// and few enough for a group of them.
    static func rowsPerChunk(_ shape: Shape, family: KernelFamily) -> Int {
        switch family {
        case .cpu: min(shape.rows, max(16, (1 << 15) / shape.storedChannels))
        case .gpu: min(shape.rows, max(16, (1 << 12) / shape.storedChannels, (shape.rows + 4095) / 4096))
        }
    }
}

/// A device that cannot run the GPU family's work-groups.
public struct UnsupportedDevice: Error, CustomStringConvertible, Sendable {
    /// What was asked.
    public let device: Device

    public var description: String {
        "\(device.name): work-groups of at most \(device.maximumWorkGroupSize) items, the GPU kernels need "
            + "\(KernelLibrary.gpuWorkGroup); try --kernel-family cpu"
    }
}
