import Synchronization

/// What AddressSanitizer counts of memory that is asked for, on any thread.
enum Memory {
    /// Bytes that a reader has had at a time, above what there was before: at most, of all inputs so far.
    nonisolated(unsafe) private(set) static var most = 0
    /// Bytes since a reader began, less those that it freed, which may be older; and at most since then.
    private static let held = Atomic(0)
    private static let peak = Atomic(0)

    /// Has every allocation counted from now on.
    static func watch() {
        let status = installHooks(
            { _, count in
                let (_, now) = Memory.held.add(count, ordering: .relaxed)
                _ = Memory.peak.max(now, ordering: .relaxed)
            },
            { pointer in
                if let pointer { _ = Memory.held.subtract(sizeOf(pointer), ordering: .relaxed) }
            })
        require(status > 0, "a sanitizer that counts no allocations")
    }

    /// The bytes that `body` had at a time, at most.
    static func ofReading(_ body: () -> Void) -> Int {
        held.store(0, ordering: .relaxed)
        peak.store(0, ordering: .relaxed)
        body()
        let taken = peak.load(ordering: .relaxed)
        most = max(most, taken)
        return taken
    }
}

@_silgen_name("__sanitizer_install_malloc_and_free_hooks")
private func installHooks(
    _ allocated: @convention(c) (UnsafeRawPointer?, Int) -> Void, _ freed: @convention(c) (UnsafeRawPointer?) -> Void
) -> CInt

@_silgen_name("__sanitizer_get_allocated_size")
private func sizeOf(_ pointer: UnsafeRawPointer) -> Int
