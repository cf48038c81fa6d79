extension PartCosts {
    enum CodingKeys: String, CodingKey {
        case unit, tasks, sources, stem, once, blocks, isSeparate
    }

    /// Files name sources only where some tasks share images and others do not.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let tasks = try container.decode(Int.self, forKey: .tasks)
        func wrong(_ found: String) -> DecodingError {
            .dataCorruptedError(forKey: .sources, in: container, debugDescription: found)
        }
        guard 1...Self.mostTasks ~= tasks else { throw wrong("\(tasks) tasks") }
        let isSeparate = try container.decodeIfPresent(Bool.self, forKey: .isSeparate) ?? false
        let sources =
            try container.decodeIfPresent([Int].self, forKey: .sources)
            ?? (isSeparate ? Array(0..<tasks) : Array(repeating: 0, count: tasks))
        guard sources.count == tasks else { throw wrong("\(sources.count) sources of \(tasks) tasks") }
        self.init(
            unit: try container.decode(Unit.self, forKey: .unit), sources: sources,
            stem: try container.decode(Int.self, forKey: .stem), once: try container.decode(Int.self, forKey: .once),
            blocks: try container.decode([Block].self, forKey: .blocks))
        // Whatever is added up of them stays a whole number.
        let parts = blocks.flatMap { [$0.branch, $0.branchOnce, $0.projection, $0.projectionOnce] } + [stem, once]
        let most = Int.max / (8 * tasks * (blocks.count + 1))
        if let part = parts.first(where: { !(0...most ~= $0) }) { throw wrong("a part that costs \(part)") }
    }

    /// Of a file: more than any network has.
    private static let mostTasks = 4096

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(unit, forKey: .unit)
        try container.encode(tasks, forKey: .tasks)
        try container.encode(tasks > 1 && passes == tasks, forKey: .isSeparate)
        if passes > 1, passes < tasks { try container.encode(sources, forKey: .sources) }
        try container.encode(stem, forKey: .stem)
        try container.encode(once, forKey: .once)
        try container.encode(blocks, forKey: .blocks)
    }
}
