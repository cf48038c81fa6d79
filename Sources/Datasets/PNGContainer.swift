import Foundation

/// The chunks of a PNG file, checked and cut down to those that hold pixels.
///
/// Colour-management chunks are left out because they would make libpng change values, which ruins labels.
///
/// - Source: PNG specification (ISO/IEC 15948), chunk layout and IHDR.
struct PNGContainer {
    /// The colour types of the specification.
    enum Kind: String {
        case grey
        case rgb = "RGB"
        case palette
        case greyAlpha = "grey + alpha"
        case rgba = "RGBA"

        init?(colorType: UInt8) {
            switch colorType {
            case 0: self = .grey
            case 2: self = .rgb
            case 3: self = .palette
            case 4: self = .greyAlpha
            case 6: self = .rgba
            default: return nil
            }
        }
    }

    /// What IHDR says.
    struct Header {
        var width, height, bitDepth: Int
        var kind: Kind
    }

    /// Larger images are taken for corrupt headers, before memory is asked for.
    private static let maximumPixels = 1 << 28

    let header: Header
    let hasTransparency: Bool
    /// A PNG stream of signature, IHDR, PLTE, IDAT and IEND only.
    let essentials: Data

    /// Walks the chunks of a whole file.
    ///
    /// - Throws: `DatasetError` if the signature, the header or a chunk's extent is wrong or IEND is missing.
    init(_ data: Data, path: String) throws {
        let bytes = [UInt8](data)
        guard bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) else {
            throw DatasetError("\(path): the file (\(bytes.count) bytes) does not begin with the PNG signature")
        }
        var essentials = data.prefix(8)
        var header: Header?
        var hasTransparency = false
        var ended = false
        var position = 8
        while !ended {
            guard position + 12 <= bytes.count else {
                throw DatasetError(
                    "\(path): the PNG is truncated: it ends at byte \(bytes.count) before its IEND chunk")
            }
            let length = Self.word(bytes, position)
            guard length <= bytes.count - position - 12 else {
                throw DatasetError(
                    "\(path): the PNG is truncated: a chunk at byte \(position) has \(length) bytes, the file \(bytes.count)"
                )
            }
            let type = String(decoding: bytes[position + 4..<position + 8], as: UTF8.self)
            let end = position + 12 + length
            switch type {
            case "IHDR": header = try Self.parse(bytes, at: position + 8, length: length, path: path)
            case "tRNS": hasTransparency = true
            case "IEND": ended = true
            default: break
            }
            if ["IHDR", "PLTE", "IDAT", "IEND"].contains(type) { essentials.append(contentsOf: bytes[position..<end]) }
            position = end
        }
        guard let header else { throw DatasetError("\(path): the PNG has no IHDR chunk; the file is corrupt") }
        self.header = header
        self.hasTransparency = hasTransparency
        self.essentials = essentials
    }

    private static func parse(_ bytes: [UInt8], at start: Int, length: Int, path: String) throws -> Header {
        guard length == 13, let kind = Kind(colorType: bytes[start + 9]) else {
            throw DatasetError("\(path): the PNG's IHDR chunk is corrupt")
        }
        let width = word(bytes, start)
        let height = word(bytes, start + 4)
        guard width > 0, height > 0, width <= maximumPixels, height <= maximumPixels / width else {
            throw DatasetError(
                "\(path): the PNG claims \(width) x \(height) pixels, expected 1...\(maximumPixels) in all")
        }
        return Header(width: width, height: height, bitDepth: Int(bytes[start + 8]), kind: kind)
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> Int {
        bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
    }
}
