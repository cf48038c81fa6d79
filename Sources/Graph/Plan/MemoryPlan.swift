import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport

/// Where every computed value of a schedule lives in the arena.
///
/// Values are placed in schedule order, best fit among the gaps that earlier values have left; an operator that allows
/// it writes over an input that dies there. No value crosses a chunk. A step that infers is packed once more.
struct MemoryPlan {
    typealias Place = ChunkedArena.Place

    /// Place of each arena value, by value id; nil for what lives elsewhere.
    var places: [Place?]
    /// Workspace of each node, by node index; nil without one.
    var workspaces: [Place?]
    /// High-water mark of each chunk in bytes.
    var chunkBytes: [Int] = []
    /// The largest number of bytes in use at once, before fragmentation.
    private(set) var peakLiveBytes = 0
    /// By node index, the bytes in use while it runs, its workspace excepted.
    private(set) var liveBytesAt: [Int]

    private var gaps: [[(offset: Int, byteCount: Int)]] = []
    private var liveBytes = 0
    private let alignment: Int
    private let chunkLimit: Int

    /// - Parameters:
    ///   - known: scratch memory of each node, by node index; nil to work it out.
    ///   - alignment: of every place, in bytes; sizes are rounded up to it, which also covers kernels that finish a
    ///     last group of 64 elements.
    ///   - chunkLimit: the device's allocation limit in bytes.
    ///   - hasWorkspaces: whether nodes get their workspaces.
    /// - Throws: `InputError` if one value alone exceeds the limit.
    init(
        _ graph: LoweredGraph, schedule: Schedule, workspaceBytes known: [Int]? = nil, alignment: Int = 512,
        chunkLimit: Int, hasWorkspaces: Bool = true
    ) throws {
        self.alignment = alignment
        self.chunkLimit = chunkLimit / alignment * alignment
        places = [Place?](repeating: nil, count: graph.valueCount)
        workspaces = [Place?](repeating: nil, count: graph.nodes.count)
        liveBytesAt = [Int](repeating: 0, count: graph.nodes.count)
        let lastUse = Self.lastUses(graph, schedule)
        var dying: [Int] = []

        for (position, index) in schedule.order.enumerated() {
            let node = graph.nodes[index]
            dying.removeAll(keepingCapacity: true)
            graph.read.forEach(of: index) { id in
                if lastUse[id] == position, places[id] != nil, !dying.contains(id) { dying.append(id) }
            }
            for (number, value) in node.outputs.enumerated() {
                let size = roundUp(value.shape.byteCount, to: alignment)
                let allowed = node.operation.inPlaceInputs(output: number)
                let reused = allowed.lazy.map { node.inputs[$0] }.first { input in
                    // A value given twice may be overwritten only if that is allowed for both.
                    dying.contains(input.id) && self.places[input.id]?.byteCount == size
                        && input.shape.element == value.shape.element
                        && node.inputs.indices.allSatisfy { node.inputs[$0].id != input.id || allowed.contains($0) }
                }?.id
                if let reused, let place = places[reused] {
                    dying.removeAll { $0 == reused }
                    places[value.id] = place
                } else {
                    places[value.id] = try allocate(size, of: value.shape.element, for: node)
                }
            }
            liveBytesAt[index] = liveBytes
            let scratch =
                known?[index]
                ?? node.operation.workspaceByteCount(
                    inputs: node.inputShapes, outputs: node.outputShapes, family: graph.family)
            if hasWorkspaces, scratch > 0 {
                let place = try allocate(roundUp(scratch, to: alignment), for: node)
                workspaces[index] = place
                release(place)
            }
            for id in dying { if let place = places[id] { release(place) } }
            for place in graph.computed[index] {
                let id = graph.computed.ids[place]
                if lastUse[id] < 0, let place = places[id] { release(place) }
            }
        }
        if hasWorkspaces, graph.infers { pack(graph, schedule) }
    }

