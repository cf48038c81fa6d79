import ArgumentParser

@main
struct AdaShare: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adashare",
        abstract: "Multi-task learning that does only the selected work, on any OpenCL device.",
        discussion: """
            One residual network learns several tasks, and which blocks each task needs (AdaShare, NeurIPS 2020).
            Blocks a task skips are neither computed nor stored; work that tasks have in common is done once.

            Start with:
              adashare devices
              adashare train --config configs/quickstart.yml --output runs/first
              adashare evaluate --run runs/first

            Exit codes: 0 success, 1 the work failed (one line says why), 64 wrong usage.
            """,
        version: "0.1.0",
        subcommands: [
            Train.self, Evaluate.self, Predict.self, Cost.self, Tune.self, Benchmark.self, Devices.self,
            DataCommand.self, CompileKernels.self,
        ])
}
