import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareExperiments
import AdaShareModels
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareMethods
@testable import AdaShareOperators

extension TrainingTests {
    /// What the GPU family launches for the published network, counted without running it: whether it fits a GPU, and
    /// keeps a large one busy.
    @Suite struct GroupCountsTests {
        /// A training step in a precision.
        struct Case: Sendable, CustomTestStringConvertible {
            let backbone, precision: String
            var testDescription: String { "\(backbone) \(precision)" }

            static let all = ["resnet34", "resnet50"].flatMap { backbone in
                ["float32", "tf32", "bfloat16"].map { Case(backbone: backbone, precision: $0) }
            }

            func experiment() throws -> Experiment {
                try Experiment(
                    .published(
                        PublishedPolicies.nyu3,
                        overrides: ["model.backbone=\(backbone)", "model.precision=\(precision)"]))
            }
        }

        private static let shape = BatchShape(count: 16, height: 321, width: 321)

        /// Whose matrix units nobody asks for: nothing is compiled.
        private func library() throws -> KernelLibrary {
            try KernelLibrary(
                context: try TestDevice.context(), family: .gpu,
                matrixUnits: [.tf32: .emulated, .bfloat16: .emulated])
        }

        private func groups(_ size: WorkSize) throws -> Int {
            let local = try #require(size.local, "a group that is left to the driver")
            return size.global.reduce(1, *) / local.reduce(1, *)
        }

        /// Bytes of a launch's arguments as a driver lays them out.
        private func bytes(_ arguments: [LaunchArgument]) -> Int {
            arguments.reduce(0) { sum, argument in
                switch argument {
                case .input, .output, .workspace, .zeros, .local: roundUp(sum, to: 8) + 8
                case .int, .uint, .float: sum + 4
                case .int4: roundUp(sum, to: 16) + 16
                }
            }
        }

        /// Launches of a step, but for weights that are packed once for many steps.
        private func requests(_ kind: StepKind, _ experiment: Experiment, _ library: KernelLibrary) throws
            -> [(request: LaunchRequest, problem: ConvolutionProblem?)]
        {
            let graph = experiment.loweredGraph(kind, Self.shape, family: .gpu)
            return try Schedule(graph).order.flatMap { index in
                let node = graph.nodes[index]
                let (inputs, outputs) = (node.inputs.map(\.shape), node.outputs.map(\.shape))
                let problem = (node.operation as? any ConvolutionPass)?.problem(inputs, outputs)
                return try Encoding(node.operation, inputs: inputs, outputs: outputs, library: library).requests
                    .map { ($0, problem) }
            }
        }

        /// Every convolution's work-groups fill a large GPU, 264 at a time.
        @Test(arguments: Case.all) func convolutionsKeepALargeDeviceBusy(a: Case) throws {
            let library = try library()
            var seen = 0
            for (request, problem) in try requests(.hardSharing, a.experiment(), library) {
                guard let problem, ["convolution_gather", "convolution_weights"].contains(request.kernel) else {
                    continue
                }
                seen += 1
                let count = try groups(request.size)
                #expect(count >= 250, "\(problem): \(count) groups, \(request.options)")
            }
            #expect(seen > 100)
        }

        /// Every launch is one that any GPU takes: groups, arguments, local memory.
        @Test(arguments: Case.all) func everyLaunchFitsAnyGPU(a: Case) throws {
            let library = try library()
            let experiment = try a.experiment()
            for kind in [StepKind.hardSharing, .retrain(PublishedPolicies.nyu3.policy)] {
                for (request, _) in try requests(kind, experiment, library) {
                    let local = try #require(request.size.local, "\(request.kernel)")
                    #expect(local.reduce(1, *) <= 256, "\(request.kernel) \(request.size)")
                    #expect(bytes(request.arguments) <= 1024, "\(request.kernel)")
                    #expect(request.size.global.allSatisfy { $0 < 1 << 31 }, "\(request.kernel) \(request.size)")
                }
            }
            let tiles = WorkGroupTile.all + MatrixOperands.allCases.flatMap { WorkGroupTile.onMatrixUnits($0) }
            for tile in tiles {
                #expect(tile.items <= 256 && tile.localBytes(.instruction) <= 48 << 10, "\(tile)")
            }
        }

        /// Launches cost a few microseconds each, whatever they do: a step has no more than it had.
        @Test func stepsKeepTheirBudgetOfLaunches() throws {
            let experiment = try Case.all[0].experiment()
            let library = try library()
            for (kind, budget) in [
                (StepKind.hardSharing, 1200), (.retrain(PublishedPolicies.nyu3.policy), 2000),
            ] {
                let count = try requests(kind, experiment, library).count
                #expect(count <= budget && count > budget / 4, "\(count) launches")
            }
        }
    }
}
