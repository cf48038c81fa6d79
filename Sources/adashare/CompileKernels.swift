import AdaShareDeviceLayer
import ArgumentParser
import Foundation

/// What the processes run that compile kernels beside the one that waits for them; nothing for people.
struct CompileKernels: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compile-kernels", abstract: "Compiles kernels into the driver's cache.", shouldDisplay: false)

    @Argument(help: "The folder that says what to compile.")
    var folder: String

    func run() throws { try CompilerPool.work(in: URL(fileURLWithPath: folder)) }

    /// Processes of this program; nil where the system does not say which that is, and where it is another one: tests
    /// run commands in their own process.
    static var pool: CompilerPool? {
        guard let program = Bundle.main.executableURL, program.pathExtension != "xctest" else { return nil }
        return CompilerPool(executable: program, arguments: ["compile-kernels"])
    }
}
