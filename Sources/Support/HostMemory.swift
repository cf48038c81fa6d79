import Foundation

/// The memory that the C library gives a process.
package enum HostMemory {
    /// Has memory that is freed stay with the process, for what is made next.
    ///
    /// Every image that is loaded takes megabytes that are free again when it is in its batch. The C library would give
    /// them back to the system, which hands out the next ones page by page, cleared. What the process takes at its peak
    /// so stays with it, but for arrays of more than 32 MiB. Without a C library that can, nothing happens.
    ///
    /// All threads share one heap. Each with its own, what one thread of a driver asks for and another frees leaves
    /// gaps that nobody fills: `predict` with pocl grew by 17 kB with every image, without end.
    package static func keepFreed() {
        #if canImport(Glibc)
            typealias Mallopt = @convention(c) (CInt, CInt) -> CInt
            guard let symbol = dlsym(nil, "mallopt") else { return }
            let mallopt = unsafeBitCast(symbol, to: Mallopt.self)
            // As malloc.h numbers them: the size from which the system is asked for each array, what may be free at the
            // end of memory, and what is to be; how many heaps there may be.
            let (mmapThreshold, trimThreshold, topPad, mostHeaps): (CInt, CInt, CInt, CInt) = (-3, -1, -2, -8)
            _ = mallopt(mmapThreshold, 32 << 20)
            _ = mallopt(trimThreshold, .max)
            _ = mallopt(topPad, 65 << 20)
            _ = mallopt(mostHeaps, 1)
        #endif
    }
}
