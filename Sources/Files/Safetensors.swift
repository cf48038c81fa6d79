import AdaShareSupport
import Foundation

/// Named tensors and text metadata of one safetensors file.
///
/// File layout: header length (8 bytes, little endian) · JSON header · tensor bytes, row-major and little endian,
/// without gaps. Writing is deterministic: equal contents give equal bytes. Tensors are laid out by descending
/// element size, then by name, so that each starts at a multiple of its element size, as PyTorch's reader needs.
///
/// - Source: https://github.com/huggingface/safetensors, "Format".
public struct TensorFile: Sendable, Equatable {
    /// Element type of a tensor, named as in the header.
    public enum Element: String, Sendable, CaseIterable {
        /// The format's own spelling.
        // swift-format-ignore: AlwaysUseLowerCamelCase
        case F64, F32, F16, BF16, I64, I32, U8

        /// Bytes per element.
        public var size: Int {
            switch self {
            case .F64, .I64: 8
            case .F32, .I32: 4
            case .F16, .BF16: 2
            case .U8: 1
            }
        }
    }

    /// One tensor: `bytes` holds the product of `shape` elements of `dtype`; an empty shape is a scalar.
    public struct Entry: Sendable, Equatable {
        /// Unique in its file.
        public let name: String
        /// Of each element.
        public let dtype: Element
        /// Extents, outermost first; empty for a scalar.
        public let shape: [Int]
        /// Row-major, little endian.
        public let bytes: Data

        /// Creates an entry.
        /// - Precondition: `bytes` has the size that `shape` and `dtype` ask for.
        public init(name: String, dtype: Element, shape: [Int], bytes: Data) {
            precondition(bytes.count == shape.reduce(1, *) * dtype.size, "\(name): bytes do not match shape \(shape)")
            self.name = name
            self.dtype = dtype
            self.shape = shape
            self.bytes = bytes
        }
    }

    /// The tensors by name.
    public var tensors: [String: Entry] = [:]
    /// Free text by key (`__metadata__` in the header).
    public var metadata: [String: String] = [:]
    /// Tensors of types that nothing here reads, with the type: they are in nobody's way who does not want them.
    package var otherTypes: [String: String] = [:]
    /// Name of the file in error messages: the path it was read from.
    public var file: String
    /// `ContentHash` of the bytes, as read or last written.
    package var contentHash: String?

    /// Creates an empty file; `file` names it in error messages.
    public init(file: String = "tensors in memory") {
        self.file = file
    }

    /// Names of all tensors, sorted.
    public var names: [String] { tensors.keys.sorted() }

    /// All tensors, sorted by name.
    public var ordered: [Entry] { tensors.values.sorted { $0.name < $1.name } }

    /// Two files are equal if their tensors and metadata are; where they lie does not matter.
    public static func == (left: TensorFile, right: TensorFile) -> Bool {
        left.tensors == right.tensors && left.metadata == right.metadata
    }

    /// Adds or replaces a float32 tensor.
    /// - Precondition: `shape` has as many elements as `floats`.
    public mutating func add(_ name: String, floats: [Float], shape: [Int]) {
        #if _endian(little)
            // Element by element this dominates a checkpoint in debug builds.
            let bytes = floats.withUnsafeBytes { Data($0) }
        #else
            let bytes = floats.map { $0.bitPattern.littleEndian }.withUnsafeBytes { Data($0) }
        #endif
        tensors[name] = Entry(name: name, dtype: .F32, shape: shape, bytes: bytes)
    }

    /// Adds or replaces an int64 tensor; shape `[]` is a scalar.
    /// - Precondition: `shape` has as many elements as `integers`.
    public mutating func add(_ name: String, integers: [Int64], shape: [Int]) {
        let bytes = integers.map(\.littleEndian).withUnsafeBytes { Data($0) }
        tensors[name] = Entry(name: name, dtype: .I64, shape: shape, bytes: bytes)
    }

