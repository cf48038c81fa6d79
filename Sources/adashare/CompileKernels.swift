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

    /// Processes of this program; nil in tests, which run commands in their own process.
    static var pool: CompilerPool? {
        program.map { CompilerPool(executable: $0, arguments: ["compile-kernels"]) }
    }

    /// This program; nil where the system does not say which that is, and where it is another one.
    static var program: URL? {
        guard let program = Bundle.main.executableURL, program.pathExtension != "xctest" else { return nil }
        return program
    }
}
