import AdaShareOperators

@testable import AdaShareGraph

/// What places of a graph's values must respect, worked out by comparing all pairs of values.
struct MemoryCheck {
    typealias Places = [Int: MemoryPlan.Place]

    private struct Life {
        let value: Value
        let node: Graph.Node
        let output: Int
        let first: Int
        var last: Int
    }

    private let lives: [Life]
    private let positions: [Int: Int]
    private let alignment: Int
    private let limit: Int
    private let graph: LoweredGraph

    init(_ graph: LoweredGraph, _ schedule: Schedule, alignment: Int, limit: Int) {
        var lives: [Life] = []
        for (position, index) in schedule.order.enumerated() {
            let node = graph.nodes[index]
            for (output, value) in node.outputs.enumerated() {
                lives.append(Life(value: value, node: node, output: output, first: position, last: position))
            }
        }
        for number in lives.indices {
            let value = lives[number].value
            for (position, index) in schedule.order.enumerated() where graph.nodes[index].inputs.contains(value) {
                lives[number].last = max(lives[number].last, position)
            }
            if graph.outputs.contains(where: { $0.value == value }) { lives[number].last = Int.max }
        }
        self.lives = lives
        self.graph = graph
        self.alignment = alignment
        self.limit = limit
        positions = Dictionary(uniqueKeysWithValues: schedule.order.enumerated().map { ($1, $0) })
    }

    /// What is wrong with a plan, in words.
    func faults(_ places: Places, _ workspaces: Places, _ chunkBytes: [Int]) -> [String] {
        var faults: [String] = []
        for life in lives {
            guard let place = places[life.value.id] else {
                faults.append("value \(life.value.id) has no place")
                continue
            }
            if place.byteCount < life.value.shape.byteCount { faults.append("value \(life.value.id) does not fit") }
        }
        for place in Array(places.values) + Array(workspaces.values) {
            let end = place.offset + place.byteCount
            if place.offset % alignment != 0 { faults.append("\(place) is not aligned") }
            if !chunkBytes.indices.contains(place.chunk) || end > chunkBytes[place.chunk] {
                faults.append("\(place) leaves its chunk")
            }
        }
        if chunkBytes.contains(where: { $0 > limit }) { faults.append("a chunk of \(chunkBytes) exceeds \(limit)") }
        for (number, a) in lives.enumerated() {
            for b in lives[(number + 1)...] where touch(places[a.value.id], places[b.value.id]) {
                if b.first <= a.last && !mayOverwrite(b, a) {
                    faults.append("value \(b.value.id) overlaps \(a.value.id)")
                }
            }
        }
        for (index, node) in graph.nodes.enumerated() {
            guard let position = positions[index] else { continue }
            let wanted = node.operation.workspaceByteCount(inputs: [], outputs: [], family: graph.family)
            if wanted > workspaces[index]?.byteCount ?? 0 { faults.append("node \(index) has too little workspace") }
            for life in lives where life.first <= position && position <= life.last {
                if touch(workspaces[index], places[life.value.id]) {
                    faults.append("workspace of \(index) overlaps value \(life.value.id)")
                }
            }
        }
        return faults
    }

    /// The largest number of bytes that values and workspaces occupy at once.
    func peak(_ places: Places, _ workspaces: Places) -> Int {
        positions.map { index, position in
            let live = lives.filter { $0.first <= position && position <= $0.last }
            let occupied = live.compactMap { places[$0.value.id] }.reduce(into: [MemoryPlan.Place]()) {
                if !$0.contains($1) { $0.append($1) }
            }
            let values = occupied.reduce(0) { $0 + $1.byteCount }
            return values + (workspaces[index]?.byteCount ?? 0)
        }.max() ?? 0
    }

    /// How many values were written over an input of their node.
    func overwrites(_ places: Places) -> Int {
        lives.count { life in life.node.inputs.contains { places[$0.id] == places[life.value.id] } }
    }

    private func touch(_ a: MemoryPlan.Place?, _ b: MemoryPlan.Place?) -> Bool {
        guard let a, let b, a.chunk == b.chunk else { return false }
        return a.offset < b.offset + b.byteCount && b.offset < a.offset + a.byteCount
    }

    /// Whether the operator allows `new` in the place of `old`, wherever it reads it, and nothing reads it later.
    private func mayOverwrite(_ new: Life, _ old: Life) -> Bool {
        let uses = new.node.inputs.indices.filter { new.node.inputs[$0] == old.value }
        let allowed = new.node.operation.inPlaceInputs(output: new.output)
        return new.first == old.last && !uses.isEmpty && uses.allSatisfy(allowed.contains)
    }
}

extension MemoryPlan {
    /// Of a traced graph in the CPU family.
    init(_ graph: Graph, alignment: Int = 512, chunkLimit: Int = 1 << 30) throws {
        let lowered = graph.lowered(for: .cpu)
        try self.init(lowered, schedule: Schedule(lowered), alignment: alignment, chunkLimit: chunkLimit)
    }

    /// Place of each arena value, by value id.
    var placed: MemoryCheck.Places { Self.known(places) }
    var scratch: MemoryCheck.Places { Self.known(workspaces) }

    private static func known(_ places: [Place?]) -> MemoryCheck.Places {
        Dictionary(uniqueKeysWithValues: places.enumerated().compactMap { id, place in place.map { (id, $0) } })
    }
}
