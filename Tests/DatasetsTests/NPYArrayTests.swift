import AdaShareFiles
import Foundation
import TestSupport
import Testing

@testable import AdaShareDatasets

@Suite struct NPYArrayTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func file(_ dictionary: String, version: UInt8 = 1, elements: [UInt8]) -> [UInt8] {
        HandmadeNPY.file(dictionary, version: version, elements: elements)
    }

    private func bytes(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) } }
    }

    private func bytes(_ values: [Double]) -> [UInt8] {
        values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt64($0))) } }
    }

    @Test(arguments: [[], [1], [5], [3, 4], [2, 3, 5], [0, 3]])
    func roundTrip(shape: [Int]) throws {
        let array = NPYArray(shape: shape, values: (0..<shape.reduce(1, *)).map { Float($0) * 0.37 - 2 })
        try array.write(to: folder.file("a.npy"))
        #expect(try NPYArray.read(folder.file("a.npy")) == array)
        let written = [UInt8](try Data(contentsOf: folder.file("a.npy")))
        #expect((written.count - 4 * array.values.count) % 64 == 0)
    }

    @Test(arguments: [1, 2, 3] as [UInt8])
    func readsEveryVersion(version: UInt8) throws {
        let values: [Float] = [1, 2, 3, 4, 5, 6]
        let url = try folder.write(
            file(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   ", version: version,
                elements: bytes(values)),
            "v.npy")
        #expect(try NPYArray.read(url) == NPYArray(shape: [2, 3], values: values))
    }

    @Test func convertsColumnMajorAndDoubles() throws {
        // Column-major storage of [[0, 1, 2], [10, 11, 12]].
        let stored: [Float] = [0, 10, 1, 11, 2, 12]
        let url = try folder.write(
            file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", elements: bytes(stored)), "f.npy")
        #expect(try NPYArray.read(url).values == [0, 1, 2, 10, 11, 12])
        var cube: [Float] = []
        for k in 0..<4 { for j in 0..<3 { for i in 0..<2 { cube.append(Float(100 * i + 10 * j + k)) } } }
        let cubeURL = try folder.write(
            file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4), }", elements: bytes(cube)), "c.npy")
        let places = 0..<24
        let expected = places.map { (at: Int) -> Float in Float(100 * (at / 12) + 10 * (at / 4 % 3) + at % 4) }
        #expect(try NPYArray.read(cubeURL).values == expected)
        let doubles = try folder.write(
            file("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", elements: bytes([0.1, -2.5, 1e3])),
            "d.npy")
        #expect(try NPYArray.read(doubles) == NPYArray(shape: [3], values: [0.1, -2.5, 1e3]))
    }

    @Test func badFilesAreErrors() throws {
        let good = file(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", elements: bytes([1, 2, 3, 4] as [Float]))
        expectError("no.npy", "no such file") { _ = try NPYArray.read(folder.file("no.npy")) }
        func check(_ bytes: [UInt8], _ part: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
            let url = try folder.write(bytes, "bad.npy")
            expectError("bad.npy", part, sourceLocation: sourceLocation) { _ = try NPYArray.read(url) }
        }
        try check([], "signature")
        try check(Array(good.dropFirst()), "signature")
        try check(Array(good.prefix(30)), "truncated")
        try check(Array(good.dropLast()), "truncated")
        try check(good + [0], "corrupt")
        try check(
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", version: 9, elements: []), "version 9")
        for type in ["<c8", "<f3", "|f4", "<i3", "<u16", "<f16", "|b2", "|O", "<U1"] {
            try check(
                file("{'descr': '\(type)', 'fortran_order': False, 'shape': (1,), }", elements: [0, 0, 0, 0]), type)
        }
        try check(
            file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", elements: [0, 0, 0, 0]), "descr")
        try check(file("{'descr': '<f4', 'fortran_order': False, }", elements: []), "shape")
        try check(file("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,), }", elements: []), "fortran_order")
        try check(file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", elements: []), "shape")
        try check(
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (9000000000000, 9000000000000), }", elements: []),
            "large")
        let axes = String(repeating: "1, ", count: 65)
        try check(
            file("{'descr': '<f4', 'fortran_order': True, 'shape': (\(axes)), }", elements: bytes([1] as [Float])),
            "65 axes, expected at most 64")
        let long =
            Array("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".utf8)
            + Array(repeating: 32, count: 70_000)
        let length = (0..<4).map { UInt8(truncatingIfNeeded: long.count >> (8 * $0)) }
        try check(Array(good.prefix(6)) + [2, 0] + length + long + bytes([1] as [Float]), "an NPY header of 7")
    }

    /// No element, but so many columns that nobody may walk along them.
    @Test func emptyArraysTakeNoTime() throws {
        let url = try folder.write(
            file("{'descr': '<f4', 'fortran_order': True, 'shape': (576460752303423488, 0), }", elements: []), "e.npy")
        #expect(try NPYArray.read(url).values.isEmpty)
    }
}
