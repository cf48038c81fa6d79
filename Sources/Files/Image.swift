import AdaShareSupport
import Foundation

/// An 8-bit image in host memory: one channel (grey values or palette indices) or three (R,G,B).
///
/// Files are PNG, and JPEG where they are pictures; their first bytes, not their names, say which. Pixels lie as they
/// are stored: an orientation that a camera left in Exif data is not applied, and labels lie in stored orientation too.
public struct Image: Sendable, Equatable {
    /// Pixels.
    public let width, height: Int
    /// 1 or 3.
    public let channels: Int
    /// Row-major, channels innermost: shape [height, width, channels].
    public let pixels: [UInt8]

    /// Larger images are taken for corrupt headers, before memory is asked for.
    package static let maximumPixels = 1 << 28

    /// Creates an image from its pixels.
    ///
    /// - Precondition: `channels` is 1 or 3, sizes are positive and `pixels` holds height · width · channels values.
    public init(width: Int, height: Int, channels: Int, pixels: [UInt8]) {
        precondition(channels == 1 || channels == 3, "channels is \(channels), expected 1 or 3")
        precondition(width > 0 && height > 0 && pixels.count == width * height * channels, "pixel count mismatch")
        self.width = width
        self.height = height
        self.channels = channels
        self.pixels = pixels
    }

    /// Reads a picture, or a label of one number for each pixel.
    ///
    /// A picture is any PNG or JPEG: grey becomes R = G = B, palette indices their colours (black beyond the palette),
    /// 16 bits are rounded to 8, alpha and transparent colours are left out; nothing is done about gamma or profiles.
    /// Labels are exact, and so is what they are read from.
    ///
    /// - Parameter url: the file.
    /// - Parameter channels: 3 for a picture, 1 for a label: an 8-bit grey PNG, or the indices of one with a palette.
    /// - Throws: `InputError` if the file is missing, truncated, corrupt, or of another kind.
    public static func read(_ url: URL, channels: Int) throws -> Image {
        precondition(channels == 1 || channels == 3, "channels is \(channels), expected 1 or 3")
        let data = try WholeFile.read(url)
        guard channels == 3 else { return try label(exact(data, url, "8-bit grey or palette PNG"), url) }
        return try picture(data, url) { try $0.colours() }
    }

    /// Reads a picture whose every pixel has a colour of its own: as `read` does, but alpha has to be opaque.
    ///
    /// - Throws: as `read`, and `InputError` if pixels are transparent.
    package static func readOpaque(_ url: URL) throws -> Image {
        try picture(WholeFile.read(url), url) { try $0.opaqueColours() }
    }

    private static func picture(_ data: Data, _ url: URL, _ colours: (PNGFile) throws -> [UInt8]) throws -> Image {
        if JPEGFile.hasSignature(data) {
            let file = try JPEGFile(data, path: url.path)
            return Image(width: file.width, height: file.height, channels: 3, pixels: try file.colours())
        }
        guard PNGFile.hasSignature(data) else {
            throw InputError(
                file: url.path, found: "\(data.count) bytes without the signature of an image",
                expected: "a PNG or JPEG image")
        }
        let file = try PNGFile(data, path: url.path)
        return Image(width: file.header.width, height: file.header.height, channels: 3, pixels: try colours(file))
    }

    /// Reads three numbers for each pixel, such as the normals of a surface: an 8-bit RGB PNG.
    ///
    /// - Throws: `InputError` if the file is missing, truncated, corrupt, or of another kind.
    public static func readColours(_ url: URL) throws -> Image {
        let file = try exact(WholeFile.read(url), url, "8-bit RGB PNG")
        let header = file.header
        guard header.kind == .rgb, header.bitDepth == 8 else {
            throw InputError(
                file: url.path, found: "a \(header.bitDepth)-bit \(header.kind.rawValue) PNG",
                expected: "8-bit RGB, whose values are the label")
        }
        try refuseTransparency(header, url)
        return Image(width: header.width, height: header.height, channels: 3, pixels: try file.pixels(channels: 3))
    }

