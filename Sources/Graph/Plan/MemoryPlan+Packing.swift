extension MemoryPlan {
    /// Memory of one value, of those that are computed in its place, or of a workspace.
    private struct Block {
        let byteCount, first: Int
        var last: Int
        var offset = 0
    }

    /// Places everything anew, the largest first, each as low as what lives at the same time lets it, if that takes
    /// less: places that are given in the order of the schedule leave gaps between large values.
    ///
    /// It looks at all pairs, so it is for steps that infer, which have few values.
    mutating func pack(_ graph: LoweredGraph, _ schedule: Schedule) {
        guard chunkBytes.count == 1, totalBytes > peakLiveBytes else { return }
        let lastUse = Self.lastUses(graph, schedule)
        var blocks: [Block] = []
        var (ofValue, ofNode): ([Int: Int], [Int: Int]) = ([:], [:])
        for (position, index) in schedule.order.enumerated() {
            let node = graph.nodes[index]
            for value in node.outputs {
                guard let place = places[value.id] else { continue }
                // Nothing else can be where an input still is.
                let overwritten = node.inputs.first { places[$0.id] == place && lastUse[$0.id] == position }
                let block = overwritten.flatMap { ofValue[$0.id] } ?? blocks.count
                if block == blocks.count {
                    blocks.append(Block(byteCount: place.byteCount, first: position, last: position))
                }
                blocks[block].last = max(position, lastUse[value.id])
                ofValue[value.id] = block
            }
            if let place = workspaces[index] {
                ofNode[index] = blocks.count
                blocks.append(Block(byteCount: place.byteCount, first: position, last: position))
            }
        }
        var placed: [Block] = []
        for index in blocks.indices.sorted(by: {
            (-blocks[$0].byteCount, blocks[$0].first) < (-blocks[$1].byteCount, blocks[$1].first)
        }) {
            let block = blocks[index]
            var offset = 0
            for other in placed where other.first <= block.last && block.first <= other.last {
                if offset + block.byteCount <= other.offset { break }
                offset = max(offset, other.offset + other.byteCount)
            }
            blocks[index].offset = offset
            placed.insert(blocks[index], at: placed.firstIndex { $0.offset > offset } ?? placed.count)
        }
        let total = blocks.map { $0.offset + $0.byteCount }.max() ?? 0
        guard total < totalBytes else { return }
        func place(_ index: Int) -> Place {
            Place(chunk: 0, offset: blocks[index].offset, byteCount: blocks[index].byteCount)
        }
        for (id, index) in ofValue { places[id] = place(index) }
        for (node, index) in ofNode { workspaces[node] = place(index) }
        chunkBytes = [total]
    }
}
