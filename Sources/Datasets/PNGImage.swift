import CPNG
import Foundation

/// An 8-bit PNG image in host memory: one channel (grey values or palette indices) or three (R,G,B).
public struct PNGImage: Sendable, Equatable {
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
    /// - Parameter channels: 1 for 8-bit grey or palette indices, 3 for 8-bit RGB.
    /// - Throws: `DatasetError` if the file is missing, no PNG, truncated, corrupt, or of another kind (16 bit, alpha).
    public static func read(_ url: URL, channels: Int) throws -> PNGImage {
        precondition(channels == 1 || channels == 3, "channels is \(channels), expected 1 or 3")
        let container = try PNGContainer(readFile(url), path: url.path)
        let header = container.header
        let accepted = channels == 3 ? [PNGContainer.Kind.rgb] : [.grey, .palette]
        guard accepted.contains(header.kind), header.kind == .palette || header.bitDepth == 8 else {
            let expected = channels == 3 ? "8-bit RGB" : "8-bit grey or palette"
            throw DatasetError(
                "\(url.path): found a \(header.bitDepth)-bit \(header.kind.rawValue) PNG, expected \(expected)")
        }
        guard !container.hasTransparency else {
            throw DatasetError("\(url.path): found a PNG with a transparent colour, expected one without alpha")
        }
        return try decode(container, channels: channels, path: url.path)
    }

    /// Writes the image as PNG under a temporary name and then renames it, so a half-written file never replaces a whole one.
    ///
    /// - Throws: `DatasetError` if the file cannot be written.
    public func write(to url: URL) throws {
        var image = Self.control()
        image.width = UInt32(width)
        image.height = UInt32(height)
        image.format = channels == 3 ? png_uint_32(PNG_FORMAT_RGB) : png_uint_32(PNG_FORMAT_GRAY)
        // Filters and zlib headers add little: half as much again plus a constant always fits, even incompressible pixels.
        var size = pixels.count + pixels.count / 2 + 4096
        var data = Data(count: size)
        let done = data.withUnsafeMutableBytes { target in
            png_image_write_to_memory(&image, target.baseAddress, &size, 0, pixels, 0, nil)
        }
        guard done != 0 else {
            throw DatasetError("\(url.path): the image cannot be encoded: \(Self.message(image))")
        }
        try writeFile(data.prefix(size), to: url)
    }

    private static func decode(_ container: PNGContainer, channels: Int, path: String) throws -> PNGImage {
        let header = container.header
        var image = control()
        defer { png_image_free(&image) }
        var pixels = [UInt8](repeating: 0, count: header.width * header.height * channels)
        // A palette file is decoded to its indices; the colours themselves land here and are not needed.
        var palette = [UInt8](repeating: 0, count: 256 * 3)
        let finished = container.essentials.withUnsafeBytes { bytes in
            guard png_image_begin_read_from_memory(&image, bytes.baseAddress, bytes.count) != 0 else { return false }
            switch header.kind {
            case .rgb: image.format = png_uint_32(PNG_FORMAT_RGB)
            case .palette: image.format = png_uint_32(PNG_FORMAT_RGB) | png_uint_32(PNG_FORMAT_FLAG_COLORMAP)
            default: image.format = png_uint_32(PNG_FORMAT_GRAY)
            }
            return png_image_finish_read(&image, nil, &pixels, 0, &palette) != 0
        }
        // libpng reports damage it could paper over as a warning; a label file must not be papered over.
        guard finished, image.warning_or_error == 0 else {
            throw DatasetError("\(path): the PNG is truncated or corrupt: \(message(image))")
        }
        return PNGImage(width: header.width, height: header.height, channels: channels, pixels: pixels)
    }

    private static func control() -> png_image {
        var image = png_image()
        image.version = png_uint_32(PNG_IMAGE_VERSION)
        return image
    }

    private static func message(_ image: png_image) -> String {
        withUnsafeBytes(of: image.message) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
