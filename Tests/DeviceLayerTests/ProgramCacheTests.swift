import Foundation
import TestSupport
import Testing

@testable import AdaShareDeviceLayer

extension DeviceLayerTests {
    @Suite struct ProgramCacheTests {
        @Test func buildErrorCarriesLogAndName() throws {
            let context = try TestDevice.freshContext()
            let error = try TestDevice.error {
                _ = try context.program(
                    name: "broken.cl", source: "__kernel void f() { undeclared_thing = 1; }", options: ["-DX=1"])
            }
            #expect(error.call == "clBuildProgram" && error.device == context.device.name)
            #expect(try #require(error.buildLog).contains("undeclared_thing"))
            for part in ["broken.cl", "-DX=1", "undeclared_thing"] { #expect(error.description.contains(part)) }
            #expect(context.programsBuilt == 0)
        }

        /// Drivers print their compilers' warnings where users look.
        @Test func languageVersionIsAddedUnlessNamedAndWarningsAreOff() {
            #expect(ProgramBuilder.complete(["-DA"]) == ["-DA", "-w", "-cl-std=CL1.2"])
            #expect(ProgramBuilder.complete(["-cl-std=CL3.0"]) == ["-cl-std=CL3.0", "-w"])
        }

        @Test func memoryCacheBuildsOnce() async throws {
            let context = try TestDevice.freshContext()
            let first = try TestDevice.program(context)
            #expect(try TestDevice.program(context) === first)
            #expect(context.programsBuilt == 1 && context.programsLoaded == 0 && context.compileSeconds > 0)
            #expect(try TestDevice.program(context, offset: 1) !== first)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { _ = try TestDevice.program(context, offset: 2) } }
                try await group.waitForAll()
            }
            #expect(context.programsBuilt == 3)
        }

        @Test func secondContextLoadsTheBinary() throws {
            let folder = try TemporaryFolder()
            let cache = folder.file("made/when/needed")
            let first = try TestDevice.freshContext(cache: cache)
            #expect(try TestDevice.numbers(first) == TestDevice.expectedNumbers())
            #expect(first.programsBuilt == 1 && first.programsLoaded == 0)
            try expectHit(cache)
            let other = try TestDevice.freshContext(cache: cache)
            #expect(try TestDevice.numbers(other, offset: 9) == TestDevice.expectedNumbers(offset: 9))
            #expect(other.programsBuilt == 1, "other options, other binary")
            let names = try FileManager.default.contentsOfDirectory(atPath: cache.path)
            #expect(names.count == 2 && names.allSatisfy { $0.hasSuffix(".program") })
        }

        /// Negative control of the tests below: the entry as it was written is taken.
        @Test func wholeEntryIsTaken() throws {
            let folder = try TemporaryFolder()
            try folder.write(try Self.entry.get(), Self.key(try TestDevice.device(), offset: 0).fileName)
            try expectHit(folder.url)
        }

        /// One byte of every field of the header, then the payload's first, middle and last.
        @Test(arguments: [0, 8, 12, 43, 44, 52, 83, 84, -2, -1]) func flippedByteIsRebuilt(position: Int) throws {
            try expectRebuild { file, _ in
                let index = position == -1 ? file.count - 1 : position == -2 ? file.count / 2 : position
                file[index] ^= 0x10
            }
        }

        @Test(arguments: [0, 1, 50, 84, -1]) func truncatedFileIsRebuilt(length: Int) throws {
            try expectRebuild { file, _ in file = Array(file.prefix(length < 0 ? file.count + length : length)) }
        }

        @Test func longerFileIsRebuilt() throws {
            try expectRebuild { file, _ in file.append(0) }
        }

        @Test func strangersFileIsRebuilt() throws {
            try expectRebuild { file, _ in file = Array("not one of ours".utf8) + file }
        }

        /// A whole entry, but of the program with another option: to run it would give other numbers.
        @Test func entryOfAnotherProgramIsRebuilt() throws {
            try expectRebuild { file, cache in
                let context = try TestDevice.freshContext(cache: cache)
                _ = try TestDevice.program(context, offset: 1000)
                let key = Self.key(context.device, offset: 1000)
                file = [UInt8](try Data(contentsOf: cache.appendingPathComponent(key.fileName)))
                #expect(ProgramCacheFile.payload(of: file, key: key) != nil)
            }
        }

        /// A whole entry whose contents only the driver can refuse.
        @Test func binaryTheDriverRefusesIsRebuilt() throws {
            try expectRebuild { file, cache in
                let device = try TestDevice.device()
                file = ProgramCacheFile.encode(Array("no binary of any driver".utf8), key: Self.key(device, offset: 0))
            }
        }