    /// Numbers of 8 or 16 bits, as a file stores them.
    package enum Numbers {
        case bytes([UInt8])
        case words([UInt16])
    }

    /// Reads a PNG file of one channel as numbers: 8-bit grey values or palette indices, or 16-bit grey values.
    ///
    /// - Returns: shape [height, width], row-major.
    /// - Throws: `InputError` if the file is missing, truncated, corrupt, or of another kind.
    public static func readNumbers(_ url: URL) throws -> (width: Int, height: Int, values: [UInt16]) {
        let (width, height, values) = try readStored(url)
        switch values {
        case .bytes(let values): return (width, height, values.map(UInt16.init))
        case .words(let values): return (width, height, values)
        }
    }

    /// The same in as many bits as the file has.
    package static func readStored(_ url: URL) throws -> (width: Int, height: Int, values: Numbers) {
        let file = try exact(WholeFile.read(url), url, "8- or 16-bit grey or palette PNG")
        guard file.header.kind == .grey, file.header.bitDepth == 16, !file.header.hasTransparency else {
            let image = try label(file, url)
            return (image.width, image.height, .bytes(image.pixels))
        }
        return (file.header.width, file.header.height, .words(try file.samples16()))
    }

    /// A file of labels.
    private static func exact(_ data: Data, _ url: URL, _ wanted: String) throws -> PNGFile {
        guard !JPEGFile.hasSignature(data) else {
            throw InputError(
                file: url.path, found: "a JPEG, whose values are not exact",
                expected: "the label as it was before compression: \(wanted)")
        }
        return try PNGFile(data, path: url.path)
    }

    private static func label(_ file: PNGFile, _ url: URL) throws -> Image {
        let header = file.header
        guard header.kind == .palette || (header.kind == .grey && header.bitDepth == 8) else {
            let remedy =
                switch header.kind {
                case .rgb: "colours as indices of a palette, or the number of each class as grey"
                case .rgba, .greyAlpha: "the file saved without alpha"
                default: "the values saved with 8 bits"
                }
            throw InputError(
                file: url.path, found: "a \(header.bitDepth)-bit \(header.kind.rawValue) PNG",
                expected: "8-bit grey or palette, one number for each pixel: \(remedy)")
        }
        try refuseTransparency(header, url)
        return Image(width: header.width, height: header.height, channels: 1, pixels: try file.pixels(channels: 1))
    }

    private static func refuseTransparency(_ header: PNGFile.Header, _ url: URL) throws {
        guard !header.hasTransparency else {
            throw InputError(file: url.path, found: "a PNG with a transparent colour", expected: "one without alpha")
        }
    }

    /// Writes the image as PNG under a temporary name and then renames it, so a half-written file never replaces a
    /// whole one.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws {
        try AtomicFile.write(png(for: url.path), to: url)
    }

    /// The image as the bytes of a PNG file.
    ///
    /// - Parameter path: the file they are for, which errors name.
    /// - Throws: `InputError` if it cannot be encoded.
    package func png(for path: String) throws -> Data {
        let content: PNGFile.Content = channels == 3 ? .colours(pixels) : .grey(pixels)
        return try PNGFile.encode(width: width, height: height, content, path: path)
    }

    /// Writes one number of 8 bits for each pixel as a PNG with a palette, in the same way.
    ///
    /// - Precondition: numbers are below the count of the palette's colours, which is at most 256.
    package static func write(indices: [UInt8], palette: [UInt8], width: Int, height: Int, to url: URL) throws {
        try write(.indices(indices, palette: palette), width, height, to: url)
    }

    /// Writes one number of 16 bits for each pixel as a grey PNG, in the same way.
    package static func write(words: [UInt16], width: Int, height: Int, to url: URL) throws {
        try write(.words(words), width, height, to: url)
    }

    private static func write(_ content: PNGFile.Content, _ width: Int, _ height: Int, to url: URL) throws {
        try AtomicFile.write(PNGFile.encode(width: width, height: height, content, path: url.path), to: url)
    }
}