    var totalBytes: Int { chunkBytes.reduce(0, +) }

    /// Position in the schedule where each value is read last, −1 for never; named outputs outlive it.
    static func lastUses(_ graph: LoweredGraph, _ schedule: Schedule) -> [Int] {
        var last = [Int](repeating: -1, count: graph.valueCount)
        for (position, index) in schedule.order.enumerated() {
            graph.read.forEach(of: index) { last[$0] = position }
        }
        for output in graph.outputs { last[output.value.id] = Int.max }
        return last
    }

    private mutating func allocate(
        _ size: Int, of element: ElementType = .float32, for node: Graph.Node
    ) throws -> Place {
        let count = size / element.byteCount
        guard count <= Int(Int32.max) else {
            throw tooLarge(node, found: "\(count) elements", limit: "\(Int32.max), as many as kernels count")
        }
        guard size <= chunkLimit else {
            throw tooLarge(
                node, found: "\(size) bytes", limit: "\(chunkLimit), as many as the device allocates at once")
        }
        liveBytes += size
        peakLiveBytes = max(peakLiveBytes, liveBytes)
        var best: (chunk: Int, gap: Int, waste: Int)?
        for (chunk, list) in gaps.enumerated() {
            for (index, gap) in list.enumerated() where gap.byteCount >= size {
                if best.map({ gap.byteCount - size < $0.waste }) ?? true {
                    best = (chunk, index, gap.byteCount - size)
                }
            }
        }
        if let best {
            let gap = gaps[best.chunk][best.gap]
            if gap.byteCount == size {
                gaps[best.chunk].remove(at: best.gap)
            } else {
                gaps[best.chunk][best.gap] = (gap.offset + size, gap.byteCount - size)
            }
            return Place(chunk: best.chunk, offset: gap.offset, byteCount: size)
        }
        return extend(by: size)
    }

    private func tooLarge(_ node: Graph.Node, found: String, limit: String) -> InputError {
        InputError(
            file: "memory of a step", place: node.label.isEmpty ? "\(node.operation)" : node.label,
            found: "a tensor of \(found)", expected: "at most \(limit): a smaller batch or crop")
    }

    /// Grows the first chunk with room, starting in a gap at its end if there is one.
    private mutating func extend(by size: Int) -> Place {
        for chunk in chunkBytes.indices {
            let tail = gaps[chunk].last.flatMap { $0.offset + $0.byteCount == chunkBytes[chunk] ? $0 : nil }
            let offset = tail?.offset ?? chunkBytes[chunk]
            if offset + size <= chunkLimit {
                if tail != nil { gaps[chunk].removeLast() }
                chunkBytes[chunk] = offset + size
                return Place(chunk: chunk, offset: offset, byteCount: size)
            }
        }
        chunkBytes.append(size)
        gaps.append([])
        return Place(chunk: chunkBytes.count - 1, offset: 0, byteCount: size)
    }

    private mutating func release(_ place: Place) {
        liveBytes -= place.byteCount
        Self.insert((place.offset, place.byteCount), into: &gaps[place.chunk])
    }

    /// Adds a gap to those of a chunk, which are in order, and joins it to its neighbours.
    private static func insert(_ gap: (offset: Int, byteCount: Int), into list: inout [(offset: Int, byteCount: Int)]) {
        let index = list.firstIndex { $0.offset > gap.offset } ?? list.count
        let meetsNext = index < list.count && gap.offset + gap.byteCount == list[index].offset
        let meetsLast = index > 0 && list[index - 1].offset + list[index - 1].byteCount == gap.offset
        switch (meetsLast, meetsNext) {
        case (true, true):
            let next = list.remove(at: index)
            list[index - 1].byteCount += gap.byteCount + next.byteCount
        case (true, false): list[index - 1].byteCount += gap.byteCount
        case (false, true): list[index] = (gap.offset, gap.byteCount + list[index].byteCount)
        case (false, false): list.insert(gap, at: index)
        }
    }
}