        @Test func keyDependsOnEveryPart() throws {
            let device = try TestDevice.device()
            let keys = [
                ProgramCacheKey(source: "ab", options: ["c", "d"], device: device),
                ProgramCacheKey(source: "ab", options: ["cd"], device: device),
                ProgramCacheKey(source: "ab", options: ["d", "c"], device: device),
                ProgramCacheKey(source: "a", options: ["c", "d"], device: device),
            ]
            #expect(Set(keys).count == keys.count)
            #expect(ProgramCacheKey(source: "ab", options: ["c", "d"], device: device) == keys[0])
            #expect(keys[0].fileName.count == 64 + ".program".count)
        }

        @Test func unwritableDirectoryIsNoError() throws {
            let folder = try TemporaryFolder()
            let file = try folder.write([1], "file")
            for _ in 0..<2 {
                let context = try TestDevice.freshContext(cache: file.appendingPathComponent("below"))
                #expect(try TestDevice.numbers(context) == TestDevice.expectedNumbers())
                #expect(context.programsBuilt == 1 && context.programsLoaded == 0)
            }
            #expect(try Data(contentsOf: file) == Data([1]))
        }

        /// Whoever can write to the cache can have any code run.
        @Test func cachesOfOthersAreNotUsed() throws {
            let folder = try TemporaryFolder()
            let cache = folder.file("cache")
            _ = try TestDevice.program(TestDevice.freshContext(cache: cache))
            try expectHit(cache)
            let entry = cache.appendingPathComponent(
                try #require(
                    try FileManager.default.contentsOfDirectory(atPath: cache.path).first)
            ).path
            for (path, open, closed) in [(cache.path, mode_t(0o777), mode_t(0o700)), (entry, 0o666, 0o600)] {
                chmod(path, open)
                let context = try TestDevice.freshContext(cache: cache)
                #expect(try TestDevice.numbers(context) == TestDevice.expectedNumbers())
                #expect(context.programsBuilt == 1 && context.programsLoaded == 0)
                chmod(path, closed)
                try expectHit(cache)
            }
        }

        @Test func abandonedTemporaryFilesGo() throws {
            let folder = try TemporaryFolder()
            let old = try folder.write([1], "old\(ProgramCacheDirectory.temporarySuffix)")
            let fresh = try folder.write([1], "fresh\(ProgramCacheDirectory.temporarySuffix)")
            let date = Date(timeIntervalSinceNow: -7200)
            try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: old.path)
            _ = try TestDevice.program(TestDevice.freshContext(cache: folder.url))
            #expect(!FileManager.default.fileExists(atPath: old.path))
            #expect(FileManager.default.fileExists(atPath: fresh.path))
        }

        @Test func directoryIsTheUsersCacheWhereTheDriverKeepsNothing() throws {
            #expect(try #require(ProgramCache.userDirectory).path.hasSuffix("/adashare/programs"))
            #expect(Device.compilesAtFirstLaunch(platform: "Portable Computing Language"))
            #expect(!Device.compilesAtFirstLaunch(platform: "NVIDIA CUDA"))
            let device = try TestDevice.device()
            #expect(
                ProgramCache.directory(for: device)
                    == (device.compilesAtFirstLaunch ? nil : ProgramCache.userDirectory))
        }

        private static func key(_ device: Device, offset: Int) -> ProgramCacheKey {
            let options = ProgramBuilder.complete(["-DOFFSET=\(offset)"])
            return ProgramCacheKey(source: TestDevice.source, options: options, device: device)
        }

        private func expectHit(_ cache: URL) throws {
            let context = try TestDevice.freshContext(cache: cache)
            #expect(try TestDevice.numbers(context) == TestDevice.expectedNumbers())
            #expect(context.programsBuilt == 0 && context.programsLoaded == 1)
        }

        /// The whole entry of the sample program, made once: asking pocl for a binary compiles every kernel again.
        private static let entry = Result<[UInt8], any Error> {
            let folder = try TemporaryFolder()
            let context = try TestDevice.freshContext(cache: folder.url)
            _ = try TestDevice.program(context)
            return [UInt8](try Data(contentsOf: folder.file(key(context.device, offset: 0).fileName)))
        }

        /// Spoils the entry of a cache and expects a rebuild with right results, then a hit.
        private func expectRebuild(_ spoil: (inout [UInt8], URL) throws -> Void) throws {
            let folder = try TemporaryFolder()
            var file = try Self.entry.get()
            try spoil(&file, folder.url)
            #expect(try file != Self.entry.get(), "nothing is spoilt")
            try folder.write(file, Self.key(try TestDevice.device(), offset: 0).fileName)
            let context = try TestDevice.freshContext(cache: folder.url)
            #expect(try TestDevice.numbers(context) == TestDevice.expectedNumbers())
            #expect(context.programsBuilt == 1 && context.programsLoaded == 0)
            try expectHit(folder.url)
        }
    }
}
