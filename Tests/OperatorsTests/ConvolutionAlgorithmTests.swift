import AdaShareDeviceLayer
import Reference
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

extension OperatorsTests {
    /// Every algorithm of every pass, on every class of shapes, compared with the float64 reference, every element.
    @Suite struct ConvolutionAlgorithmTests {
        typealias Key = ConvolutionSelection.Key

        /// Whatever any trial exercises is exercised by one that is run.
        @Test(arguments: Key.all)
        func everyAlgorithmMatchesReference(key: Key) throws {
            let selection = try ConvolutionSelection.get()
            var (covered, determined) = (Set<ConvolutionProperty>(), Set<String>())
            let isOnCPU = try key.kernels.isOnCPU
            var (compared, comparable) = (0, 0)
            let entries = try #require(selection.kept[key])
            for a in ConvolutionCase.all {
                let ofCase = entries.filter { $0.trial.a == a }
                guard !ofCase.isEmpty else { continue }
                let reference = ConvolutionReference.of(a, key.kernels.operands)
                let executor = Executor(library: try key.kernels.library())
                try reference.write(a, to: executor.store, key.kernels.arithmetic)
                var sum: [UInt32]?
                for entry in ofCase {
                    let trial = Trial(executor)
                    trial.choices = entry.trial.choices
                    a.record(key.pass, key.kernels.arithmetic, in: trial.graph)
                    #expect(trial.algorithms.last == entry.trial.algorithm, "\(entry.trial)")
                    // That results are the same each time is a property of kernels, not of shapes.
                    let isNew = !entry.programs.isSubset(of: determined)
                    determined.formUnion(entry.programs)
                    let results = try isNew ? trial.runTwice("\(entry.trial)") : trial.run()
                    try reference.expect(results, key.pass, "\(entry.trial)")
                    try check(entry, try #require(trial.plan))
                    covered.formUnion(entry.properties)
                    // Every tile of the direct sum gives the same bits, on matrix units too.
                    guard entry.trial.givesCommonBits else { continue }
                    let stored = try #require(results.outputs[key.result]).stored
                    if let sum { #expect(Comparison.areSame(sum, stored), "\(entry.trial)") }
                    sum = stored
                }
                // There is another one wherever a case has several, where a CPU runs kernels for GPUs of some cases.
                let count = ofCase.count { $0.trial.givesCommonBits }
                let possible = selection.all[key, default: []].count { $0.trial.a == a && $0.trial.givesCommonBits }
                #expect(isOnCPU || count == 0 || count >= min(2, possible), "\(a.testDescription)")
                if count > 1 { compared += 1 }
                if possible > 1 { comparable += 1 }
            }
            #expect(!isOnCPU || compared >= min(2, comparable))
            let missing = selection.missing(key, covered: covered)
            #expect(missing.isEmpty, "not covered: \(missing.map(\.trial))")
        }

        /// What was launched is what the table counts, and all multiply-accumulates are some launch's.
        private func check(_ entry: ConvolutionSelection.Entry, _ plan: Plan) throws {
            let names = try plan.launches.map(\.site.name)
            let products = names.count { $0 == MatrixProductSite.name }
            #expect(products == (entry.trial.algorithm == .clblast ? 1 : 0), "\(entry.trial)")
            let ahead = plan.prologue.flatMap { $0.encoding.requests.map(\.kernel) }
            let kernels = ahead + names.filter { $0 != MatrixProductSite.name }
            #expect(kernels == entry.requests.map(\.kernel), "\(entry.trial)")
            let sum = try plan.launches.reduce(0) { $0 + $1.multiplyAccumulates }
            #expect(sum == plan.multiplyAccumulates, "\(entry.trial)")
            #expect(sum == entry.trial.a.problem(entry.trial.pass).multiplyAccumulates, "\(entry.trial)")
        }

        /// The table, and that it has what there has to be.
        @Test func tableOfWhatIsCovered() throws {
            let selection = try ConvolutionSelection.get()
            print("convolutions, run/all:\n" + selection.table())
            for key in Key.all {
                let (all, kept) = (try #require(selection.all[key]), try #require(selection.kept[key]))
                func algorithms(_ entries: [ConvolutionSelection.Entry]) -> Set<String> {
                    Set(entries.map(\.trial.algorithmClass))
                }
                #expect(algorithms(kept) == algorithms(all), "\(key.testDescription)")
                let programs = try [all, kept].map { try Set($0.flatMap(\.requests).flatMap(key.kernels.compiled)) }
                #expect(programs[0] == programs[1], "\(key.testDescription)")
                let covered = kept.reduce(into: Set()) { $0.formUnion($1.properties) }
                #expect(selection.missing(key, covered: covered).isEmpty, "\(key.testDescription)")
                guard !TestDevice.isSimulated else { continue }
                let absent = key.algorithms.subtracting(algorithms(kept))
                #expect(absent.isEmpty, "\(key.testDescription)")
                // Negative control: one property that is not covered is noticed.
                for property in covered.prefix(3) {
                    #expect(!selection.missing(key, covered: covered.subtracting([property])).isEmpty, "\(property)")
                }
            }
        }
    }
}

extension ConvolutionSelection.Key {
    /// Which output of a trial the pass makes.
    fileprivate var result: String {
        switch pass {
        case .forward: "y"
        case .dataGradient: "dx"
        case .weightGradient: "dw"
        }
    }

    /// Algorithms there have to be, whatever the cases.
    fileprivate var algorithms: Set<String> {
        let winograd = ["winograd_2x2", "winograd_3x3", "winograd_4x4", "winograd_5x5", "winograd_phases"]
        switch kernels {
        case .wide, .narrow: return Set(winograd + ["direct"] + (pass == .weightGradient ? [] : ["direct_n"]))
        case .gpu:
            // The smallest tile is the one that suits small cases.
            return Set(winograd + ["direct"] + WorkGroupTile.all.dropLast().map { "direct_\($0.rows)x\($0.columns)" })
        case .tf32, .bfloat16:
            let tiles = kernels.operands.map(WorkGroupTile.onMatrixUnits) ?? []
            return Set(tiles.map { "\(kernels)_\($0.rows)x\($0.columns)" })
        }
    }
}
