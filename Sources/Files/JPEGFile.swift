import AdaShareSupport
import CAdaShareJPEG
import Foundation

/// The bytes of a JPEG file, read by libjpeg and by nothing else.
struct JPEGFile {
    /// Pixels.
    let width, height: Int
    private let data: Data
    private let path: String

    /// Pixels that one byte of a file may stand for: a block of 64 takes a bit at least, in the first scan of its
    /// brightness.
    ///
    /// - Source: ISO/IEC 10918-1, annexes F and G.
    private static let mostExpansion = 512

    /// Whether the bytes begin as every JPEG file does.
    static func hasSignature(_ data: Data) -> Bool { data.withBytes { adashare_jpeg_has_signature($0, data.count) } }

    /// Reads what stands before the pixels.
    ///
    /// - Throws: `InputError` if libjpeg refuses the header, if the file is of a kind that is not read, or if it claims
    ///   more pixels than can be or than its bytes can hold.
    init(_ data: Data, path: String) throws {
        self.data = data
        self.path = path
        let bytes = data.count
        var header = adashare_jpeg_header()
        try Self.check(path) { message in data.withBytes { adashare_jpeg_read_header($0, bytes, &header, &message) } }
        (width, height) = (Int(header.width), Int(header.height))
        func refuse(_ found: String, _ expected: String) -> InputError {
            InputError(file: path, found: found, expected: expected)
        }
        guard header.bit_depth == 8 else {
            throw refuse("a JPEG of \(header.bit_depth) bits a sample", "one of 8; or the image as PNG")
        }
        switch header.color {
        case ADASHARE_JPEG_GREY, ADASHARE_JPEG_RGB: break
        case ADASHARE_JPEG_CMYK: throw refuse("a CMYK JPEG, in inks for printing", "one in RGB, YCbCr or grey")
        default: throw refuse("a JPEG in an unknown colour space", "one in RGB, YCbCr or grey")
        }
        guard !header.is_arithmetic else {
            throw refuse("a JPEG with arithmetic coding", "Huffman coding, baseline or progressive")
        }
        let size = dimensions(height: height, width: width) + " pixels (height × width)"
        guard height <= Image.maximumPixels / width else {
            throw refuse("a JPEG that claims \(size)", "1...\(Image.maximumPixels) in all")
        }
        guard height * width / Self.mostExpansion <= bytes else {
            throw refuse(
                "a truncated JPEG, which claims \(size)",
                "no more than a file of \(bytes) bytes can hold")
        }
    }

    /// R,G,B of 8 bits, grey three times.
    ///
    /// The same numbers on every machine: integer arithmetic, and whatever libjpeg warns of is an error.
    ///
    /// - Throws: `InputError` if libjpeg refuses the file or warns of it.
    func colours() throws -> [UInt8] {
        let count = width * height * 3
        // Not filled with zeros: pages of pixels that never come are never touched.
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            try Self.check(path) { message in
                data.withBytes { adashare_jpeg_read_pixels($0, data.count, buffer.baseAddress, count, &message) }
            }
            initialized = count
        }
    }

    /// The one check of every call.
    private static func check(_ path: String, _ call: (inout adashare_jpeg_message) -> Bool) throws {
        var message = adashare_jpeg_message()
        guard call(&message) else {
            throw InputError(
                file: path, found: "a truncated or corrupt JPEG: \(line(ofCharacters: message.text))",
                expected: "a whole one")
        }
    }
}
