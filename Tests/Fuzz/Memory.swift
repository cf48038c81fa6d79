/// What AddressSanitizer counts of memory that is asked for.
enum Memory {
    /// Bytes that a reader has had at a time, above what there was before: at most, of all inputs so far.
    nonisolated(unsafe) private(set) static var most = 0
    /// Bytes since a reader began, and at most since then; what it frees may be older.
    nonisolated(unsafe) private static var held = 0, peak = 0

    /// Has every allocation counted from now on.
    static func watch() {
        let status = installHooks(
            { _, count in
                Memory.held += count
                Memory.peak = max(Memory.peak, Memory.held)
            },
            { pointer in if let pointer { Memory.held -= sizeOf(pointer) } })
        require(status > 0, "a sanitizer that counts no allocations")
    }

    /// The bytes that `body` had at a time, at most.
    static func ofReading(_ body: () -> Void) -> Int {
        (held, peak) = (0, 0)
        body()
        most = max(most, peak)
        return peak
    }
}

@_silgen_name("__sanitizer_install_malloc_and_free_hooks")
private func installHooks(
    _ allocated: @convention(c) (UnsafeRawPointer?, Int) -> Void, _ freed: @convention(c) (UnsafeRawPointer?) -> Void
) -> CInt

@_silgen_name("__sanitizer_get_allocated_size")
private func sizeOf(_ pointer: UnsafeRawPointer) -> Int
