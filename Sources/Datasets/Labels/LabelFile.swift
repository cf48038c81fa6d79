import AdaShareFiles
import AdaShareSupport
import Foundation

/// Reads the label of one image from a file of its own.
struct LabelFile {
    /// Number = stored · scale + offset.
    var scale: Float = 1
    var offset: Float = 0
    /// The stored value of a pixel without a label, in every channel.
    var invalid: Float?
    /// Stored values of the classes in order; empty for 0, 1, 2, …
    var classValues: [Int] = []

    /// Reads a label as its format says: a class or a number from one channel, three numbers from RGB, any of them from
    /// an NPY file.
    ///
    /// - Parameters:
    ///   - request: what is wanted; of classes also how many there are.
    ///   - size: of the image.
    /// - Throws: `InputError` naming the file, what it holds and what was expected.
    func read(
        _ url: URL, as request: LabelRequest, size: (height: Int, width: Int)
    ) throws -> LabelMap {
        let format = request.format
        if format.element == .classes { return try classes(url, format, count: request.classes, size: size) }
        if Self.isArray(url) { return try numbers(of: array(url, format, size: size), url, format, size: size) }
        guard format.channels == 3 else {
            let image = try Image.readNumbers(url)
            try Self.check(url, (image.height, image.width), size)
            return numbers(image.values.map { Float($0) }, format)
        }
        let image = try Image.readColours(url)
        try Self.check(url, (image.height, image.width), size)
        guard scale != 1 || offset != 0 || invalid != nil else { return LabelMap(.bytes(image.pixels), channels: 3) }
        return numbers(image.pixels.map { Float($0) }, format)
    }

    /// - Throws: `InputError` where a label is not of the image's size.
    static func check(_ url: URL, _ found: (height: Int, width: Int), _ size: (height: Int, width: Int)) throws {
        guard found == size else {
            throw InputError(
                file: url.path, found: "\(found.height) x \(found.width) pixels",
                expected: "\(size.height) x \(size.width) as in the image")
        }
    }

    private static func isArray(_ url: URL) -> Bool { url.pathExtension.lowercased() == "npy" }

    private func classes(_ url: URL, _ format: LabelFormat, count: Int?, size: (height: Int, width: Int)) throws
        -> LabelMap
    {
        let stored: [Int32]
        if Self.isArray(url) {
            stored = try wholeNumbers(url, array(url, format, size: size), size: size)
        } else {
            let image = try Image.readNumbers(url)
            try Self.check(url, (image.height, image.width), size)
            stored = image.values.map { Int32($0) }
        }
        // Of what 16 bits hold; below all classes where there is none.
        let none: Int32 = -1
        let limit = count ?? 1 << 16
        var translation = (0..<Int32(1 << 16)).map { classValues.isEmpty ? $0 : none }
        for (index, value) in classValues.enumerated() { translation[value] = Int32(index) }
        // What tasks leave out need not be a class.
        let absent = Int32(exactly: format.absent).flatMap { (0..<limit).contains(Int($0)) ? nil : $0 }
        let without = [invalid.flatMap { Int32(exactly: $0) }, absent].compactMap { $0 }
        for value in without where translation.indices.contains(Int(value)) { translation[Int(value)] = none }
        let values = try stored.enumerated().map { at, value in
            let isKnown = translation.indices.contains(Int(value))
            let translated = isKnown ? translation[Int(value)] : none
            guard translated < limit, isKnown || !classValues.isEmpty || without.contains(value) else {
                throw InputError(
                    file: url.path, place: Self.place(at, size), found: "label \(isKnown ? translated : value)",
                    expected: "0...\(limit - 1)"
                        + (invalid.flatMap { Int(exactly: $0) }.map { " or \($0) for none" } ?? ""))
            }
            return translated
        }
        // A byte holds them where it can: samples are kept in memory.
        guard limit <= 255 else { return LabelMap(.integers(values), absent: Double(none)) }
        return LabelMap(.bytes(values.map { $0 == none ? 255 : UInt8($0) }), absent: 255)
    }

    private static func place(_ pixel: Int, _ size: (height: Int, width: Int)) -> String {
        "row \(pixel / size.width), column \(pixel % size.width)"
    }

    /// An array of the image's size.
    private func array(_ url: URL, _ format: LabelFormat, size: (height: Int, width: Int)) throws -> [Float] {
        let array = try NPYArray.read(url)
        let expected = [size.height, size.width] + (format.channels > 1 ? [format.channels] : [])
        guard array.shape == expected || array.shape == [size.height, size.width, format.channels] else {
            throw InputError(file: url.path, found: "shape \(array.shape)", expected: "\(expected) as in the image")
        }
        return array.values
    }

    private func wholeNumbers(_ url: URL, _ stored: [Float], size: (height: Int, width: Int)) throws -> [Int32] {
        try stored.enumerated().map { at, value in
            guard let whole = Int32(exactly: value) else {
                throw InputError(
                    file: url.path, place: Self.place(at, size), found: "\(value)",
                    expected: "a class: a whole number of 32 bits")
            }
            return whole
        }
    }

    private func numbers(
        of stored: [Float], _ url: URL, _ format: LabelFormat, size: (height: Int, width: Int)
    ) throws -> LabelMap {
        let map = numbers(stored, format)
        if case .numbers(let values) = map.values, let at = values.firstIndex(where: { !$0.isFinite }) {
            throw InputError(
                file: url.path, place: Self.place(at / format.channels, size), found: "\(stored[at])",
                expected: stored[at].isFinite
                    ? "a number that float32 holds after scale and offset"
                    : "finite numbers, or an invalid value for pixels without a label")
        }
        return map
    }

    /// Scales numbers; pixels without a label get what the format says that they have.
    private func numbers(_ stored: [Float], _ format: LabelFormat) -> LabelMap {
        let isPlain = scale == 1 && offset == 0
        var values = isPlain ? stored : stored.map { $0 * scale + offset }
        guard let invalid else { return LabelMap(.numbers(values), channels: format.channels) }
        let (channels, absent) = (format.channels, Float(format.absent))
        for pixel in 0..<stored.count / channels {
            let range = pixel * channels..<(pixel + 1) * channels
            let isAbsent =
                range.allSatisfy { stored[$0] == invalid } || range.contains { !stored[$0].isFinite }
            guard isAbsent else { continue }
            for index in range { values[index] = absent }
        }
        return LabelMap(.numbers(values), channels: channels)
    }
}
