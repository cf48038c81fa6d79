import AdaShareSupport
import Foundation

/// An 8-bit PNG image in host memory: one channel (grey values or palette indices) or three (R,G,B).
public struct PNGImage: Sendable, Equatable {
    /// Pixels.
    public let width, height: Int
    /// 1 or 3.
    public let channels: Int
    /// Row-major, channels innermost: shape [height, width, channels].
    public let pixels: [UInt8]

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

    /// Reads a PNG file without any colour conversion.
    ///
    /// - Parameter url: the file.
    /// - Parameter channels: 1 for 8-bit grey or palette indices, 3 for 8-bit RGB.
    /// - Throws: `InputError` if the file is missing, no PNG, truncated, corrupt, or of another kind (16 bit, alpha).
    public static func read(_ url: URL, channels: Int) throws -> PNGImage {
        precondition(channels == 1 || channels == 3, "channels is \(channels), expected 1 or 3")
        return try image(of: PNGFile(WholeFile.read(url), path: url.path), at: url, channels: channels)
    }

    private static func image(of file: PNGFile, at url: URL, channels: Int) throws -> PNGImage {
        let header = file.header
        let accepted = channels == 3 ? [PNGFile.Kind.rgb] : [.grey, .palette]
        guard accepted.contains(header.kind), header.kind == .palette || header.bitDepth == 8 else {
            let expected = channels == 3 ? "8-bit RGB" : "8-bit grey or palette"
            throw InputError(
                file: url.path, found: "a \(header.bitDepth)-bit \(header.kind.rawValue) PNG", expected: expected)
        }
        guard !header.hasTransparency else {
            throw InputError(file: url.path, found: "a PNG with a transparent colour", expected: "one without alpha")
        }
        return PNGImage(
            width: header.width, height: header.height, channels: channels,
            pixels: try file.pixels(channels: channels))
    }

    /// Reads a PNG file of one channel as numbers: 8-bit grey values or palette indices, or 16-bit grey values.
    ///
    /// - Returns: shape [height, width], row-major.
    /// - Throws: `InputError` if the file is missing, no PNG, truncated, corrupt, or of another kind.
    public static func readNumbers(_ url: URL) throws -> (width: Int, height: Int, values: [UInt16]) {
        let file = try PNGFile(WholeFile.read(url), path: url.path)
        guard file.header.kind == .grey, file.header.bitDepth == 16, !file.header.hasTransparency else {
            let image = try image(of: file, at: url, channels: 1)
            return (image.width, image.height, image.pixels.map(UInt16.init))
        }
        return (file.header.width, file.header.height, try file.samples16())
    }

    /// Writes the image as PNG under a temporary name and then renames it, so a half-written file never replaces a
    /// whole one.
    ///
    /// - Throws: `InputError` if the file cannot be written.
    public func write(to url: URL) throws {
        let data = try PNGFile.encode(
            width: width, height: height, channels: channels, pixels: pixels, path: url.path)
        try AtomicFile.write(data, to: url)
    }
}
