import TestSupport
import Testing

@testable import AdaShareDeviceLayer

extension DeviceLayerTests {
    @Suite struct KernelTests {
        @Test func devicePropertiesAreFilledIn() throws {
            let devices = try Device.all()
            for device in devices {
                #expect(try Device.select(device.selector) == device)
                #expect(!device.name.isEmpty)
                #expect(!device.driverVersion.isEmpty)
                #expect(!device.platformName.isEmpty)
                #expect(device.openCLCVersion.hasPrefix("OpenCL C "))
                #expect(device.computeUnits > 0)
                #expect(device.maximumWorkGroupSize > 0)
                #expect(device.localMemoryBytes > 0)
                #expect(device.maximumAllocationBytes > 0)
                #expect(device.maximumAllocationBytes <= device.globalMemoryBytes)
                #expect(device.baseAddressAlignmentBytes >= 16)
                #expect(device.floatVectorWidth >= 1)
                #expect(device.extensions.allSatisfy { !$0.isEmpty })
            }
            #expect(Set(devices.map(\.selector)).count == devices.count)
            #expect(devices.contains(try TestDevice.device()))
        }

        @Test(arguments: [1, 127, 1000]) func addsVectors(count: Int) throws {
            let context = try TestDevice.context()
            let queue = context.queue
            let a = (0..<count).map { Float($0) }
            let b = (0..<count).map { Float($0 % 7) - 3 }
            let buffers = try (0..<3).map { _ in try context.makeBuffer(byteCount: count * 4) }
            try queue.write(a, to: buffers[0])
            try queue.write(b, to: buffers[1])
            let kernel = try TestDevice.program(context).kernel("add")
            try kernel.setArguments([.buffer(buffers[0]), .buffer(buffers[1]), .buffer(buffers[2]), .float(2)])
            try queue.launch(kernel, WorkSize(global: [count]))
            let result = try queue.read(Float.self, count: count, from: buffers[2])
            #expect(result == zip(a, b).map { $0 + 2 * $1 })
            #expect(result != zip(a, b).map { $0 - 2 * $1 }, "negative control")
        }

        private static let kinds = """
            __kernel void kinds(__global ulong* y, __global const uint* shared, int a, int4 b, uint c, float d,
                                __local ulong* scratch) {
                const size_t l = get_local_id(0);
                scratch[l] = 100 + l;
                barrier(CLK_LOCAL_MEM_FENCE);
                y[10 + l] = scratch[get_local_size(0) - 1 - l];
                if (l > 0) return;
                y[0] = shared[1];
                y[1] = (ulong)(long)a;
                y[2] = as_uint(b.x); y[3] = as_uint(b.y); y[4] = as_uint(b.z); y[5] = as_uint(b.w);
                y[6] = c;
                y[7] = as_uint(d);
            }
            """

