import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The functions of `libadashare-mpi.so`, which `tools/build-mpi` makes of `tools/adashare_mpi.c` with the MPI of a
/// machine.
struct MPILibrary {
    typealias Request = UnsafeMutablePointer<UnsafeMutableRawPointer?>
    typealias Number = UnsafeMutablePointer<Int32>

    let open: @convention(c) (Number, Number, Number, Number) -> Int32
    let gatherCounts: @convention(c) (UnsafePointer<Int32>, Number, Request) -> Int32
    let gather:
        @convention(c) (
            UnsafeRawPointer?, Int32, UnsafeMutableRawPointer?, UnsafePointer<Int32>, UnsafePointer<Int32>, Int32,
            Request
        ) -> Int32
    let exchange:
        @convention(c) (
            UnsafePointer<Float>?, UnsafePointer<Int32>, UnsafePointer<Int32>, UnsafeMutablePointer<Float>?,
            UnsafePointer<Int32>, UnsafePointer<Int32>, Request
        ) -> Int32
    let isDone: @convention(c) (Request, Number) -> Int32
    let beat: @convention(c) (Int32, Int32) -> Int32
    let takeBeat: @convention(c) (Int32, Number) -> Int32
    let error: @convention(c) (Int32, UnsafeMutablePointer<CChar>, Int32) -> Void
    let version: @convention(c) (UnsafeMutablePointer<CChar>, Int32) -> Void
    let abort: @convention(c) (Int32) -> Int32
    let close: @convention(c) () -> Int32

    private static let interface: Int32 = 1

    /// Loads the library.
    ///
    /// - Throws: `RankError` saying where it was looked for, or what is wrong with it.
    init(_ candidates: [URL]) throws {
        guard let file = candidates.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
            throw RankError(
                "found no \(candidates.map(\.path).joined(separator: ", nor ")), expected what "
                    + "tools/build-mpi --output FOLDER makes with the mpicc of this machine, there or where "
                    + "ADASHARE_MPI says"
            )
        }
        // MPI loads parts of itself later, which look for its symbols among those of all.
        guard let library = dlopen(file.path, RTLD_NOW | RTLD_GLOBAL) else {
            throw RankError("\(file.path): \(dlerror().map { String(cString: $0) } ?? "cannot be loaded")")
        }
        func function<Function>(_ name: String) throws -> Function {
            guard let symbol = dlsym(library, "adashare_mpi_\(name)") else {
                throw RankError(
                    "\(file.path): found no adashare_mpi_\(name), expected the library of this version: tools/build-mpi"
                )
            }
            return unsafeBitCast(symbol, to: Function.self)
        }
        let interface: @convention(c) () -> Int32 = try function("interface")
        guard interface() == Self.interface else {
            throw RankError(
                "\(file.path): found interface \(interface()), expected \(Self.interface): build it again with "
                    + "tools/build-mpi")
        }
        open = try function("open")
        gatherCounts = try function("gather_counts")
        gather = try function("gather")
        exchange = try function("exchange")
        isDone = try function("is_done")
        beat = try function("beat")
        takeBeat = try function("take_beat")
        error = try function("error")
        version = try function("version")
        abort = try function("abort")
        close = try function("close")
    }
}
