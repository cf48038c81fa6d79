import AdaShareFiles
import AdaShareMethods
import AdaShareSupport
import Foundation

@testable import AdaShareDeviceLayer

extension Target {
    /// Files of tensors, arrays, images and binaries.
    static let files: [String: Target] = [
        "safetensors": Target(mend: mendHeaderLength) { bytes in
            let file = try TensorFile.decode(bytes, file: "f")
            for name in file.names {
                _ = try? file.floats(name)
                _ = try? file.integers(name)
                _ = file.tensors[name]?.isFinite
            }
            var known = file
            known.otherTypes = [:]
            let again = try TensorFile.decode(known.encoded(), file: "f")
            require(again == known, "another file after writing and reading")
            _ = known.dropping("backbone.")
            if let policy = file.metadata["policy"] {
                _ = try SelectionPolicy.parse(Data(policy.utf8), file: "f", tasks: ["a", "b"], blocks: 4)
            }
        },
        "npy": Target { bytes in
            let array = try NPYArray.read(Scratch.file("a.npy", bytes))
            require(array.values.count == array.shape.reduce(1, *), "\(array.values.count) values of \(array.shape)")
        },
        "png": Target(mend: mendChunks, spare: 1 << 26) { bytes in
            let url = Scratch.file("a.png", bytes)
            let readers: [() throws -> Void] = [
                { _ = try Image.read(url, channels: 3) }, { _ = try Image.read(url, channels: 1) },
                { _ = try Image.readOpaque(url) }, { _ = try Image.readColours(url) },
                { _ = try Image.readStored(url) },
            ]
            var first: (any Error)?
            for reader in readers {
                do { try reader() } catch { first = first ?? error }
            }
            if let first { throw first }
        },
        "jpeg": Target(spare: 1 << 26) { bytes in
            // The signature stays, so that every input is one for libjpeg.
            _ = try Image.read(Scratch.file("a.jpg", Data([0xFF, 0xD8, 0xFF]) + bytes), channels: 3)
        },
        "mat": Target { bytes in
            let file = try MATFile(Scratch.file("a.mat", bytes))
            require(file.arrays.keys.allSatisfy(file.names.contains), "an array without a name")
            _ = try MATFile(Scratch.file("a.mat", bytes), arrays: ["trainNdxs"])
        },
        // libhdf5 takes what the tables of a file claim.
        "hdf5": Target(spare: 1 << 30) { bytes in
            let file = try HDF5File(Scratch.file("a.h5", bytes))
            for name in ["images", "depths", "labels", "names"] {
                guard let found = try? file.describe(name) else { continue }
                let rest = found.shape.dropFirst().reduce(1.0) { $0 * Double($1) }
                guard !found.shape.isEmpty, rest <= 65_536 else { continue }
                switch found.element {
                case .uint8: _ = try? file.bytes(name, at: 0, count: Int(rest))
                case .uint16: _ = try? file.words(name, at: 0, count: Int(rest))
                default: _ = try? file.floats(name, at: 0, count: Int(rest))
                }
            }
        },
        "program-cache": Target(mend: mendProgram) { bytes in
            let payload = ProgramCacheFile.payload(of: [UInt8](bytes), key: programKey)
            if let payload {
                require(
                    ProgramCacheFile.encode(payload, key: programKey) == [UInt8](bytes), "a changed binary accepted")
            }
            _ = DriverCache.isWhole(Scratch.file("a.so", bytes).path)
        },
    ]

    // The key has no initialiser but from a device.
    private static let programKey = unsafeBitCast([UInt8](repeating: 7, count: 32), to: ProgramCacheKey.self)

    /// Sets a safetensors header's length to where its JSON ends.
    private static let mendHeaderLength: @Sendable (UnsafeMutableBufferPointer<UInt8>, Int) -> Int = { bytes, count in
        guard count > 10, bytes[8] == UInt8(ascii: "{") else { return count }
        var (depth, isText, end) = (0, false, 8)
        while end < count {
            switch bytes[end] {
            case UInt8(ascii: "\""): isText.toggle()
            case UInt8(ascii: "\\") where isText: end += 1
            case UInt8(ascii: "{") where !isText: depth += 1
            case UInt8(ascii: "}") where !isText: depth -= 1
            default: break
            }
            end += 1
            if depth == 0 { break }
        }
        let length = UInt64(min(end, count) - 8)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
        return count
    }

    /// Sets the checksums of a PNG's chunks.
    private static let mendChunks: @Sendable (UnsafeMutableBufferPointer<UInt8>, Int) -> Int = { bytes, count in
        guard let base = bytes.baseAddress else { return count }
        var at = 8
        while at + 12 <= count {
            let length = (0..<4).reduce(0) { $0 << 8 | Int(bytes[at + $1]) }
            guard length <= count - at - 12 else { break }
            let sum = checksum(UnsafeBufferPointer(start: base + at + 4, count: length + 4))
            for index in 0..<4 { bytes[at + 8 + length + index] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * index)) }
            at += 12 + length
        }
        return count
    }

    /// Sets length and digest of a binary, for one of a few keys.
    private static let mendProgram: @Sendable (UnsafeMutableBufferPointer<UInt8>, Int) -> Int = { bytes, count in
        let head = ProgramCacheFile.headerBytes
        guard count > head, bytes[count - 1] & 1 == 0 else { return count }
        let whole = ProgramCacheFile.encode(Array(bytes[head..<count]), key: programKey)
        for (index, byte) in whole.enumerated() { bytes[index] = byte }
        return count
    }
}

/// CRC-32 as PNG has it.
private func checksum(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { sum, byte in
        (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
    }
}
