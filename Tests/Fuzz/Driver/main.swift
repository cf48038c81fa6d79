import Foundation

#if canImport(Glibc)
    import Glibc
#endif

// One reader of foreign bytes under libFuzzer, whose options the command line takes. tools/fuzz builds and starts this.

/// libFuzzer itself, without its `main`.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

guard let name = ProcessInfo.processInfo.environment["ADASHARE_FUZZ_TARGET"] else {
    for target in Target.all.keys.sorted() { print(target) }
    exit(EXIT_SUCCESS)
}
guard let target = Target.all[name] else {
    FileHandle.standardError.write(Data("fuzz: found target '\(name)', expected one that a start without names\n".utf8))
    exit(64)
}
Target.chosen = target
Memory.watch()
// libFuzzer ends the process itself.
atexit { FileHandle.standardError.write(Data("stat::most_allocated_bytes: \(Memory.most)\n".utf8)) }
var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
let status = withUnsafeMutablePointer(to: &arguments) { list in
    runFuzzer(&count, list) { bytes, count in
        Target.chosen.run(Data(bytes: bytes ?? UnsafePointer(bitPattern: 1)!, count: count))
        return 0
    }
}
exit(status)
