import AdaShareDeviceLayer

/// One launch with its memory, ready to be enqueued any number of times.
public final class BoundLaunch {
    /// What is launched; launches of one operator may share it.
    public let site: any LaunchSite
    /// Multiply-accumulates of this launch, for profiles.
    public let multiplyAccumulates: Int
    private let work: Work

    private enum Work {
        /// A kernel, and what it is told of this launch.
        case kernel(Kernel, WorkSize, numbers: [(index: Int, value: KernelArgument)])
        case product(MatrixProductSite)
    }

    /// - Precondition: the site is what the launch wants.
    fileprivate init(
        _ site: any LaunchSite, _ launch: LaunchEncoder.Launch, numbers: [(index: Int, value: KernelArgument)]
    ) {
        self.site = site
        multiplyAccumulates = launch.multiplyAccumulates
        switch (site, launch.work) {
        case (let kernel as Kernel, .kernel(let request)): work = .kernel(kernel, request.size, numbers: numbers)
        case (let product as MatrixProductSite, .product): work = .product(product)
        default: preconditionFailure("a launch of something else than \(site.name)")
        }
    }

    /// - Throws: `DeviceError` if the device refuses.
    public func enqueue(on queue: CommandQueue) throws(DeviceError) {
        switch work {
        case .kernel(let kernel, let size, let numbers):
            try kernel.set(numbers)
            kernel.multiplyAccumulates = multiplyAccumulates
            try queue.launch(kernel, size)
        case .product(let site): try queue.launch(site)
        }
    }
}

/// The launches of an operator on given shapes, without memory.
///
/// A function of both alone, so every application shares it: binding one to memory sets a few pointers. Kernel objects
/// come back with `recycle` when a plan has gone, all else still set; used by one thread at a time, as kernels are.
public final class Encoding {
    /// Multiply-accumulates of one application.
    public let multiplyAccumulates: Int
    private let launches: [LaunchEncoder.Launch]
    private let groups: [Group]
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
        groups = Self.groups(encoder.launches)
        self.library = library
        self.inputs = inputs
        self.outputs = outputs
        workspaceByteCount = operation.workspaceByteCount(inputs: inputs, outputs: outputs, family: library.family)
        multiplyAccumulates = operation.multiplyAccumulates(inputs: inputs, outputs: outputs)
    }

    /// Launches of one application.
    public var launchCount: Int { launches.count }

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
    ///   - memory: of the inputs, behind them of the outputs, and last the scratch memory that the operator asks for.
    ///   - label: what profiles call the launches; empty for the kernels' own names.
    /// - Precondition: the memory fits the shapes.
    /// - Throws: `DeviceError` if a kernel does not compile, or the device has no room for a kernel object.
    public func bind(_ memory: [LentBuffer], label: String) throws -> Application {
        precondition(
            memory.count == inputs.count + outputs.count + (workspaceByteCount > 0 ? 1 : 0),
            "memory of \(memory.count) operands")
        let application = try idle.popLast() ?? make()
        for site in application.sites {
            site.label = label.isEmpty ? site.name : label
            try site.lend(memory)
        }
        return application
    }

    /// The launches with all their arguments but the operands.
    private func make() throws -> Application {
        let sites = try groups.map { try site(launches[$0.launches[0]]) }
        var bound = [BoundLaunch?](repeating: nil, count: launches.count)
        for (site, group) in zip(sites, groups) {
            for index in group.launches {
                bound[index] = BoundLaunch(
                    site, launches[index],
                    numbers: group.numbers.map { ($0, kernelArgument(launches[index].arguments[$0])) })
            }
        }
        return Application(bound.compactMap { $0 }, sites)
    }

    private func site(_ launch: LaunchEncoder.Launch) throws -> any LaunchSite {
        switch launch.work {
        case .product(let product):
            let operands = launch.arguments.compactMap { argument -> Int? in
                if case .operand(let position) = kernelArgument(argument) { position } else { nil }
            }
            return MatrixProductSite(
                product, operands: operands, multiplyAccumulates: launch.multiplyAccumulates)
        case .kernel(let request):
            let kernel = try library.context.program(library.program(request)).kernel(request.kernel)
            try kernel.setArguments(launch.arguments.map(kernelArgument))
            return kernel
        }
    }

    private func kernelArgument(_ argument: LaunchArgument) -> KernelArgument {
        switch argument {
        case .input(let position): .operand(position)
        case .output(let position): .operand(inputs.count + position)
        case .workspace: .operand(inputs.count + outputs.count)
        case .zeros: .shared(library.zeros)
        case .int(let value): .int(value)
        case .int4(let value): .int4(value)
        case .uint(let value): .uint(value)
        case .float(let value): .float(value)
        case .local(let byteCount): .local(byteCount: byteCount)
        }
    }

    /// Takes back what `bind` gave: the next application only moves its pointers.
    public func recycle(_ application: Application) { idle.append(application) }
}

extension Encoding {
    /// Launches of one kernel on the same operands: they share a kernel object, which is told before each what numbers
    /// differ. Convolutions in parts have few of these and many launches.
    private struct Group {
        /// Which launches.
        var launches: [Int]
        /// Arguments in which they differ.
        var numbers: [Int] = []
    }

    private static func groups(_ launches: [LaunchEncoder.Launch]) -> [Group] {
        var groups: [Group] = []
        for (index, launch) in launches.enumerated() {
            if let known = groups.firstIndex(where: { launches[$0.launches[0]].sharesKernel(with: launch) }) {
                groups[known].launches.append(index)
            } else {
                groups.append(Group(launches: [index]))
            }
        }
        for index in groups.indices {
            let all = groups[index].launches.map { launches[$0].arguments }
            groups[index].numbers = all[0].indices.filter { number in
                all.contains { $0[number] != all[0][number] }
            }
        }
        return groups
    }

    /// One application of an operator: its launches, with memory while a plan holds it.
    public final class Application {
        /// In order.
        public let launches: [BoundLaunch]
        /// What they launch, each once.
        fileprivate let sites: [any LaunchSite]

        fileprivate init(_ launches: [BoundLaunch], _ sites: [any LaunchSite]) {
            (self.launches, self.sites) = (launches, sites)
        }
    }
}

extension LaunchEncoder.Launch {
    /// Whether the other one launches the same kernel, and differs at most in numbers and its size.
    fileprivate func sharesKernel(with other: Self) -> Bool {
        guard case .kernel(let mine) = work, case .kernel(let theirs) = other.work else { return false }
        return mine.file == theirs.file && mine.kernel == theirs.kernel && mine.options == theirs.options
            && zip(arguments, other.arguments).allSatisfy { $0 == $1 || $0.isNumber && $1.isNumber }
    }
}
