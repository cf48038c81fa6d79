import AdaShareGraph
import AdaShareSupport

/// Parameters, in and out.
extension Session {
    /// A parameter in disk order; waits for the device.
    ///
    /// - Throws: `InputError` if no layer declared it, `DeviceError` if it cannot be read.
    public func read(_ name: String) throws -> [Float] {
        let spec = try spec(name)
        if spec.layout == .counter { return try executor.store.readIntegers(name).map(Float.init) }
        return spec.diskOrder(try executor.store.read(name))
    }

    /// Sets a parameter.
    ///
    /// - Parameters:
    ///   - name: as the layer declared it.
    ///   - values: in disk order.
    /// - Throws: `InputError` if no layer declared it or the count is another one, `DeviceError` if memory cannot be
    ///   had.
    public func write(_ name: String, _ values: [Float]) throws {
        let spec = try spec(name)
        guard values.count == spec.elementCount else {
            throw InputError(
                file: "parameter \(name)", found: "\(values.count) values", expected: "\(spec.elementCount)")
        }
        try write(spec, values)
    }

    private func spec(_ name: String) throws -> ParameterSpec {
        guard let spec = parameters.first(where: { $0.name == name }) else {
            throw InputError(
                file: "parameter \(name)", found: "no layer that declares it", expected: "a name that one does")
        }
        return spec
    }

    func write(_ spec: ParameterSpec, _ values: [Float]) throws {
        if spec.layout == .counter {
            try executor.store.write(spec.name, spec.storedShape, values.map { Int32($0) })
        } else {
            try executor.store.write(spec.name, spec.storedShape, spec.deviceOrder(values))
        }
    }
}