        @Test func passesEveryKindOfArgument() throws {
            let context = try TestDevice.context()
            let (result, shared) = (try context.makeBuffer(byteCount: 512), try context.makeBuffer(byteCount: 512))
            try context.queue.write([UInt32(1), 4_000_000_001], to: shared)
            let kernel = try context.program(name: "kinds", source: Self.kinds, options: []).kernel("kinds")
            try kernel.setArguments([
                .buffer(result), .shared(shared), .int(-3), .int4(SIMD4(5, -6, 7, -8)), .uint(4_000_000_000),
                .float(-1.5), .local(byteCount: 4 * 8),
            ])
            try context.queue.launch(kernel, WorkSize(global: [4], local: [4]))
            let found = try context.queue.read(UInt64.self, count: 14, from: result)
            #expect(found[0] == 4_000_000_001, "shared")
            #expect(Int64(bitPattern: found[1]) == -3, "int")
            for (index, expected) in [Int32(5), -6, 7, -8].enumerated() {
                #expect(Int32(truncatingIfNeeded: found[2 + index]) == expected, "int4, part \(index)")
            }
            #expect(found[6] == 4_000_000_000, "uint")
            #expect(Float(bitPattern: UInt32(found[7])) == -1.5, "float")
            for item in 0..<4 { #expect(found[10 + item] == UInt64(103 - item), "local, item \(item)") }
        }

        /// Options reach the compiler: the same source gives other numbers.
        @Test(arguments: [0, 5]) func optionsReachTheCompiler(offset: Int) throws {
            let found = try TestDevice.numbers(TestDevice.context(), offset: offset)
            for (item, expected) in TestDevice.expectedNumbers(offset: offset).enumerated() {
                #expect(found[item] == expected, "item \(item)")
            }
        }

        @Test func kernelsOfOneProgramKeepTheirOwnArguments() throws {
            let context = try TestDevice.context()
            let program = try TestDevice.program(context)
            let ones = try context.makeBuffer(byteCount: 16)
            try context.queue.write([Float](repeating: 1, count: 4), to: ones)
            let sites = try [Float(10), 20].map { scale in
                let kernel = try program.kernel("add")
                let result = try context.makeBuffer(byteCount: 16)
                try kernel.setArguments([.buffer(ones), .buffer(ones), .buffer(result), .float(scale)])
                return (kernel, result)
            }
            for (kernel, _) in sites { try context.queue.launch(kernel, WorkSize(global: [4], local: [2])) }
            let values = try sites.map { try context.queue.read(Float.self, count: 4, from: $0.1) }
            #expect(values == [[11, 11, 11, 11], [21, 21, 21, 21]])
        }

        @Test func buffersLiveAsLongAsTheKernelThatUsesThem() throws {
            let context = try TestDevice.context()
            let kernel = try TestDevice.program(context).kernel("add")
            weak var input: DeviceBuffer?
            let result = try context.makeBuffer(byteCount: 16)
            do {
                let temporary = try context.makeBuffer(byteCount: 16)
                try context.queue.write([Float](repeating: 3, count: 4), to: temporary)
                try kernel.setArguments([.buffer(temporary), .buffer(temporary), .buffer(result), .float(1)])
                input = temporary
            }
            #expect(input != nil)
            try context.queue.launch(kernel, WorkSize(global: [4]))
            #expect(try context.queue.read(Float.self, count: 4, from: result) == [6, 6, 6, 6])
            try kernel.setArguments([.buffer(result), .buffer(result), .buffer(result), .float(1)])
            #expect(input == nil)
        }

        @Test func wrongKernelNameListsTheRightOnes() throws {
            let context = try TestDevice.context()
            let program = try TestDevice.program(context)
            let error = try TestDevice.error { _ = try program.kernel("subtract") }
            #expect(error.call == "clCreateKernel")
            #expect(error.kernel == "subtract")
            for part in ["subtract", "add", "number", "sample", context.device.name] {
                #expect(error.description.contains(part))
            }
        }

        @Test func wrongArgumentsAreErrors() throws {
            let context = try TestDevice.context()
            let kernel = try TestDevice.program(context).kernel("add")
            let buffer = try context.makeBuffer(byteCount: 16)
            let tooFew = try TestDevice.error { try kernel.setArguments([.buffer(buffer), .float(1)]) }
            #expect(tooFew.kernel == "add")
            #expect(tooFew.description.contains("2 arguments"))
            #expect(tooFew.description.contains("4 parameters"))
            let wrongType = try TestDevice.error {
                try kernel.setArguments([.buffer(buffer), .buffer(buffer), .buffer(buffer), .int4(SIMD4(repeating: 7))])
            }
            #expect(wrongType.description.contains("argument 3"))
            #expect(wrongType.description.contains("int4 "))
        }

        @Test func refusedLaunchNamesKernelAndSizes() throws {
            let context = try TestDevice.context()
            let kernel = try TestDevice.program(context).kernel("add")
            kernel.label = "stem/add"
            let buffer = try context.makeBuffer(byteCount: 16)
            try kernel.setArguments([.buffer(buffer), .buffer(buffer), .buffer(buffer), .float(1)])
            let size = context.device.maximumWorkGroupSize * 2
            let error = try TestDevice.error {
                try context.queue.launch(kernel, WorkSize(global: [size], local: [size]))
            }
            #expect(error.kernel == "add")
            #expect(error.description.contains("stem/add"))
            #expect(error.description.contains("[\(size)]"))
            #expect(error.device == context.device.name)
        }

        @Test func profileHasOneEntryPerLaunch() throws {
            let context = try TestDevice.freshContext(profiling: true)
            #expect(context.queue.isProfiling)
            let program = try TestDevice.program(context)
            let buffer = try context.makeBuffer(byteCount: 4096)
            let labels = ["first", "second", "third"]
            for label in labels {
                let kernel = try program.kernel("add")
                kernel.label = label
                try kernel.setArguments([.buffer(buffer), .buffer(buffer), .buffer(buffer), .float(1)])
                try context.queue.launch(kernel, WorkSize(global: [1024]))
            }
            let entries = try context.queue.takeProfile()
            #expect(entries.map(\.label) == labels)
            #expect(entries.allSatisfy { $0.kernelName == "add" })
            for entry in entries {
                #expect(entry.queuedNanoseconds > 0 && entry.queuedNanoseconds <= entry.startNanoseconds)
                #expect(entry.startNanoseconds <= entry.endNanoseconds)
                #expect(entry.durationNanoseconds == entry.endNanoseconds - entry.startNanoseconds)
            }
            for (earlier, later) in zip(entries, entries.dropFirst()) {
                #expect(earlier.endNanoseconds <= later.startNanoseconds)
            }
            #expect(try context.queue.takeProfile().isEmpty)
        }

        @Test func queueWithoutProfilingRecordsNothing() throws {
            let context = try TestDevice.context()
            _ = try TestDevice.numbers(context)
            #expect(!context.queue.isProfiling)
            #expect(try context.queue.takeProfile().isEmpty)
        }
    }
}
