import AdaShareDeviceLayer
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareExperiments
@testable import AdaShareOperators
@testable import AdaShareProfiling
@testable import AdaShareTraining
@testable import AdaShareTuning

extension TrainingTests {
    /// The tile of CLBlast's products, which is one for all of a device.
    @Suite(.enabled(if: MatrixProduct.isAvailable, "no CLBlast: apt-get install libclblast1")) struct ProductTileTests {
        /// Large enough to be worth measuring.
        private static let problem = ConvolutionProblem(
            .forward, ConvolutionGeometry(kernelHeight: 1, kernelWidth: 1), input: Shape([1, 32, 32, 192]),
            outputs: 192)

        /// On CPUs the one that their compilers take least time for.
        private static func tiles(of device: Device) -> [MatrixProductTile] {
            device.type == .cpu ? [.tile32x32] : MatrixProductTile.allCases
        }

        /// Of its own, for its tile changes.
        private func library() throws -> KernelLibrary {
            try KernelLibrary(context: try TestDevice.context(), family: .gpu)
        }

        @Test func tilesAreMeasuredAndChecked() throws {
            let library = try library()
            let device = library.context.device
            let isCPU = device.type == .cpu
            #expect(
                Set(ProductTileSearch(library: library, root: nil).tiles)
                    == (isCPU ? [.initial] : Set(MatrixProductTile.allCases)))
            let search = ProductTileSearch(library: library, root: nil, tiles: Self.tiles(of: device))
            let results = search.finding(for: [Self.problem]).results
            #expect(results.map(\.tile) == search.tiles, "those that are wrong are left out")
            #expect(results.allSatisfy { ($0.milliseconds ?? 0) > 0 && $0.reason == nil }, "\(results)")
            #expect(library.productTile == .initial)

            var runs = 0
            let scripted = ProductTileSearch(library: library, root: nil, tiles: search.tiles) { _ in
                runs += 1
                return runs % 5 == 3 ? 7 : 8
            }
            func known(_ milliseconds: Double, of products: [ConvolutionProblem]) -> ProductTileSearch.Finding {
                ProductTileSearch.Finding(
                    products: products,
                    results: results.map { ProductTileSearch.Result(tile: $0.tile, milliseconds: milliseconds) })
            }
            let measured = known(7, of: [Self.problem])
            #expect(scripted.finding(for: [Self.problem]) == measured, "the best of five runs")
            #expect(runs == 5 * results.count)
            let better = known(6.5, of: [Self.problem])
            #expect(scripted.finding(for: [Self.problem], known: better) == better, "the best of both")
            #expect(scripted.finding(for: [Self.problem], known: known(7.5, of: [Self.problem])) == measured)
            #expect(scripted.finding(for: [Self.problem], known: known(6.5, of: [])) == measured, "of other products")
        }

        /// What cannot be run is told from what is slow.
        @Test func aFailedRunIsNoTime() throws {
            struct Failure: Error, CustomStringConvertible { let description = "no memory\nmore" }
            let library = try library()
            let search = ProductTileSearch(library: library, root: nil, tiles: Self.tiles(of: library.context.device)) {
                _ in
                throw Failure()
            }
            let found = search.finding(for: [Self.problem]).results
            #expect(!found.isEmpty && found.allSatisfy { $0.milliseconds == nil && $0.reason == "no memory" })
        }

        /// A tile has to compute what any other does; a product that none computes counts for none.
        @Test func whatDoesNotRunIsLeftOut() {
            typealias Measurement = ProductTileSearch.Measurement
            let (fine, slow, none): (Measurement, Measurement, Measurement) = ((1, nil), (2, nil), (nil, "no memory"))
            func results(_ first: [Measurement], _ second: [Measurement]) -> [ProductTileSearch.Result] {
                ProductTileSearch.results(of: [(.tile64x64, first), (.tile32x32, second)], known: [])
            }
            #expect(results([none, slow, fine], [none, fine, fine]).map(\.milliseconds) == [3, 2])
            let partial = results([slow, none], [slow, fine])
            #expect(partial.map(\.milliseconds) == [nil, 3] && partial[0].reason == "no memory")
            let all = results([none], [none])
            #expect(all.allSatisfy { $0.milliseconds == nil && $0.description.hasSuffix("not used (no memory)") })
            #expect(ProductTileSearch.winner(of: all) == .initial)
        }

