import AdaShareFiles
import AdaShareLayers
import AdaShareModels
import AdaShareSupport
import Foundation

/// Blocks that a file of initial weights need not have.
extension ParameterCatalog {
    /// What is read of a policy.
    private struct RecordedTasks: Decodable { let tasks: [String: [Int]] }

    /// The blocks that a file lacks, whole, because no task that it was exported for selects them, as its policy says.
    /// Files of networks of another depth lack blocks, too, and are refused.
    ///
    /// - Parameters:
    ///   - file: as `adapted` has it.
    ///   - architecture: the network.
    /// - Returns: what the names of the blocks' tensors begin with, without the last point.
    package func absentBlocks(in file: TensorFile, of architecture: NetworkArchitecture) -> [String] {
        guard let text = file.metadata["policy"],
            let rows = try? JSONText.decode(RecordedTasks.self, from: Data(text.utf8)).tasks.values, !rows.isEmpty,
            rows.allSatisfy({ $0.count == architecture.blocks.count })
        else { return [] }
        let skipped = architecture.blocks.filter { block in rows.allSatisfy { $0[block.index] == 0 } }
        return skipped.map(\.name).filter { block in
            specs.filter { isTensor($0, of: block) }.allSatisfy { names(of: $0, in: file, partial: true).isEmpty }
        }
    }

    /// Whether a tensor belongs to the branch of a block, in whichever form.
    package func isTensor(_ spec: ParameterSpec, of block: String) -> Bool {
        (commonName(of: spec) ?? spec.name).hasPrefix(block + ".")
    }
}
