import AdaShareFiles
import Foundation
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators
@testable import AdaShareTraining

/// One case of a golden operator file, run on one kernel family.
///
/// File layouts NCHW, OIHW and [N, C] become the engine's NHWC, RSCK and [N, 1, 1, C], and results go back.
final class GoldenOperatorRun {
    static let tolerance = 2e-5

    let file: TensorFile
    let name: String
    let executor: Executor
    let graph: Graph
    var state = StepState()
    private var comparisons: [(output: String, part: String)] = []

    init(_ file: TensorFile, _ name: String, _ family: KernelFamily) throws {
        self.file = file
        self.name = name
        executor = Executor(library: try TestDevice.library(family))
        graph = Graph()
    }

    func floats(_ part: String) throws -> [Float] { try file.floats("\(name).\(part)") }

    private func shape(_ part: String) throws -> [Int] { try #require(file.tensors["\(name).\(part)"]).shape }

    /// Whether a tensor of the file is a weight in OIHW (or [out, in]) order.
    private func isWeight(_ part: String) -> Bool { part == "w" || part == "dw" }

    /// A float tensor as an input; `as` gives dimensions other than those that follow from the file's.
    func input(_ part: String, as dimensions: [Int]? = nil, compact: Bool = false) throws -> Value {
        let (values, found) = try onDevice(part)
        let shape = Shape(dimensions ?? found, compact: compact)
        try executor.store.write(part, shape, values)
        return graph.parameter(part, shape)
    }

    /// Labels [N, h, w] as [N, h, w, 1].
    func labels(_ part: String) throws -> Value {
        let shape = Shape(try self.shape(part) + [1], compact: true)
        try executor.store.write(part, shape, try file.integers("\(name).\(part)").map { Int32($0) })
        return graph.input(part, shape)
    }

    func integers(_ name: String, _ values: [Int32]) throws -> Value {
        let shape = Shape([values.count], compact: true)
        try executor.store.write(name, shape, values)
        return graph.parameter(name, shape)
    }

    /// Will compare a value with a tensor of the file.
    func expect(_ part: String, _ value: Value) {
        graph.output(part, value)
        comparisons.append((part, part))
    }

    /// Will compare y, and d<part> for every target; the gradient that comes in is `dy`, or 1 for a loss.
    func expect(y: Value, gradients targets: KeyValuePairs<String, Value>) throws {
        expect("y", y)
        var loss = y
        if file.tensors["\(name).dy"] != nil {
            loss = graph.record(Projection(), [y, try input("dy", as: y.shape.dimensions)])[0]
        }
        for (target, gradient) in zip(targets, graph.gradients(of: loss, for: targets.map(\.value))) {
            expect("d\(target.key)", try #require(gradient))
        }
    }

    /// Runs the graph once and compares what was asked for.
    func compare(_ location: SourceLocation = #_sourceLocation) throws {
        let differences = try differences()
        if ProcessInfo.processInfo.environment["ADASHARE_GOLDEN_REPORT"] != nil {
            print("golden \(name) \(executor.library.family.rawValue): \(differences.map(\.difference).max() ?? 0)")
        }
        for (part, difference) in differences {
            #expect(difference <= Self.tolerance, "\(name).\(part) differs by \(difference)", sourceLocation: location)
        }
    }

    /// Runs the graph once; largest difference over largest value of everything to be compared.
    func differences() throws -> [(part: String, difference: Double)] {
        let plan = try executor.makePlan(graph)
        try executor.store.write(state)
        try executor.run(plan)
        return try comparisons.map { output, part in
            let actual = try onDisk(part, try executor.read(output, of: plan))
            return (part, try difference(part, actual))
        }
    }

    /// Difference between values in disk order and the file's.
    func difference(_ part: String, _ actual: [Float]) throws -> Double {
        let expected = try floats(part)
        try #require(expected.count == actual.count, "\(name).\(part): \(actual.count) values")
        return GoldenAgreement.difference(actual.map { Double($0) }, expected.map { Double($0) })
    }

    /// Values and dimensions of a tensor as the engine lays it out.
    private func onDevice(_ part: String) throws -> ([Float], [Int]) {
        let values = try floats(part)
        let shape = try self.shape(part)
        let order: [Int]
        switch (shape.count, isWeight(part)) {
        case (4, true): order = [2, 3, 1, 0]
        case (4, false): order = [0, 2, 3, 1]
        case (2, true): return (permuted(values, shape: shape, order: [1, 0]), [1, 1, shape[1], shape[0]])
        case (0, _): return (values, [1])
        default: return (values, shape)
        }
        return (permuted(values, shape: shape, order: order), order.map { shape[$0] })
    }

    private func onDisk(_ part: String, _ values: [Float]) throws -> [Float] {
        let disk = try shape(part)
        switch (disk.count, isWeight(part)) {
        case (4, true): return permuted(values, shape: [2, 3, 1, 0].map { disk[$0] }, order: [3, 2, 0, 1])
        case (4, false): return permuted(values, shape: [0, 2, 3, 1].map { disk[$0] }, order: [0, 3, 1, 2])
        case (2, true): return permuted(values, shape: [disk[1], disk[0]], order: [1, 0])
        default: return values
        }
    }
}
