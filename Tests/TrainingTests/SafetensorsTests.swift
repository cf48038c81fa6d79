import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareTraining

@Suite struct SafetensorsTests {
    /// Length field, header as given (not padded) and data.
    private func bytes(_ header: String, _ data: [UInt8]) -> Data {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8) + Data(data)
    }

    private func message(_ data: Data) -> String {
        do {
            _ = try TensorFile.decode(data, file: "x.safetensors")
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func readsAFileBuiltByHand() throws {
        let header =
            #"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},"#
            + #""n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"u":{"dtype":"U8","shape":[2],"data_offsets":[16,18]},"#
            + #""h":{"dtype":"F16","shape":[4],"data_offsets":[18,26]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[26,28]},"#
            + #""e":{"dtype":"F32","shape":[0,3],"data_offsets":[28,28]}}"#
        let data: [UInt8] =
            [5, 0, 0, 0, 0, 0, 0, 0] + [0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0] + [7, 255]
            + [0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc, 0xff, 0x7b] + [0xc0, 0x3f]
        let file = try TensorFile.decode(bytes(header, data), file: "x")
        #expect(file.names == ["b", "e", "h", "n", "u", "w"])
        #expect(file.metadata == ["format": "pt"])
        #expect(try file.floats("w", shape: [1, 2]) == [1, -2.5])
        #expect(try file.integers("n", shape: []) == [5])
        #expect(try file.integers("u") == [7, 255])
        #expect(try file.floats("h") == [1, 0x1p-24, -.infinity, 65504])
        #expect(try file.floats("b") == [1.5])
        #expect(try file.floats("e").isEmpty)
    }

    @Test func otherTypesAreInNobodysWay() throws {
        let header =
            #"{"__metadata__":null,"a":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]},"#
            + #""w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#
        let file = try TensorFile.decode(bytes(header, [1, 0, 1, 0, 0, 0, 0x80, 0x3f]), file: "x")
        #expect(try file.floats("w") == [1])
        #expect(file.names == ["w"] && file.allNames == ["a", "w"] && file.metadata.isEmpty)
        #expect(throws: InputError.self) { try file.floats("a") }
    }

    @Test func namesStandOnce() {
        let entry = #""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#
        let twice = message(bytes("{\(entry),\(entry)}", [0, 0, 0, 0]))
        #expect(twice.contains("tensor w: found it given twice"), "\(twice)")
        let spelled = message(bytes("{\(entry),\(entry.replacing("w", with: "\\u0077"))}", [0, 0, 0, 0]))
        #expect(spelled.contains("given twice"), "\(spelled)")
    }

    @Test func otherFilesAreCalledWhatTheyAre() {
        for (text, parts) in [
            ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", ["Git's", "git lfs pull"]),
            ("<!DOCTYPE html>\n<html></html>", ["text (\"<!DOCTYPE html>\")"]),
            ("PK\u{3}\u{4}aaaaaaaaaaaaaaaa", ["a ZIP archive", "PyTorch"]),
            ("\u{8}\u{7}\u{12}\u{7}pytorchaaaaaaaa", ["an ONNX model"]),
            ("\u{8}\u{7}\u{13}\u{7}pytorchaaaaaaaa", ["not safetensors"]),
        ] {
            let found = message(Data(text.utf8))
            for part in parts { #expect(found.contains(part), "\(found)") }
        }
    }

    @Test func writesExactlyTheseBytes() {
        var file = TensorFile()
        file.add("b", floats: [1, -2.5], shape: [2, 1])
        file.add("c", integers: [-2], shape: [])
        file.add("a", floats: [0.5], shape: [1])
        file.metadata = ["k": "a\"b"]
        // The wider element first, then by name; the header padded to a multiple of 8.
        var header =
            #"{"__metadata__":{"k":"a\"b"},"a":{"data_offsets":[8,12],"dtype":"F32","shape":[1]},"#
            + #""b":{"data_offsets":[12,20],"dtype":"F32","shape":[2,1]},"c":{"data_offsets":[0,8],"dtype":"I64","shape":[]}}"#
        while header.utf8.count % 8 != 0 { header += " " }
        let data: [UInt8] =
            [0xfe] + Array(repeating: 0xff, count: 7) + [0, 0, 0, 0x3f] + [0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0]
        #expect(file.encoded() == bytes(header, data))
    }

    @Test func contentHashDoesNotDependOnHowContentsAreCut() {
        let whole = Data((0..<100).map { UInt8($0 &* 37 & 0xFF) })
        for first in 0..<20 {
            for second in [0, 1, 7, 8, 31] {
                let cut = [whole[..<first], whole[first..<first + second], whole[(first + second)...]]
                #expect(ContentHash.text(cut) == ContentHash.text(whole), "\(first) and \(second) bytes")
            }
        }
        var changed = whole
        changed[99] ^= 1
        #expect(ContentHash.text(changed) != ContentHash.text(whole))
        #expect(ContentHash.text(whole + [0]) != ContentHash.text(whole))
    }

    @Test func roundTripsThroughAFile() throws {
        let folder = try TemporaryFolder()
        var file = TensorFile()
        for index in 0..<20 {
            file.add("layer.\(index).weight", floats: (0..<index).map { Float($0) / 3 }, shape: [index])
            file.add("layer.\(index).count", integers: [Int64(index) << 40], shape: [])
        }
        file.metadata["phase"] = "warmup\n\u{1}é"
        let url = folder.url.appendingPathComponent("a.safetensors")
        try file.write(to: url)
        let back = try TensorFile.read(url)
        #expect(back == file)
        #expect(back.encoded() == file.encoded())
        #expect(try Data(contentsOf: url) == file.encoded())
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a.safetensors"])
    }

    @Test func namesWhatIsWrongWithATensor() throws {
        var file = TensorFile(file: "m.safetensors")
        file.add("conv1.weight", floats: [1, 2], shape: [2])
        file.add("count", integers: [1], shape: [])
        #expect(throws: InputError.self) { try file.floats("conv1.weight", shape: [1, 2]) }
        func message(_ body: () throws -> Void) -> String {
            do { try body() } catch { return "\(error)" }
            return ""
        }
        #expect(
            message { _ = try file.floats("conv1.weight", shape: [1, 2]) }
                == "m.safetensors: tensor conv1.weight: found shape [2], expected [1, 2]")
        #expect(
            message { _ = try file.floats("conv1.weights") }
                == "m.safetensors: tensor conv1.weights: found no such tensor (nearest: conv1.weight), expected a "
                + "tensor"
        )
        #expect(message { _ = try file.floats("count") }.contains("found dtype I64, expected F32"))
        #expect(message { _ = try file.integers("conv1.weight") }.contains("found dtype F32, expected I64"))
    }

    @Test func refusesEveryTruncation() {
        var file = TensorFile()
        file.add("a", floats: [1, 2, 3], shape: [3])
        file.add("n", integers: [4], shape: [])
        let whole = file.encoded()
        #expect(message(whole) == "no error")
        for count in 0..<whole.count {
            #expect(message(whole.prefix(count)).hasPrefix("x.safetensors: "), "cut to \(count) bytes")
        }
        #expect(message(whole + Data([0])).contains("expected 20, as the header says"))
    }

    @Test(arguments: [
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            "overlaps"
        ),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, "gap"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "found 8 bytes, expected 4"),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, "found 8 bytes, expected 12"),
        (#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#, "truncated"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, "offsets"),
        (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, "shape [-2]"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,8]}}"#, "shape"),
        (#"{"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}}"#, "a.shape"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, "1 offsets"),
        (#"{"a":{"dtype":"F32","shape":[2]}}"#, "no data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, "invalid JSON"),
        (#"[1,2]"#, "header"),
        (#"{"__metadata__":{"a":1}}"#, "header"),
    ])
    func refusesABadHeader(header: String, expected: String) {
        let found = message(bytes(header, Array(repeating: 0, count: 8)))
        #expect(found.hasPrefix("x.safetensors: ") && found.contains(expected), "\(found)")
        #expect(!found.contains("\n"))
    }

    @Test func refusesAbsurdLengthsAndMissingFiles() {
        #expect(message(Data(repeating: 0xff, count: 64)).contains("truncated, or not safetensors"))
        #expect(throws: InputError.self) { try TensorFile.read(URL(fileURLWithPath: "/nonexistent/a.safetensors")) }
        #expect(throws: InputError.self) {
            try TensorFile().write(to: URL(fileURLWithPath: "/nonexistent/a.safetensors"))
        }
    }
}
