import AdaShareFiles
import AdaShareGraph
import AdaShareSupport
import Foundation

/// Training that goes on another day: what a session has learned, in a safetensors file.
///
/// Parameters lie there under their names, in the shapes of PyTorch, and what optimisers remember under
/// `optimizer/<parameter>/<kind>`, in the same shapes; `session/steps`, `session/seed` and `session/flag` are the rest.
extension Session {
    private static let (stepsName, seedName, flagName) = ("session/steps", "session/seed", "session/flag")

    /// Writes parameters, what optimisers remember, seed and number of steps: under a temporary name, renamed at the
    /// end. Waits for the device.
    ///
    /// - Throws: `InputError` if the file cannot be written, which then is what it was; `DeviceError` if a tensor
    ///   cannot be read.
    public func save(to url: URL) throws {
        var file = TensorFile(file: url.path)
        for spec in parameters {
            if spec.layout == .counter {
                let count = try executor.store.readIntegers(spec.name)
                file.add(spec.name, integers: count.map(Int64.init), shape: spec.diskShape)
            } else {
                file.add(spec.name, floats: try read(spec.name), shape: spec.diskShape)
            }
        }
        for state in optimizerState {
            let values = state.spec.diskOrder(try executor.store.read(state.name))
            file.add(state.name, floats: values, shape: state.spec.diskShape)
        }
        file.add(Self.stepsName, integers: [Int64(steps)], shape: [])
        file.add(Self.seedName, integers: [Int64(bitPattern: seed)], shape: [])
        if !groups.isEmpty {
            let flag = try executor.store.readIntegers(StepRecording.flagName)
            file.add(Self.flagName, integers: flag.map(Int64.init), shape: StepRecording.flagShape.dimensions)
        }
        try file.write(to: url)
    }

    /// Goes on where a session of the same recording was saved: the steps that follow give the same bits as they would
    /// have given there, whatever seed this session was made with. Inputs must be given again.
    ///
    /// - Throws: `InputError` naming file and tensor if the file is no such session's, and nothing has changed then;
    ///   `DeviceError` if the device refuses.
    public func load(from url: URL) throws {
        let file = try TensorFile.read(url)
        var writes = try parameters.map { try write(of: $0, from: file) }
        for state in optimizerState { writes.append(try write(of: state.spec, as: state.name, from: file)) }
        let steps = try Self.count(Self.stepsName, in: file, most: Int(UInt32.max))
        let seed = try file.integers(Self.seedName, shape: [])[0]
        let flag = try groups.isEmpty ? nil : Self.flag(in: file)
        let expected = Set(parameters.map(\.name) + optimizerState.map(\.name))
            .union([Self.stepsName, Self.seedName]).union(flag == nil ? [] : [Self.flagName])
        if let other = file.names.first(where: { !expected.contains($0) }) {
            throw InputError(
                file: file.file, place: "tensor \(other)", found: "a tensor that nothing in the session is called",
                expected: "the \(expected.count) tensors of the session alone")
        }
        for write in writes { try write() }
        if let flag { try executor.store.write(StepRecording.flagName, StepRecording.flagShape, flag) }
        (self.steps, self.seed) = (steps, UInt64(bitPattern: seed))
        missing = Set(inputs.keys)
    }

    /// Takes from a file, of a session or any other safetensors file, the parameters that this session's layers
    /// declare, such as those of a network that is only used. Steps and what optimisers remember stay.
    ///
    /// - Throws: `InputError` naming file and tensor if one is missing or of another shape, and nothing has changed
    ///   then; `DeviceError` if the device refuses.
    public func loadParameters(from url: URL) throws {
        let file = try TensorFile.read(url)
        let writes = try parameters.map { try write(of: $0, from: file) }
        for write in writes { try write() }
    }

    /// What writes a tensor of the file to the device: all of them are read before the first is written.
    private func write(
        of spec: ParameterSpec, as name: String? = nil, from file: TensorFile
    ) throws -> () throws -> Void {
        let (name, store) = (name ?? spec.name, executor.store)
        if spec.layout == .counter {
            let count = Int32(try Self.count(name, in: file, most: Int(Int32.max)))
            return { try store.write(name, spec.storedShape, [count]) }
        }
        let values = spec.deviceOrder(try file.floats(name, shape: spec.diskShape))
        return { try store.write(name, spec.storedShape, values) }
    }

    private static func count(_ name: String, in file: TensorFile, most: Int) throws -> Int {
        let value = try file.integers(name, shape: [])[0]
        guard (0...Int64(most)).contains(value) else {
            throw InputError(file: file.file, place: "tensor \(name)", found: "\(value)", expected: "0 to \(most)")
        }
        return Int(value)
    }

    private static func flag(in file: TensorFile) throws -> [Int32] {
        try file.integers(flagName, shape: StepRecording.flagShape.dimensions).map { value in
            guard let flag = Int32(exactly: value) else {
                throw InputError(
                    file: file.file, place: "tensor \(flagName)", found: "\(value)", expected: "a number of 32 bits")
            }
            return flag
        }
    }
}
