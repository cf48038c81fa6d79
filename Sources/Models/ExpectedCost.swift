import Operators

extension CostModel {
    /// Cost of each block's branch as a share of all branches; projections and stem run in any case and are not charged.
    public var blockShares: [Double] {
        let total = blocks.reduce(0) { $0 + $1.macs }
        return blocks.map { Double($0.macs) / Double(total) }
    }

    /// Expected MACs of the blocks under independent decisions, as a share of selecting everything in the same form.
    ///
    /// With 0 and 1 for probabilities: the share of a discrete policy.
    ///
    /// - Parameters:
    ///   - probabilities: α, [task][block].
    ///   - form: what is charged; see `ExpectedCostLoss` for the formulas.
    /// - Precondition: one row per task with one number per block.
    public func expectedShare(_ probabilities: [[Double]], form: CostForm) -> Double {
        precondition(probabilities.allSatisfy { $0.count == blocks.count }, "one probability per block")
        let shares = blockShares
        switch form {
        case .passes:
            let sums = probabilities.map { row in zip(shares, row).reduce(0) { $0 + $1.0 * $1.1 } }
            return sums.reduce(0, +) / Double(sums.count)
        case .shared:
            return (1..<(1 << probabilities.count)).reduce(0) { sum, set in
                let rows = probabilities.indices.filter { set >> $0 & 1 == 1 }.map { probabilities[$0] }
                let rest = blocks.indices.reversed().reduce(0) { rest, block in
                    let all = rows.reduce(1) { $0 * $1[block] }
                    let none = rows.reduce(1) { $0 * (1 - $1[block]) }
                    return shares[block] * all + (all + none) * rest
                }
                return sum + (rows.count % 2 == 1 ? rest : -rest)
            }
        }
    }

    /// The share of a discrete policy.
    public func share(_ policy: DiscretePolicy, form: CostForm) -> Double {
        expectedShare(policy.select.map { $0.map { $0 ? 1 : 0 } }, form: form)
    }
}
