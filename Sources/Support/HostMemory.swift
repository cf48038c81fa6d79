import Foundation

/// The memory that the C library gives a process.
package enum HostMemory {
    /// Has memory that is freed stay with the process, for what is made next.
    ///
    /// Every image that is loaded takes megabytes that are free again when it is in its batch. The C library would give
    /// them back to the system, which hands out the next ones page by page, cleared. What the process takes at its peak
    /// so stays with it, but for arrays of more than 32 MiB. Without a C library that can, nothing happens.
    package static func keepFreed() {
        #if canImport(Glibc)
            typealias Mallopt = @convention(c) (CInt, CInt) -> CInt
            guard let symbol = dlsym(nil, "mallopt") else { return }
            let mallopt = unsafeBitCast(symbol, to: Mallopt.self)
            // As malloc.h numbers them: the size from which the system is asked for each array, what may be free at the
            // end of memory, and what is to be; 64 MiB, as a thread's heap may have, keep those that are empty.
            let (mmapThreshold, trimThreshold, topPad): (CInt, CInt, CInt) = (-3, -1, -2)
            _ = mallopt(mmapThreshold, 32 << 20)
            _ = mallopt(trimThreshold, .max)
            _ = mallopt(topPad, 65 << 20)
        #endif
    }
}
