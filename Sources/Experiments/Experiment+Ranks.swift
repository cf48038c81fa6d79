import AdaShareConfiguration
import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareRanks
import AdaShareSupport
import Foundation

/// Experiments that several processes train together.
extension Experiment {
    /// Gives each process its part of the images of every step.
    ///
    /// - Throws: `InputError` if there are more processes than shards.
    public mutating func divide(among ranks: RankGroup) throws {
        let shards = configuration.training.shards
        guard shards % ranks.count == 0 else {
            throw InputError(
                file: "configuration", place: "training.shards", found: "\(shards), for \(ranks.count) processes",
                expected: "at least as many: each computes one or several")
        }
        self.ranks = ranks
    }

    /// What has to be the same in all processes, each thing as people call it.
    private func facts(_ datasets: [any Dataset], on context: DeviceContext, asked: String) throws -> [[String]] {
        let splits = datasets.map { dataset in
            dataset.splits.all.map { "\($0.name) \($0.indices.count) \(FNV1a.hash(of: "\($0.indices)"))" }
        }
        return [
            ["program", "program \(Self.programHash), kernels \(FNV1a.hash(of: KernelLibrary.sources))"],
            ["task", asked],
            ["configuration", configuration.yaml()],
            ["data set", datasets.map(\.name).joined(separator: ", ") + ": \(splits)"],
            ["device", context.device.name], ["driver", context.device.driverVersion],
            [
                "set of class weights",
                try configuration.tasks.map { "\(try classWeights($0) ?? [])" }.joined(separator: "\n"),
            ],
        ]
    }

    /// Of the file that runs; where it cannot be read, none differs.
    private static var programHash: String {
        guard let file = Bundle.main.executableURL, let data = try? Data(contentsOf: file, options: .mappedIfSafe)
        else {
            return "unknown"
        }
        return ContentHash.text(data)
    }

    /// Makes sure that all processes are about to do the same.
    ///
    /// - Parameters:
    ///   - datasets: in the order of `sources`; names and splits are compared, not what files hold.
    ///   - context: the device.
    ///   - asked: what the processes were asked for beside the configuration.
    ///   - ranks: the processes.
    /// - Throws: `RankError` naming the first process that is not, and what is different there.
    public func compare(
        _ datasets: [any Dataset], on context: DeviceContext, asked: String = "", with ranks: RankGroup
    ) throws {
        try ranks.requireSame(
            facts(datasets, on: context, asked: asked),
            expected: "the same program, configuration, data and devices everywhere")
    }
}

extension RankGroup {
    /// Makes sure that all processes have the same; waits for all.
    ///
    /// - Parameters:
    ///   - facts: of each thing what people call it, and its text.
    ///   - expected: what to say where one differs.
    /// - Throws: `RankError` naming the first process that has not, and what is different there.
    package func requireSame(_ facts: [[String]], expected: String) throws {
        let all = try gather(facts)
        for (rank, facts) in all.enumerated() {
            for (mine, theirs) in zip(all[0], facts) where mine != theirs {
                throw RankError(
                    "rank \(rank) has another \(mine[0]) than rank 0: \(Self.difference(theirs[1], mine[1])); "
                        + "expected \(expected)")
            }
        }
    }

    /// What differs in texts, as far as a line can say it.
    private static func difference(_ theirs: String, _ mine: String) -> String {
        let (theirs, mine) = (theirs.split(separator: "\n"), mine.split(separator: "\n"))
        let place = zip(theirs, mine).first { $0 != $1 }
        func short(_ line: Substring?) -> String { "'\((line ?? "nothing").prefix(80))'" }
        return "\(short(place?.0 ?? theirs.last)), not \(short(place?.1 ?? mine.last))"
    }
}
