import Foundation

/// An image file as Pillow wrote it, with the pixels that Pillow's own decoder finds in it.
public struct GoldenImage: Decodable, Sendable, CustomStringConvertible {
    public let name: String
    public let width, height: Int
    /// The file's bytes.
    public let file: [UInt8]
    /// R,G,B of every pixel as it is stored, row-major.
    public let rgb: [UInt8]

    public var description: String { name }

    private enum CodingKeys: String, CodingKey { case name, width, height, file, rgb }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(String.self, forKey: .name)
        width = try values.decode(Int.self, forKey: .width)
        height = try values.decode(Int.self, forKey: .height)
        file = [UInt8](try values.decode(Data.self, forKey: .file))
        rgb = [UInt8](try values.decode(Data.self, forKey: .rgb))
    }

    /// Every image of `Tests/Golden/images.json`.
    public static func all() throws -> [GoldenImage] { try golden("images.json") }

    /// The file of one of them.
    public static func file(_ name: String) throws -> [UInt8] {
        guard let image = try all().first(where: { $0.name == name }) else { throw CocoaError(.fileNoSuchFile) }
        return image.file
    }
}

/// An array file as NumPy wrote it, with its elements.
public struct GoldenArray: Decodable, Sendable, CustomStringConvertible {
    public let name: String
    public let shape: [Int]
    /// The file's bytes.
    public let file: Data
    /// Row-major.
    public let values: [Float]

    public var description: String { name }

    /// Every array of `Tests/Golden/arrays.json`.
    public static func all() throws -> [GoldenArray] { try golden("arrays.json") }
}

private func golden<Cases: Decodable>(_ name: String) throws -> Cases {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try JSONDecoder().decode(
        Cases.self, from: Data(contentsOf: tests.appendingPathComponent("Golden").appendingPathComponent(name)))
}
