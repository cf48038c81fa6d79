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
    /// Classes by the stored values that mean them; pixels with other values have no label. Nil where values are
    /// classes.
    var classes: [Int: Int]?
    /// Whether a label may have more or fewer pixels than its image, as cameras for depth have: each of the image's
    /// takes the value of the nearest one. A label of a few pixels alone is none of it.
    var isOfAnySize = false

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
        var own = size
        let map = try readStored(url, as: request, size: &own)
        return own == size ? map : map.taken(ImageResize.nearest(own, to: size))
    }

    /// - Parameter size: of the image; afterwards of the label.
    private func readStored(
        _ url: URL, as request: LabelRequest, size: inout (height: Int, width: Int)
    ) throws -> LabelMap {
        let format = request.format
        if format.element == .classes { return try readClasses(url, format, count: request.classes, size: &size) }
        if Self.isArray(url) {
            let stored = try array(url, format, size: &size)
            return try numbers(of: stored, url, format, size: size)
        }
        guard format.channels == 3 else {
            let image = try Image.readNumbers(url)
            try accept(url, (image.height, image.width), &size)
            return numbers(image.values.map { Float($0) }, format)
        }
        let image = try Image.readColours(url)
        try accept(url, (image.height, image.width), &size)
        guard scale != 1 || offset != 0 || invalid != nil else { return LabelMap(.bytes(image.pixels), channels: 3) }
        return numbers(image.pixels.map { Float($0) }, format)
    }

    /// - Parameter isOfAnySize: whether the label may have more or fewer pixels.
    /// - Throws: `InputError` where a label is not of the image's size, or cannot lie over it.
    static func check(
        _ url: URL, _ found: (height: Int, width: Int), _ size: (height: Int, width: Int), isOfAnySize: Bool = false
    ) throws {
        guard found == size || isOfAnySize && hasShape(found, of: size) else {
            throw InputError(
                file: url.path,
                found: dimensions(height: found.height, width: found.width) + " pixels (height × width)",
                expected: dimensions(height: size.height, width: size.width) + " as in the image"
                    + (isOfAnySize ? other(size) : ""))
        }
    }

    /// Takes the label's size for the image's, where it may.
    private func accept(
        _ url: URL, _ found: (height: Int, width: Int), _ size: inout (height: Int, width: Int)
    ) throws {
        try Self.check(url, found, size, isOfAnySize: isOfAnySize)
        size = found
    }

    /// A label's side is at least this part of its image's: what is coarser says nothing of a pixel.
    private static let coarsest = 16

    /// Whether a label of another size may lie over an image: as wide for its height, to half a pixel and to a
    /// twentieth, and not too coarse.
    private static func hasShape(_ found: (height: Int, width: Int), of size: (height: Int, width: Int)) -> Bool {
        func scaled(_ length: Int, _ from: Int, _ to: Int) -> Int { (2 * length * to + from) / (2 * from) }
        guard found.height > 0, found.width > 0, found.height * coarsest >= size.height,
            found.width * coarsest >= size.width
        else { return false }
        let (wider, higher) = (found.width * size.height, found.height * size.width)
        return abs(wider - higher) * 20 <= max(wider, higher)
            && (scaled(size.width, size.height, found.height) == found.width
                || scaled(size.height, size.width, found.width) == found.height)
    }

    /// What else is expected of a label than its image's size.
    private static func other(_ size: (height: Int, width: Int)) -> String {
        func least(_ side: Int) -> Int { (side + coarsest - 1) / coarsest }
        return ", or its proportions and at least \(dimensions(height: least(size.height), width: least(size.width)))"
    }

    private static func isArray(_ url: URL) -> Bool { url.pathExtension.lowercased() == "npy" }

    private func readClasses(
        _ url: URL, _ format: LabelFormat, count: Int?, size: inout (height: Int, width: Int)
    ) throws -> LabelMap {
        let none = ClassLabels.none
        let limit = count ?? Int(none)
        // What tasks leave out need not be a class.
        let absent = Int32(exactly: format.absent).flatMap { (0..<limit).contains(Int($0)) ? nil : $0 }
        let without = [invalid.flatMap { Int32(exactly: $0) }, absent].compactMap { $0 }
        /// The class of each of the first values.
        func table(_ count: Int32) -> [Int32] {
            var translation = (0..<count).map { classes == nil ? $0 : none }
            for (value, index) in classes ?? [:] where translation.indices.contains(value) {
                translation[value] = Int32(index)
            }
            for value in without where translation.indices.contains(Int(value)) { translation[Int(value)] = none }
            return translation
        }
        let stored: [Int32]
        if Self.isArray(url) {
            let array = try array(url, format, size: &size)
            stored = try wholeNumbers(url, array, size: size)
        } else {
            let image = try Image.readStored(url)
            try accept(url, (image.height, image.width), &size)
            // As good as every file; what is wrong with another is found below.
            switch image.values {
            case .bytes(let values):
                if let map = ClassLabels.map(values, table(1 << 8), count: limit) { return map }
                stored = values.map { Int32($0) }
            case .words(let values):
                if let map = ClassLabels.map(values, table(1 << 16), count: limit) { return map }
                stored = values.map { Int32($0) }
            }
        }
        let translation = table(none)
        let width = size.width
        let said = invalid.flatMap { Int(exactly: $0) }.map(String.init)
        let values = try stored.enumerated().map { at, value in
            if translation.indices.contains(Int(value)) { return translation[Int(value)] }
            guard classes != nil || without.contains(value) else {
                throw ClassLabels.refusal(value, at: at, count: limit, width: width, file: url.path, absent: said)
            }
            return none
        }
        return try ClassLabels.map(values, count: limit, width: width, file: url.path, absent: said)
    }

    private static func place(_ pixel: Int, _ size: (height: Int, width: Int)) -> String {
        "row \(pixel / size.width), column \(pixel % size.width)"
    }

    /// An array of a size that fits.
    private func array(_ url: URL, _ format: LabelFormat, size: inout (height: Int, width: Int)) throws -> [Float] {
        let array = try NPYArray.read(url)
        let (shape, channels) = (array.shape, format.channels)
        if shape.count == 3 && shape[2] == channels || shape.count == 2 && channels == 1,
            isOfAnySize && Self.hasShape((shape[0], shape[1]), of: size)
        {
            size = (shape[0], shape[1])
            return array.values
        }
        let expected = [size.height, size.width] + (format.channels > 1 ? [format.channels] : [])
        guard array.shape == expected || array.shape == [size.height, size.width, format.channels] else {
            throw InputError(
                file: url.path, found: "shape \(array.shape)",
                expected: "\(expected) as in the image" + (isOfAnySize ? Self.other(size) : ""))
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
        if case .numbers(let values) = map.values, !Self.areFinite(values),
            let at = values.firstIndex(where: { !$0.isFinite })
        {
            throw InputError(
                file: url.path, place: Self.place(at / format.channels, size), found: "\(stored[at])",
                expected: "a number that float32 holds after scale and offset")
        }
        return map
    }

    /// Whether all are, without a branch for each.
    private static func areFinite(_ values: [Float]) -> Bool {
        let exponent: UInt32 = 0x7F80_0000
        return values.reduce(UInt32(0)) { $0 | ($1.bitPattern & exponent == exponent ? 1 : 0) } == 0
    }

    /// Scales numbers; pixels without a label get what the format says that they have.
    private func numbers(_ stored: [Float], _ format: LabelFormat) -> LabelMap {
        let isPlain = scale == 1 && offset == 0
        var values = isPlain ? stored : stored.map { $0 * scale + offset }
        guard invalid != nil || !Self.areFinite(stored) else {
            return LabelMap(.numbers(values), channels: format.channels)
        }
        let (channels, absent) = (format.channels, Float(format.absent))
        for pixel in 0..<stored.count / channels {
            let range = pixel * channels..<(pixel + 1) * channels
            // No number, and infinity, say as well that nothing was measured.
            let isAbsent =
                range.allSatisfy { stored[$0] == invalid } || range.contains { !stored[$0].isFinite }
            guard isAbsent else { continue }
            for index in range { values[index] = absent }
        }
        return LabelMap(.numbers(values), channels: channels)
    }
}
