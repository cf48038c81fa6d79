import AdaShareDeviceLayer

/// A 1×1 convolution of whole numbers that any operands represent, so that its sums are exact, in a real tile on matrix
/// units: what one instruction computes says nothing about the copies, buffers and barriers around it.
struct TileProbe {
    private let operands: MatrixOperands
    /// No whole tiles and no whole steps.
    private let pixels = 150, inputs = 40, outputs = 72
    private let x, weights: [Float]

    init(_ operands: MatrixOperands) {
        self.operands = operands
        /// A whole number below `count`, in no pattern that rows or columns would repeat.
        func mixed(_ index: Int, _ count: UInt32) -> Float {
            Float((UInt32(index) &* 2_654_435_761) >> 12 % count)
        }
        x = (0..<pixels * inputs).map { mixed($0, 5) - 2 }
        weights = (0..<inputs * outputs).map { mixed($0 + 7919, 7) - 3 }
    }

    private var element: ElementType { operands == .bfloat16 ? .bfloat16 : .float32 }
    private var shapes: [Shape] {
        [[1, 1, pixels, inputs], [1, 1, inputs, outputs], [1, 1, pixels, outputs]].map { Shape($0, element: element) }
    }

    /// Sums of at most 40 · 2 · 3, of which bfloat16 has all.
    var product: [Float] {
        (0..<pixels * outputs).map { index in
            (0..<inputs).reduce(0) { $0 + x[index / outputs * inputs + $1] * weights[$1 * outputs + index % outputs] }
        }
    }

    /// Whether a device computes it.
    ///
    /// - Precondition: the library has the units.
    /// - Throws: `DeviceError` if the device failed.
    func isRight(on library: KernelLibrary) throws -> Bool {
        let context = library.context
        let buffers = try shapes.map { try context.makeBuffer(byteCount: $0.byteCount) }
        for (index, values) in [x, weights].enumerated() {
            let stored = shapes[index].padded(values)
            if element == .bfloat16 {
                try context.queue.write(stored.map(BFloat16.init), to: buffers[index])
            } else {
                try context.queue.write(stored, to: buffers[index])
            }
        }
        var operation = Convolution(ConvolutionGeometry(kernelHeight: 1, kernelWidth: 1), element: element)
        operation.choice = ConvolutionChoice(algorithm: .matrixUnits(operands, rows: 64, columns: 64))
        let encoding = try Encoding(
            operation, inputs: Array(shapes.prefix(2)), outputs: [shapes[2]], library: library)
        let application = try encoding.bind(buffers.map(\.lent), label: "")
        for launch in application.launches { try launch.enqueue(on: context.queue) }
        let count = shapes[2].storedCount
        let found =
            element == .bfloat16
            ? try context.queue.read(BFloat16.self, count: count, from: buffers[2]).map(\.float)
            : try context.queue.read(Float.self, count: count, from: buffers[2])
        return shapes[2].unpadded(found) == product
    }
}
