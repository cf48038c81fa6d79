import Foundation

/// Compiles kernels of a context on all cores.
struct KernelPreparation {
    let context: DeviceContext
    let compilers: CompilerPool?
    /// By program.
    let groups: [[KernelRequest]]

    /// Machine code that the driver's cache has is there in a few thousandths of a second; making it takes several
    /// hundredths.
    private static let leastSecondsOfCompiling = 0.03

    private var isStopped: Bool { context.isStopped?() ?? false }

    private var total: Int { groups.reduce(0) { $0 + $1.count } }

    /// - Parameter progress: called on this thread, first with no kernel done, last with all.
    func run(progress: (Int, Int) -> Void) throws(DeviceError) {
        progress(0, total)
        defer { progress(total, total) }
        if context.device.compilesAtFirstLaunch {
            try throughDriversCache(progress)
        } else {
            try inThreads(progress)
        }
    }

    /// pocl builds one program of a context after the other, and makes machine code of one kernel of a process after
    /// the other. What is in its cache is quickly there; as soon as a kernel is not, the rest is left to processes.
    /// Small programs come first, so that this is known early.
    private func throughDriversCache(_ progress: (Int, Int) -> Void) throws(DeviceError) {
        let groups = groups.map { (cost: CompilerPool.cost($0), group: $0) }.sorted { $0.cost < $1.cost }.map(\.group)
        var done = 0
        for (index, group) in groups.enumerated() {
            if isStopped { return }
            let program = try context.program(group[0].program)
            let start = ContinuousClock.now
            // What goes wrong here goes wrong again where the kernel is used, and is told there.
            try? CompilerPool.compile(group[0], of: program, on: context)
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            // This program is in the cache now, so that several processes can take kernels of it.
            let rest = group.dropFirst().map { [$0] } + groups[(index + 1)...]
            if seconds >= Self.leastSecondsOfCompiling, !rest.isEmpty, let compilers {
                let before = done + 1
                progress(before, total)
                let missing = compilers.compile(
                    rest, on: context.device, isStopped: { isStopped }, progress: { progress(before + $0, total) })
                for request in missing.joined() where !isStopped {
                    let program = try context.program(request.program)
                    // As above.
                    try? CompilerPool.compile(request, of: program, on: context)
                }
                for group in groups[(index + 1)...] where !isStopped { _ = try context.program(group[0].program) }
                return
            }
            done += group.count
            progress(done, total)
        }
    }

    /// On every core a thread that takes the next program.
    private func inThreads(_ progress: (Int, Int) -> Void) throws(DeviceError) {
        let shared = SharedWork(count: groups.count)
        let isStopped = context.isStopped
        // Oclgrind's compiler crashes in two threads at once, whatever the standard says.
        let cores = context.device.platformName == "Oclgrind" ? 1 : ProcessInfo.processInfo.activeProcessorCount
        let threads = min(groups.count, cores)
        for _ in 0..<threads {
            let thread = Thread {
                while let index = shared.next() {
                    do throws(DeviceError) {
                        _ = try context.program(groups[index][0].program)
                        shared.finish(groups[index].count, nil)
                    } catch {
                        shared.finish(groups[index].count, error)
                    }
                }
            }
            // Compilers recurse deeply.
            thread.stackSize = 8 << 20
            thread.start()
        }
        while let done = shared.wait() {
            if isStopped?() ?? false { shared.leave() }
            progress(done, total)
        }
        if let failure = shared.failure { throw failure }
    }
}

/// Pieces of work that threads take one after another.
private final class SharedWork: @unchecked Sendable {
    private let condition = NSCondition()
    private let count: Int
    private var taken = 0
    private var finished = 0
    private var done = 0
    private var reported = 0
    private var first: DeviceError?

    init(count: Int) { self.count = count }

    /// The next piece. What fails keeps nothing else from being done.
    func next() -> Int? {
        locked {
            guard taken < count else { return nil }
            taken += 1
            return taken - 1
        }
    }

    /// Has no further piece taken.
    func leave() {
        locked {
            finished += count - taken
            taken = count
        }
    }

    func finish(_ units: Int, _ failure: DeviceError?) {
        locked {
            finished += 1
            done += units
            first = first ?? failure
            condition.broadcast()
        }
    }

    /// Units done, once that has changed or a second has passed; nil when nothing is left to wait for.
    func wait() -> Int? {
        locked {
            let end = Date(timeIntervalSinceNow: 1)
            while done == reported {
                if finished == count { return nil }
                if !condition.wait(until: end) { break }
            }
            reported = done
            return done
        }
    }

    var failure: DeviceError? { locked { first } }

    private func locked<Result>(_ body: () -> Result) -> Result {
        condition.lock()
        defer { condition.unlock() }
        return body()
    }
}
