import Foundation

/// Processes that `mpirun`, `srun` or the like has started. Every call is made by the thread that has opened it.
public final class MPITransport: RankTransport, @unchecked Sendable {
    /// Of the library.
    public static let libraryName = "libadashare-mpi.so"

    public let index, count: Int
    private let library: MPILibrary
    public let local: (index: Int, count: Int)
    /// Name and version of MPI, and the names of the processes' hosts.
    public private(set) var description = "MPI"
    /// When each process was last heard of.
    private var heard: [ContinuousClock.Instant]
    private var nextBeat = ContinuousClock.now
    /// When this process last looked.
    private var looked = ContinuousClock.now
    /// Names of the processes' hosts; none before they are known, and once all have come to the end.
    private var hosts: [String] = []
    /// When all have to be done with closing.
    private var closed: ContinuousClock.Instant?
    /// Whether a transfer was given up: MPI may still write where it was to, so it is not called again.
    private var isBroken = false

    private static let tag: Int32 = 4711
    private static let beatSeconds = 2.0
    /// How long a process may be silent.
    private static let patience = 20.0

    /// Joins the processes.
    ///
    /// - Parameter candidates: where the library may lie, the first one that is there counts.
    /// - Throws: `RankError` where there is none, or MPI does not start.
    public init(_ candidates: [URL]) throws {
        library = try MPILibrary(candidates)
        var (rank, size, localRank, localSize): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
        let status = library.open(&rank, &size, &localRank, &localSize)
        (index, count) = (Int(rank), Int(size))
        local = (Int(localRank), Int(localSize))
        heard = []
        try check(status, "MPI_Init_thread")
        let names = try gather(Array(ProcessInfo.processInfo.hostName.utf8)).map { String(decoding: $0, as: UTF8.self) }
        (hosts, looked) = (names, .now)
        heard = [ContinuousClock.Instant](repeating: .now, count: count)
        let version = text(library.version).split(separator: "\n").first.map(String.init) ?? "MPI"
        description = version + " on " + names.joined(separator: ", ")
    }

