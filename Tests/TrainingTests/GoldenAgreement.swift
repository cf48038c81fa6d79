import AdaShareFiles
import Foundation
import Testing

@testable import AdaShareTraining

/// The worst difference of each kind of result from a golden file, measured as `tools/golden/README.md` says.
struct GoldenAgreement {
    let file: TensorFile
    let formula: GoldenFormula
    /// Largest difference by kind, with the tensor where it was found.
    private(set) var worst: [String: (difference: Double, tensor: String)] = [:]
    /// Tensors of the file that have been compared.
    private(set) var compared: Set<String> = []

    subscript(kind: String) -> Double { worst[kind]?.difference ?? .nan }

    /// Compares `values` with `<prefix>/<name>`, or with `<prefix>_digest/<name>` where the file has that.
    mutating func compare(_ kind: String, _ prefix: String, _ name: String, _ values: [Float]) throws {
        let isDelta = kind == "delta"
        let whole = "\(prefix)/\(name)"
        let digest = "\(prefix)_digest/\(name)"
        if file.tensors[digest] != nil {
            let expected = try file.floats(digest, shape: [66]).map { Double($0) }
            note(kind, digest, Self.digestDifference(self.digest(name, values), expected, isDelta: isDelta))
        } else {
            let expected = try file.floats(whole).map { Double($0) }
            try #require(expected.count == values.count, "\(whole): \(values.count) values")
            note(kind, whole, Self.difference(values.map { Double($0) }, expected, isDelta: isDelta))
        }
    }

    /// Compares an integer tensor; any difference is infinite.
    mutating func compare(_ kind: String, _ prefix: String, _ name: String, integers: [Int64]) throws {
        let whole = "\(prefix)/\(name)"
        note(kind, whole, try file.integers(whole) == integers ? 0 : .infinity)
    }

    /// Compares one row of a table of losses, each number against itself.
    mutating func compareLosses(_ kind: String, _ tensor: String, row: Int, _ values: [Double]) throws {
        let table = try file.floats(tensor)
        for (column, value) in values.enumerated() {
            let expected = Double(table[row * values.count + column])
            note(kind, tensor, abs(value - expected) / abs(expected))
        }
    }

    /// Requires every kind within its limit, and no kind beside these.
    func expect(_ limits: [String: Double], _ location: SourceLocation = #_sourceLocation) {
        #expect(Set(worst.keys) == Set(limits.keys), sourceLocation: location)
        for (kind, limit) in limits {
            guard let found = worst[kind] else { continue }
            #expect(
                found.difference <= limit, "\(kind) differs by \(found.difference) at \(found.tensor), limit \(limit)",
                sourceLocation: location)
        }
    }

    /// Prints the worst differences where the environment asks for them (`ADASHARE_GOLDEN_REPORT=1`).
    func report(_ title: String) {
        guard ProcessInfo.processInfo.environment["ADASHARE_GOLDEN_REPORT"] != nil else { return }
        let parts = worst.sorted { $0.key < $1.key }.map { "\($0.key) \(String(format: "%.1e", $0.value.difference))" }
        print("golden \(title): " + parts.joined(separator: ", "))
    }

    private mutating func note(_ kind: String, _ tensor: String, _ difference: Double) {
        compared.insert(tensor)
        let difference = difference.isNaN ? .infinity : difference
        if worst[kind].map({ difference > $0.difference }) ?? true { worst[kind] = (difference, tensor) }
    }

    /// [probe · t, |t|, 64 strided elements].
    private func digest(_ name: String, _ values: [Float]) -> [Double] {
        let probe = formula.probe(name, values.count)
        var dot = 0.0
        var square = 0.0
        for i in 0..<values.count {
            let value = Double(values[i])
            dot += Double(probe[i]) * value
            square += value * value
        }
        let step = values.count / 64
        return [dot, square.squareRoot()] + (0..<64).map { Double(values[$0 * step]) }
    }

    private static func digestDifference(_ actual: [Double], _ expected: [Double], isDelta: Bool) -> Double {
        let tail = difference(Array(actual[2...]), Array(expected[2...]), isDelta: isDelta)
        if isDelta { return tail }
        let norm = expected[1]
        guard norm > 0 else { return max(tail, abs(actual[0]), abs(actual[1])) }
        return max(abs(actual[0] - expected[0]) / norm, abs(actual[1] - norm) / norm, tail)
    }

    /// Largest difference over the largest value, or for deltas the ratio of L2 norms; zeros must be zeros.
    static func difference(_ actual: [Double], _ expected: [Double], isDelta: Bool = false) -> Double {
        let gaps = zip(actual, expected).map { abs($0 - $1) }
        if gaps.contains(where: \.isNaN) { return .infinity }
        if isDelta {
            func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
            let scale = norm(expected)
            return scale > 0 ? norm(gaps) / scale : norm(actual)
        }
        let scale = expected.map(abs).max() ?? 0
        let gap = gaps.max() ?? 0
        return scale > 0 ? gap / scale : gap
    }
}
