import AdaShareOperators
import Foundation

extension ParameterSpec {
    /// First values in disk order, a pure function of the seed and the parameter's name.
    ///
    /// Philox key = seed XOR hash of the name, counter = element; normals by Box and Muller.
    public func initialValues(seed: UInt64) -> [Float] {
        let key = seed ^ Philox.nameHash(name)
        let halves = SIMD2(UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
        func words(_ block: Int) -> SIMD4<UInt32> {
            Philox.block(counter: SIMD4(UInt32(block), 0, 0, 0), key: halves)
        }
        switch initializer {
        case .constant(let value):
            return [Float](repeating: Float(value), count: elementCount)
        case .columns(let values):
            return (0..<elementCount).map { Float(values[$0 % values.count]) }
        case .rows(let values):
            return (0..<elementCount).map { Float(values[$0 / (elementCount / values.count)]) }
        case .values(let values):
            return values.map { Float($0) }
        case .diagonal(let value):
            return (0..<elementCount).map { $0 % diskShape[1] == $0 / diskShape[1] ? Float(value) : 0 }
        case .uniform(let bound):
            return fill { block, place in
                let w = words(block)
                for i in 0..<4 { place(i, Float((2 * Double(Philox.uniform(w[i])) - 1) * bound)) }
            }
        case .normal(let mean, let std):
            return fill { block, place in
                let w = words(block)
                for pair in 0..<2 {
                    let radius = (-2 * log(Double(Philox.uniform(w[2 * pair])))).squareRoot()
                    let angle = 2 * Double.pi * Double(Philox.uniform(w[2 * pair + 1]))
                    place(2 * pair, Float(mean + std * radius * cos(angle)))
                    place(2 * pair + 1, Float(mean + std * radius * sin(angle)))
                }
            }
        }
    }

    /// Four values per counter; the last block may be cut.
    private func fill(_ block: (_ index: Int, _ place: (Int, Float) -> Void) -> Void) -> [Float] {
        let count = elementCount
        return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<((count + 3) / 4) {
                block(index) { offset, value in
                    if index * 4 + offset < count { buffer[index * 4 + offset] = value }
                }
            }
            initialized = count
        }
    }

    /// Reorders values from disk order to the device's logical order: [K, C, R, S] → [R, S, C, K].
    public func deviceOrder(_ disk: [Float]) -> [Float] { reorder(disk, toDevice: true) }

    /// Reorders values from the device's logical order to disk order: [R, S, C, K] → [K, C, R, S].
    public func diskOrder(_ device: [Float]) -> [Float] { reorder(device, toDevice: false) }

    private func reorder(_ values: [Float], toDevice: Bool) -> [Float] {
        guard layout == .convolution || layout == .linear else { return values }
        precondition(values.count == elementCount, "\(name): \(values.count) values for shape \(diskShape)")
        let (outer, inner) = (diskShape[0], diskShape[1])
        let taps = elementCount / (outer * inner)
        return [Float](unsafeUninitializedCapacity: elementCount) { buffer, initialized in
            for k in 0..<outer {
                for c in 0..<inner {
                    for tap in 0..<taps {
                        let disk = (k * inner + c) * taps + tap
                        let device = (tap * inner + c) * outer + k
                        if toDevice { buffer[device] = values[disk] } else { buffer[disk] = values[device] }
                    }
                }
            }
            initialized = elementCount
        }
    }
}
