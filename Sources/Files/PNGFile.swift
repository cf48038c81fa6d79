import AdaShareSupport
import CAdaSharePNG
import Foundation

/// The bytes of a PNG file, read by libpng and by nothing else: two readers of one file may disagree about its size.
///
/// Both readings go through libpng alone, and the second one compares its own count of bytes with the buffer it is
/// given.
struct PNGFile {
    /// What the pixels are.
    enum Kind: String {
        case grey
        case rgb = "RGB"
        case palette
        case greyAlpha = "grey + alpha"
        case rgba = "RGBA"
    }

    /// What stands before the pixels.
    struct Header {
        let width, height, bitDepth: Int
        let kind: Kind
        let hasTransparency: Bool
    }

    /// Bytes that one byte of a deflate stream may become: 258 from two bits.
    ///
    /// - Source: RFC 1951, section 3.2.5.
    private static let mostExpansion = 1032

    let header: Header
    private let data: Data
    private let path: String

    /// Whether the bytes begin as every PNG file does.
    static func hasSignature(_ data: Data) -> Bool { data.withBytes { adashare_png_has_signature($0, data.count) } }

    /// Reads what stands before the pixels.
    ///
    /// - Throws: `InputError` if the signature is missing, if libpng refuses the header, or if the file claims more
    ///   pixels than can be or than its bytes can hold.
    init(_ data: Data, path: String) throws {
        self.data = data
        self.path = path
        let bytes = data.count
        guard Self.hasSignature(data) else {
            throw InputError(file: path, found: "\(bytes) bytes without the PNG signature", expected: "a PNG image")
        }
        var read = adashare_png_header()
        try Self.check(path) { message in data.withBytes { adashare_png_read_header($0, bytes, &read, &message) } }
        let (width, height) = (Int(read.width), Int(read.height))
        let size = dimensions(height: height, width: width) + " pixels (height × width)"
        guard height <= Image.maximumPixels / width else {
            throw InputError(
                file: path, found: "a PNG that claims \(size)",
                expected: "1...\(Image.maximumPixels) in all")
        }
        guard height * read.row_bytes / Self.mostExpansion <= bytes else {
            throw InputError(
                file: path, found: "a truncated PNG, which claims \(size)",
                expected: "no more than a file of \(bytes) bytes can hold")
        }
        header = Header(
            width: width, height: height, bitDepth: Int(read.bit_depth), kind: Kind(read.color),
            hasTransparency: read.has_transparency)
    }

    /// R,G,B of 8 bits, whatever the file holds: palettes as their colours, grey three times, 16 bits rounded to 8,
    /// alpha and transparent colours left out.
    ///
    /// - Throws: `InputError` if libpng refuses the file or warns of it.
    func colours() throws -> [UInt8] { try bytes(ADASHARE_PNG_AS_RGB, perPixel: 3) }

    /// The same of a file whose pixels all have a colour of their own.
    ///
    /// - Throws: also `InputError` if a pixel lets through what lies behind it: the file does not say what that is.
    func opaqueColours() throws -> [UInt8] {
        guard header.hasTransparency || header.kind == .rgba || header.kind == .greyAlpha else { return try colours() }
        let pixels = try bytes(ADASHARE_PNG_AS_RGBA, perPixel: 4)
        let through = stride(from: 3, to: pixels.count, by: 4).count { pixels[$0] < 255 }
        guard through == 0 else {
            throw InputError(
                file: path, found: "\(through) of \(pixels.count / 4) pixels transparent",
                expected: "an opaque image: flattened onto a background, or saved without alpha")
        }
        return [UInt8](unsafeUninitializedCapacity: pixels.count / 4 * 3) { colours, initialized in
            for pixel in 0..<pixels.count / 4 {
                for channel in 0..<3 { colours[3 * pixel + channel] = pixels[4 * pixel + channel] }
            }
            initialized = pixels.count / 4 * 3
        }
    }

    /// The samples, or the palette indices, one byte each.
    ///
    /// - Precondition: at most 8 bits a sample, and `channels` of them a pixel.
    /// - Throws: `InputError` if libpng refuses the file or warns of it.
    func pixels(channels: Int) throws -> [UInt8] { try bytes(ADASHARE_PNG_AS_STORED, perPixel: channels) }

    private func bytes(_ form: adashare_png_form, perPixel: Int) throws -> [UInt8] {
        let count = header.width * header.height * perPixel
        // Not filled with zeros: pages of pixels that never come are never touched.
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            try Self.check(path) { message in
                data.withBytes { adashare_png_read_pixels($0, data.count, form, buffer.baseAddress, count, &message) }
            }
            initialized = count
        }
    }

    /// The samples of a grey file of 16 bits.
    ///
    /// - Precondition: 16 bits a sample, one of them a pixel.
    /// - Throws: `InputError` if libpng refuses the file or warns of it.
    func samples16() throws -> [UInt16] {
        let bytes = try bytes(ADASHARE_PNG_AS_STORED, perPixel: 2)
        return (0..<bytes.count / 2).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }
    }

    /// What is written.
    enum Content {
        /// Grey values of 8 bits.
        case grey([UInt8])
        /// R,G,B of 8 bits.
        case colours([UInt8])
        /// Indices into a palette of at most 256 colours R,G,B.
        case indices([UInt8], palette: [UInt8])
        /// Grey values of 16 bits.
        case words([UInt16])
    }

    /// A file.
    ///
    /// - Precondition: as many values as pixels; indices lie in the palette.
    /// - Throws: `InputError` if libpng cannot write it.
    static func encode(width: Int, height: Int, _ content: Content, path: String) throws -> Data {
        let (color, bits, palette, bytes): (adashare_png_color, CInt, [UInt8], [UInt8]) =
            switch content {
            case .grey(let values): (ADASHARE_PNG_GREY, 8, [], values)
            case .colours(let values): (ADASHARE_PNG_RGB, 8, [], values)
            case .indices(let values, let palette): (ADASHARE_PNG_PALETTE, 8, palette, values)
            case .words(let values):
                (ADASHARE_PNG_GREY, 16, [], values.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] })
            }
        var file = adashare_png_data()
        defer { adashare_png_free(&file) }
        var message = adashare_png_message()
        guard
            adashare_png_write(
                UInt32(width), UInt32(height), color, bits, palette, CInt(palette.count / 3), bytes, &file, &message)
        else {
            throw InputError(
                file: path, found: "an image that cannot be encoded: \(line(ofCharacters: message.text))",
                expected: "one that can")
        }
        return Data(UnsafeBufferPointer(start: file.bytes, count: file.count))
    }

    /// The one check of every call that reads.
    private static func check(_ path: String, _ call: (inout adashare_png_message) -> Bool) throws {
        var message = adashare_png_message()
        guard call(&message) else {
            throw InputError(
                file: path, found: "a truncated or corrupt PNG: \(line(ofCharacters: message.text))",
                expected: "a whole one")
        }
    }
}

extension PNGFile.Kind {
    /// libpng reads no other colour types.
    fileprivate init(_ color: adashare_png_color) {
        switch color {
        case ADASHARE_PNG_GREY: self = .grey
        case ADASHARE_PNG_RGB: self = .rgb
        case ADASHARE_PNG_PALETTE: self = .palette
        case ADASHARE_PNG_GREY_ALPHA: self = .greyAlpha
        default: self = .rgba
        }
    }
}

extension Data {
    /// The bytes as C takes them; nil where there are none.
    func withBytes(_ body: (UnsafePointer<UInt8>?) -> Bool) -> Bool {
        withUnsafeBytes { body($0.bindMemory(to: UInt8.self).baseAddress) }
    }
}
