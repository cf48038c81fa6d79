import ArgumentParser
import DeviceLayer
import Foundation
import Operators
import Training

/// Where the work runs.
struct DeviceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "OpenCL device: gpu, cpu, an index such as 0:1, or part of a name.",
            discussion: "Default: ADASHARE_DEVICE, else the GPU with most compute units, else a CPU."))
    var device: String?

    @Option(help: "Kernels to use: cpu or gpu. Default: what suits the device.")
    var kernelFamily: KernelFamily?

    /// The environment is read here and nowhere else.
    func makeContext() throws -> DeviceContext {
        let selector = device ?? ProcessInfo.processInfo.environment["ADASHARE_DEVICE"]
        return try DeviceContext(device: try Device.select(selector))
    }
}

extension KernelFamily: ExpressibleByArgument {}

/// An image size such as 224x224.
struct Size: ExpressibleByArgument {
    let height, width: Int
    /// Larger images overflow the counts of `cost` before they fit any memory.
    private static let range = 1...65_536

    init?(argument: String) {
        let parts = argument.lowercased().split(separator: "x").map { Int($0) }
        guard parts.count == 2, let height = parts[0], let width = parts[1], Self.range.contains(height),
            Self.range.contains(width)
        else { return nil }
        self.height = height
        self.width = width
    }
}

/// The configuration file and changes to it.
struct ConfigurationOptions: ParsableArguments {
    @Option(help: "Experiment configuration, YAML; docs/configuration.md lists every key.")
    var config: String

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Change one key, for example training.batch=8; repeatable.", valueName: "path=value"))
    var overrides: [String] = []

    func load() throws -> ExperimentConfiguration {
        try ExperimentConfiguration.load(URL(fileURLWithPath: config), overrides: overrides)
    }
}
