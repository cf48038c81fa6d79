import AdaShareSupport

/// Classes of pixels as readers found them, checked and packed.
enum ClassLabels {
    /// Beyond all classes that 16 bits hold: a pixel without a label.
    static let none: Int32 = 1 << 16

    /// Checks that every value is a class, and keeps them in as few bytes as they take.
    ///
    /// - Parameters:
    ///   - values: shape [height, width], row-major; ``none`` where a pixel has no label.
    ///   - count: how many classes there are.
    ///   - width: pixels of a row, for messages.
    ///   - file: named in errors.
    ///   - absent: what stands for no label in the file, for messages; nil where nothing does.
    /// - Throws: `InputError` naming file, row and column, what was found and what was expected.
    static func map(_ values: [Int32], count: Int, width: Int, file: String, absent: String?) throws -> LabelMap {
        if let at = values.firstIndex(where: { $0 != none && !(0..<count ~= Int($0)) }) {
            throw refusal(values[at], at: at, count: count, width: width, file: file, absent: absent)
        }
        // A byte holds them where it can: samples are kept in memory.
        guard count <= 255 else { return LabelMap(.integers(values), absent: Double(none)) }
        return LabelMap(.bytes(values.map { $0 == none ? 255 : UInt8($0) }), absent: 255)
    }

    /// The same in one pass over stored values, where a byte holds every class; nil where it does not, or where a value
    /// is no class.
    ///
    /// - Parameters:
    ///   - stored: shape [height, width], row-major.
    ///   - translation: for each value that can be stored the class, or ``none``.
    ///   - count: how many classes there are.
    static func map<Stored: FixedWidthInteger & UnsignedInteger>(
        _ stored: [Stored], _ translation: [Int32], count: Int
    ) -> LabelMap? {
        precondition(translation.count > Int(Stored.max), "\(translation.count) translations")
        guard count <= 255 else { return nil }
        // With a bit above the byte for what is neither a class nor none.
        let wrong: UInt16 = 1 << 8
        let codes = translation.map { found -> UInt16 in
            if found == none { return 255 }
            return found >= 0 && found < Int32(count) ? UInt16(found) : wrong
        }
        var met: UInt16 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: stored.count) { bytes, initialized in
            codes.withUnsafeBufferPointer { codes in
                for (at, value) in stored.enumerated() {
                    let code = codes[Int(value)]
                    met |= code
                    bytes[at] = UInt8(truncatingIfNeeded: code)
                }
            }
            initialized = stored.count
        }
        return met & wrong == 0 ? LabelMap(.bytes(bytes), absent: 255) : nil
    }

    /// The error for a value that is no class; parameters as those of ``map(_:count:width:file:absent:)``.
    ///
    /// - Parameter at: which pixel it is of, row-major.
    static func refusal(
        _ value: Int32, at: Int, count: Int, width: Int, file: String, absent: String?
    ) -> InputError {
        // As in the labels that NYU v2 was published with: 0 for none, classes 1 to 40.
        let hint =
            Int(value) == count
            ? "; classes count from 0: where a file has 0 for none and counts from 1, dataset.kind \(Folders.kind) "
                + "reads it with values: [1, 2, …] of the label" : ""
        return InputError(
            file: file, place: "row \(at / width), column \(at % width)", found: "label \(value)",
            expected: "0...\(count - 1)" + (absent.map { " or \($0) for none" } ?? "") + hint)
    }
}
