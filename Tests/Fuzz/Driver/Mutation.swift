import Foundation

extension Target {
    /// The one that this process tries.
    nonisolated(unsafe) static var chosen = Target { _ in }

    /// Gives the bytes to the reader, and looks at the memory it takes.
    func run(_ bytes: Data) {
        let taken = Memory.ofReading { give(bytes) }
        require(taken <= 16 * bytes.count + spare, "\(taken) bytes of memory for an input of \(bytes.count)")
    }
}

/// libFuzzer's own mutation.
@_silgen_name("LLVMFuzzerMutate")
private func mutate(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ most: Int) -> Int

/// What libFuzzer calls to change an input.
@_cdecl("LLVMFuzzerCustomMutator")
func mutateAndMend(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ most: Int, _ seed: UInt32) -> Int {
    let count = mutate(bytes, count, most)
    // Some stay broken: checks of what is whole are to be tried as well.
    guard let mend = Target.chosen.mend, seed % 16 != 0 else { return count }
    return mend(UnsafeMutableBufferPointer(start: bytes, count: most), count)
}