    public func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
        let counts = try Layout([Int](repeating: 0, count: count))
        let own = try Layout([bytes.count])
        try withExtendedLifetime((own, counts)) {
            try transfer("MPI_Iallgather") { library.gatherCounts(own.counts, counts.counts, $0) }
        }
        let lengths = (0..<count).map { Int(counts.counts[$0]) }
        // MPI counts to 2^31 − 1, all processes' bytes together.
        let piece = Int(Int32.max) / count
        var all = lengths.map { _ in [UInt8]() }
        for start in stride(from: 0, to: max(1, lengths.max() ?? 0), by: piece) {
            let layout = try Layout(lengths.map { min(piece, max(0, $0 - start)) })
            var bytesOfAll = [UInt8](repeating: 0, count: layout.total)
            var span = bytesOfAll.mutableSpan
            let rest = Array(bytes.dropFirst(start).prefix(piece))
            try collect(rest.span, layout, into: &span)
            for rank in 0..<count { all[rank] += bytesOfAll[layout[rank]] }
        }
        return all
    }

    public func gather(_ own: Span<Float>, counts: [Int], into all: inout MutableSpan<Float>) throws {
        try collect(own, Layout(counts), into: &all)
    }

    private func collect<Element: BitwiseCopyable>(
        _ own: Span<Element>, _ layout: Layout, into all: inout MutableSpan<Element>
    ) throws {
        precondition(all.count == layout.total, "\(all.count) places for \(layout.total) elements")
        try all.withUnsafeMutableBufferPointer { all in
            try own.withUnsafeBufferPointer { own in
                try withExtendedLifetime(layout) {
                    try transfer("MPI_Iallgatherv") {
                        library.gather(
                            own.baseAddress, Int32(own.count), all.baseAddress, layout.counts, layout.offsets,
                            Int32(MemoryLayout<Element>.size), $0)
                    }
                }
            }
        }
    }

    public func exchange(_ values: Span<Float>, parts: [Range<Int>], into all: inout MutableSpan<Float>) throws {
        let sent = try Layout(parts.map(\.count))
        let received = try Layout([Int](repeating: parts[index].count, count: count))
        precondition(all.count >= received.total, "\(all.count) places for \(received.total) numbers")
        try all.withUnsafeMutableBufferPointer { all in
            try values.withUnsafeBufferPointer { values in
                try withExtendedLifetime((sent, received)) {
                    try transfer("MPI_Ialltoallv") {
                        library.exchange(
                            values.baseAddress, sent.counts, sent.offsets, all.baseAddress, received.counts,
                            received.offsets, $0)
                    }
                }
            }
        }
    }

    /// Pieces one behind the other, in memory that stays where it is while a transfer is under way.
    private final class Layout {
        let counts, offsets: UnsafeMutablePointer<Int32>
        let total: Int

        /// - Throws: `RankError` where pieces are larger than MPI counts.
        init(_ pieces: [Int]) throws {
            guard pieces.reduce(0, +) <= Int(Int32.max) else {
                throw RankError("\(pieces.reduce(0, +)) elements to exchange, expected at most \(Int32.max)")
            }
            counts = .allocate(capacity: pieces.count)
            offsets = .allocate(capacity: pieces.count)
            var end = 0
            for (index, piece) in pieces.enumerated() {
                (counts[index], offsets[index]) = (Int32(piece), Int32(end))
                end += piece
            }
            total = end
        }

        deinit {
            counts.deallocate()
            offsets.deallocate()
        }

        subscript(_ index: Int) -> Range<Int> {
            Int(offsets[index])..<Int(offsets[index]) + Int(counts[index])
        }
    }

    public func idle() throws { try live() }

    public func abort(code: Int32) { _ = library.abort(code) }

    public func close() throws {
        // Some may come late: until then all give signs of life. From then on nobody is missed.
        guard !isBroken else { return }
        _ = try gather([])
        hosts = []
        closed = .now + .seconds(Self.patience)
        // Nothing that was sent may be left; after the second time nobody sends any more.
        takeBeats()
        _ = try gather([])
        takeBeats()
        _ = library.close()
    }

    private func takeBeats() { while let rank = try? takeBeat(), rank >= 0 {} }

    /// Begins a transfer and waits for it.
    private func transfer(_ call: String, _ begin: (MPILibrary.Request) -> Int32) throws {
        guard !isBroken else { throw RankError("\(call) after another process could not be reached") }
        let request = MPILibrary.Request.allocate(capacity: 1)
        request.initialize(to: nil)
        isBroken = true
        try check(begin(request), call)
        try wait {
            var isDone: Int32 = 0
            try check(library.isDone(request, &isDone), call)
            return isDone != 0
        }
        isBroken = false
        request.deallocate()
    }

    /// Gives signs of life, and looks for those of the others.
    private func live() throws {
        let now = ContinuousClock.now
        if let closed, now > closed { throw RankError("not all processes have come to the end") }
        guard count > 1, !hosts.isEmpty, now >= nextBeat else { return }
        // Who has slept cannot tell who has been silent.
        if now - looked > .seconds(3 * Self.beatSeconds) { heard = heard.map { _ in now } }
        (looked, nextBeat) = (now, now + .seconds(Self.beatSeconds))
        for rank in 0..<count where rank != index {
            try check(library.beat(Int32(rank), Self.tag), "MPI_Isend")
        }
        while case let rank = try takeBeat(), rank >= 0 { heard[rank] = now }
        if let silent = (0..<count).first(where: { $0 != index && now - heard[$0] > .seconds(Self.patience) }) {
            throw RankError(
                "rank \(silent) on \(hosts[silent]) has given no sign of life for \(Int(Self.patience)) s")
        }
    }

    /// The process of a sign of life that has come; −1 where none has.
    private func takeBeat() throws -> Int {
        var rank: Int32 = -1
        try check(library.takeBeat(Self.tag, &rank), "MPI_Iprobe")
        return Int(rank)
    }

    private func check(_ status: Int32, _ call: String) throws {
        guard status != 0 else { return }
        throw RankError("\(call): \(text { library.error(status, $0, $1) })")
    }

    private func text(_ write: (UnsafeMutablePointer<CChar>, Int32) -> Void) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Self.longestText) { memory in
            guard let start = memory.baseAddress else { return "" }
            write(start, Int32(Self.longestText))
            return String(cString: start)
        }
    }

    private static let longestText = 1024
}
