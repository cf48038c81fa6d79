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

    /// Reads a label as its format says: a class or a number from one channel, three numbers from RGB.
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
        if url.pathExtension.lowercased() == "npy" { return try array(url, format, size: size) }
        guard format.channels == 3 else {
            let image = try PNGImage.readNumbers(url)
            try Self.check(url, (image.height, image.width), size)
            return numbers(image.values.map { Float($0) }, format)
        }
        let image = try PNGImage.read(url, channels: 3)
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

    private func classes(_ url: URL, _ format: LabelFormat, count: Int?, size: (height: Int, width: Int)) throws
        -> LabelMap
    {
        let image = try PNGImage.readNumbers(url)
        try Self.check(url, (image.height, image.width), size)
        // Beyond all classes that 16 bits hold.
        let none: Int32 = 1 << 16
        var translation = [Int32](repeating: none, count: 1 << 16)
        if classValues.isEmpty {
            for value in translation.indices { translation[value] = Int32(value) }
        } else {
            for (index, value) in classValues.enumerated() { translation[value] = Int32(index) }
        }
        if let invalid, let value = Int(exactly: invalid), translation.indices.contains(value) {
            translation[value] = none
        }
        let limit = count ?? Int(none)
        // What tasks leave out need not be a class.
        if let absent = Int(exactly: format.absent), (limit..<1 << 16).contains(absent) { translation[absent] = none }
        let values = image.values.map { translation[Int($0)] }
        if let at = values.firstIndex(where: { $0 != none && $0 >= limit }) {
            throw InputError(
                file: url.path, place: "row \(at / size.width), column \(at % size.width)",
                found: "label \(values[at])",
                expected: "0...\(limit - 1)" + (invalid.flatMap { Int(exactly: $0) }.map { " or \($0) for none" } ?? "")
            )
        }
        // A byte holds them where it can: samples are kept in memory.
        guard limit <= 255 else { return LabelMap(.integers(values), absent: Double(none)) }
        return LabelMap(.bytes(values.map { $0 == none ? 255 : UInt8($0) }), absent: 255)
    }

    private func array(_ url: URL, _ format: LabelFormat, size: (height: Int, width: Int)) throws -> LabelMap {
        let array = try NPYArray.read(url)
        let expected = [size.height, size.width] + (format.channels > 1 ? [format.channels] : [])
        guard array.shape == expected || array.shape == [size.height, size.width, format.channels] else {
            throw InputError(file: url.path, found: "shape \(array.shape)", expected: "\(expected) as in the image")
        }
        let map = numbers(array.values, format)
        if case .numbers(let values) = map.values, let at = values.firstIndex(where: { !$0.isFinite }) {
            let pixel = at / format.channels
            throw InputError(
                file: url.path, place: "row \(pixel / size.width), column \(pixel % size.width)",
                found: "\(array.values[at])",
                expected: array.values[at].isFinite
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
