import AdaShareDeviceLayer
import Foundation
import TestSupport
import Testing

@testable import AdaShareOperators
@testable import AdaShareTraining
@testable import AdaShareTuning

extension TrainingTests {
    @Suite struct AlgorithmDatabaseTests {
        private func database(_ folder: TemporaryFolder, exact: Bool = false) throws -> AlgorithmDatabase {
            AlgorithmDatabase(
                root: folder.url.appendingPathComponent("a/b"), library: try TestDevice.cpuLibrary(),
                arithmetic: exact ? .exact : .float32)
        }

        @Test func databaseKeepsResultsPerProblem() throws {
            let folder = try TemporaryFolder()
            let problem = ConvolutionProblem.dilated(.forward)
            let broken = AlgorithmSearch.Result(.winograd(tile: 2), 2, .greatestFiniteMagnitude, scatter: 0.25)
            let measured = [AlgorithmSearch.Result(.direct(), 3), broken]
            try database(folder).store(measured, for: problem)
            #expect(try database(folder).results(for: problem) == measured)
            #expect(try database(folder).results(for: ConvolutionProblem.dilated(.weightGradient)) == nil)
            #expect(try database(folder, exact: true).results(for: problem) == nil)
            let later = [AlgorithmSearch.Result(.winograd(tile: 4), 1)]
            try database(folder).store(later, for: problem)
            #expect(try database(folder).results(for: problem) == later)
            try database(folder).store([broken], for: problem)
            #expect(try database(folder).results(for: problem) == nil, "no winner")
            let gpu = AlgorithmDatabase(
                root: folder.url.appendingPathComponent("a/b"), library: try TestDevice.library(.gpu),
                arithmetic: .float32)
            try database(folder).store(later, for: problem)
            #expect(gpu.results(for: problem) == nil)
        }

        @Test func damagedAndForeignEntriesAreAsIfTheyWereNotThere() throws {
            let folder = try TemporaryFolder()
            let (one, other) = (ConvolutionProblem.dilated(.forward), ConvolutionProblem.dilated(.dataGradient))
            let database = try database(folder)
            try database.store([AlgorithmSearch.Result(.direct(), 3)], for: one)
            let files = try FileManager.default.contentsOfDirectory(
                at: database.folder, includingPropertiesForKeys: nil)
            let file = try #require(files.first)
            #expect(files.count == 1)
            let whole = try String(contentsOf: file, encoding: .utf8)
            let texts = [
                "", "{", "[]", String(whole.prefix(whole.count / 2)), whole + "x", "\u{0}\u{1}",
                whole.replacingOccurrences(of: "version 2", with: "version 0"),
                whole.replacingOccurrences(of: "\"direct\"", with: "\"direct_3\""),
                whole.replacingOccurrences(of: "\"direct\"", with: "\"magic\""),
                whole.replacingOccurrences(of: "\"forward\"", with: "\"data_gradient\""),
                whole.replacingOccurrences(of: "31", with: "-31"),
            ]
            for text in texts {
                #expect(text != whole)
                try Data(text.utf8).write(to: file)
                #expect(database.results(for: one) == nil, "\(text)")
            }
            // An entry under another problem's name.
            try database.store([AlgorithmSearch.Result(.direct(), 3)], for: other)
            let moved = try FileManager.default.contentsOfDirectory(
                at: database.folder, includingPropertiesForKeys: nil)
            let second = try #require(moved.first { $0 != file })
            try FileManager.default.removeItem(at: file)
            try FileManager.default.moveItem(at: second, to: file)
            #expect(database.results(for: one) == nil)
            try database.store([AlgorithmSearch.Result(.winograd(tile: 4), 1)], for: one)
            #expect(database.results(for: one)?.map(\.algorithm) == [.winograd(tile: 4)])
        }

        @Test func readersAndWritersAtOnceSeeWholeEntries() async throws {
            let folder = try TemporaryFolder()
            let database = try database(folder)
            let problem = ConvolutionProblem.dilated(.forward)
            let winners = ConvolutionAlgorithm.candidates(for: problem, family: .cpu, arithmetic: .float32).map {
                AlgorithmSearch.Result($0, 1)
            }
            #expect(winners.count > 2)
            try database.store([winners[0]], for: problem)
            let known = Set(winners.map(\.algorithm))
            let misses = try await withThrowingTaskGroup(of: Int.self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        var misses = 0
                        for round in 0..<40 {
                            if worker < 2 {
                                let winner = winners[(worker + round) % winners.count]
                                try database.store([winner], for: problem)
                            } else if database.results(for: problem).map({ known.contains($0[0].algorithm) }) != true {
                                misses += 1
                            }
                        }
                        return misses
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(misses == 0)
            let names = try FileManager.default.contentsOfDirectory(atPath: database.folder.path)
            #expect(names.count == 1, "\(names)")
        }
    }
}