    /// Elements of a floating-point tensor, row-major, rounded to float32 where the file has float64.
    ///
    /// - Parameters:
    ///   - name: of the tensor.
    ///   - shape: the shape it must have, or `nil` for any.
    /// - Throws: `InputError` if the tensor is missing, is not floating-point or has another shape.
    public func floats(_ name: String, shape: [Int]? = nil) throws -> [Float] {
        let entry = try entry(name, shape: shape)
        switch entry.dtype {
        case .F32: return entry.load(UInt32.self) { Float(bitPattern: $0) }
        case .F64: return entry.load(UInt64.self) { Float(Double(bitPattern: $0)) }
        case .BF16: return entry.load(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        case .F16: return entry.load(UInt16.self, halfToFloat)
        case .I64, .I32, .U8:
            throw InputError(file: file, place: "tensor \(name)", found: "dtype \(entry.dtype)", expected: "F32")
        }
    }

    /// Elements of an integer tensor, row-major.
    ///
    /// - Parameters:
    ///   - name: of the tensor.
    ///   - shape: the shape it must have, or `nil` for any.
    /// - Throws: `InputError` if the tensor is missing, is not of an integer type or has another shape.
    public func integers(_ name: String, shape: [Int]? = nil) throws -> [Int64] {
        let entry = try entry(name, shape: shape)
        switch entry.dtype {
        case .I64: return entry.load(UInt64.self) { Int64(bitPattern: $0) }
        case .I32: return entry.load(UInt32.self) { Int64(Int32(bitPattern: $0)) }
        case .U8: return entry.bytes.map { Int64($0) }
        case .F64, .F32, .F16, .BF16:
            throw InputError(file: file, place: "tensor \(name)", found: "dtype \(entry.dtype)", expected: "I64")
        }
    }

    /// Names of all tensors, whatever their type, sorted.
    package var allNames: [String] { (Array(tensors.keys) + otherTypes.keys).sorted() }

    /// Whether the file has a tensor, whatever its type.
    package func holds(_ name: String) -> Bool { tensors[name] != nil || otherTypes[name] != nil }

    /// The same without a prefix of names that have it; of two names that become one, that which had it stays.
    package func dropping(_ prefix: String) -> TensorFile {
        func short(_ name: String) -> String { name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name }
        var file = self
        file.tensors = [:]
        for entry in ordered.filter({ !$0.name.hasPrefix(prefix) }) + ordered.filter({ $0.name.hasPrefix(prefix) }) {
            let name = short(entry.name)
            file.tensors[name] = Entry(name: name, dtype: entry.dtype, shape: entry.shape, bytes: entry.bytes)
        }
        file.otherTypes = Dictionary(otherTypes.map { (short($0.key), $0.value) }) { first, _ in first }
        return file
    }

    private func entry(_ name: String, shape: [Int]?) throws -> Entry {
        if let type = otherTypes[name] {
            throw InputError(
                file: file, place: "tensor \(name)", found: "dtype \(type)",
                expected: "one of " + Element.allCases.map(\.rawValue).joined(separator: ", "))
        }
        guard let entry = tensors[name] else {
            let near = nearest(to: name, in: names)
            throw InputError(
                file: file, place: "tensor \(name)", found: "no such tensor" + (near.map { " (nearest: \($0))" } ?? ""),
                expected: shape.map { "one of shape \($0)" } ?? "a tensor")
        }
        if let shape, entry.shape != shape {
            throw InputError(file: file, place: "tensor \(name)", found: "shape \(entry.shape)", expected: "\(shape)")
        }
        return entry
    }
}

extension TensorFile.Entry {
    /// Whether all elements of a float32 tensor are; exponents tell.
    package var isFinite: Bool {
        // A plain loop: without optimisation closures would take most of a test's time.
        bytes.withUnsafeBytes { raw in
            var offset = 0
            while offset + 4 <= raw.count {
                let bits = UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                if bits & 0x7F80_0000 == 0x7F80_0000 { return false }
                offset += 4
            }
            return true
        }
    }

    fileprivate func load<Raw: FixedWidthInteger, Value>(_: Raw.Type, _ convert: (Raw) -> Value) -> [Value] {
        let size = MemoryLayout<Raw>.size
        return bytes.withUnsafeBytes { raw in
            (0..<raw.count / size).map {
                convert(Raw(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * size, as: Raw.self)))
            }
        }
    }
}

/// IEEE 754 half precision to float32, exact.
private func halfToFloat(_ bits: UInt16) -> Float {
    let sign: Float = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 0x1f)
    let fraction = Float(bits & 0x3ff)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default: return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction * 0x1p-10)
    }
}