        @Test func anotherTileHasToBeClearlyFaster() {
            func winner(_ times: [(MatrixProductTile, Double?)]) -> MatrixProductTile {
                ProductTileSearch.winner(
                    of: times.map { ProductTileSearch.Result(tile: $0.0, milliseconds: $0.1, reason: nil) })
            }
            #expect(winner([(.tile64x64, 1), (.tile32x32, 0.98)]) == .tile64x64)
            #expect(winner([(.tile32x32, 0.96), (.tile64x64, 1)]) == .tile32x32)
            #expect(winner([(.tile32x32, 0.96), (.tile128x64, 0.9), (.tile64x64, nil)]) == .tile128x64)
            #expect(winner([(.tile32x32, nil)]) == .initial && winner([]) == .initial)
        }

        @Test func theFastestKnownTileIsUsedAndRecorded() throws {
            let folder = try TemporaryFolder()
            let (root, library) = (folder.url.appendingPathComponent("a/b"), try library())
            let search = ProductTileSearch(library: library, root: root)
            #expect(search.known() == nil)
            let results = [MatrixProductTile.tile128x64, .tile32x32].enumerated().map {
                ProductTileSearch.Result(tile: $0.element, milliseconds: 2 - Double($0.offset))
            }
            let finding = ProductTileSearch.Finding(products: [Self.problem], results: results)
            try search.store(finding)
            #expect(search.known() == finding)

            // Nothing is measured for problems that have no product.
            let other = ConvolutionProblem(
                .forward, ConvolutionGeometry(kernelHeight: 3, kernelWidth: 3, padding: 1),
                input: Shape([1, 5, 5, 16]),
                outputs: 16)
            var lines: [String] = []
            let tuner = AlgorithmTuner(library: library, mode: .search(root: root)) {
                if case .notice(let line) = $0 { lines.append(line) }
            }
            _ = try tuner.findings(for: [other], arithmetic: .float32)
            #expect(library.productTile == .tile32x32 && lines.isEmpty)

            // What was measured with one tile says nothing of another.
            func database() -> AlgorithmDatabase {
                AlgorithmDatabase(root: root, library: library, arithmetic: .float32)
            }
            let measured = [
                AlgorithmSearch.Result(algorithm: .clblast, milliseconds: 1, scatter: 0, error: 1e-7)
            ]
            try database().store(measured, for: Self.problem)
            #expect(database().results(for: Self.problem) == measured)
            library.productTile = .tile64x128
            #expect(database().results(for: Self.problem) == nil)
            library.productTile = .tile32x32

            // A resumed run has the tile it was started with.
            let run = try RunDirectory(folder.url.appendingPathComponent("run"), mode: .create)
            let recorded = RecordedAlgorithms(
                AlgorithmChoices(measured: [Self.problem: .clblast]), for: [Self.problem], library: library)
            #expect(recorded.summary.hasSuffix("clblast 1 (tile 32x32)"), "\(recorded.summary)")
            try run.write(recorded)
            library.productTile = .tile128x128
            let again = try #require(try run.readAlgorithms(for: library, arithmetic: .float32))
            #expect(again.algorithms == [Self.problem: .clblast] && again.tile == .tile32x32)

            let text = try String(contentsOf: run.algorithms, encoding: .utf8)
            for (old, new) in [("32x32", "33x33"), ("clblast_tile", "tile")] {
                try Data(text.replacingOccurrences(of: old, with: new).utf8).write(to: run.algorithms)
                let failure = #expect(throws: InputError.self) {
                    try run.readAlgorithms(for: library, arithmetic: .float32)
                }
                #expect(failure?.description.contains("clblast_tile") == true, "\(failure.map(\.description) ?? "")")
            }

            // Foreign and damaged files are as if they were not there.
            let file = try #require(
                try FileManager.default.contentsOfDirectory(atPath: root.path).first { $0.hasPrefix("clblast-") })
            let url = root.appendingPathComponent(file)
            let whole = try String(contentsOf: url, encoding: .utf8)
            for text in ["", String(whole.dropLast(3)), whole.replacingOccurrences(of: "version 1", with: "version 0")]
            {
                try Data(text.utf8).write(to: url)
                #expect(search.known() == nil, "\(text)")
            }
        }
    }
}
