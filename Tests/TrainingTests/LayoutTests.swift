import AdaShareFiles
import AdaShareLayers
import AdaShareModels
import AdaShareOperators
import AdaShareTasks
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

@Suite struct ParameterOrderTests {
    private func spec(_ shape: [Int], _ layout: ParameterLayout) -> ParameterSpec {
        ParameterSpec(
            name: "x", diskShape: shape, layout: layout, group: .backbone, initializer: .constant(0), isTrainable: true)
    }

    /// [K, C, R, S] = [2, 3, 1, 2] written out by hand.
    @Test func aSmallConvolution() {
        let spec = spec([2, 3, 1, 2], .convolution)
        #expect(spec.deviceShape == [1, 2, 3, 2])
        // Element k, c, s has the value 100 k + 10 c + s.
        let disk: [Float] = [0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121]
        let device: [Float] = [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121]
        #expect(spec.deviceOrder(disk) == device)
        #expect(spec.diskOrder(device) == disk)
    }

    @Test func aSmallLinearLayer() {
        let spec = spec([2, 3], .linear)
        #expect(spec.deviceShape == [1, 1, 3, 2])
        #expect(spec.deviceOrder([0, 1, 2, 10, 11, 12]) == [0, 10, 1, 11, 2, 12])
    }

    /// Odd extents in every axis, and the layouts that stay as they are.
    @Test(
        arguments: [
            ([16, 3, 7, 7], ParameterLayout.convolution), ([5, 19, 3, 3], .convolution), ([1, 1, 1, 1], .convolution),
            ([7, 19], .linear), ([8, 2], .matrix), ([19], .vector), ([], .counter),
        ])
    func thereAndBack(shape: [Int], layout: ParameterLayout) {
        let spec = spec(shape, layout)
        let values = (0..<spec.elementCount).map { Float($0) }
        let device = spec.deviceOrder(values)
        #expect(spec.diskOrder(device) == values)
        #expect(device.sorted() == values)
        // Both axes beyond one channel: the order does change.
        let moves = (layout == .convolution || layout == .linear) && spec.elementCount > 1
        #expect((device != values) == moves)
    }
}

extension TrainingTests {
    /// Checkpoints through a device.
    @Suite struct LayoutTests {
        private func network(_ tasks: [TaskHead], head: HeadKind = .light) throws -> NetworkRuntime {
            let architecture = try NetworkArchitecture(
                backbone: .resnet18, width: 0.25, head: head, tasks: tasks, headHidden: 64)
            let settings = tasks.map {
                TaskSettings(TaskConfiguration(name: $0.name, kind: Segmentation.self, channels: $0.channels))
            }
            let rule = UpdateRule.sgd(momentum: 0, weightDecay: 0)
            return try NetworkRuntime(
                library: try TestDevice.nativeLibrary(),
                graphs: StepGraphs(
                    architecture: architecture, catalog: ParameterCatalog(architecture), tasks: settings, dropout: 0,
                    rule: rule))
        }

        private let two = [TaskHead(name: "a", channels: 7), TaskHead(name: "b", channels: 3)]

        @Test func roundTripKeepsEveryBit() throws {
            let first = try network(two)
            try first.initialise(seed: 7)
            let tracked = try #require(first.graphs.catalog["backbone.bn1.num_batches_tracked"])
            try first.write(tracked, [12_345])
            let file = try first.checkpoint()
            #expect(file.names == first.graphs.catalog.specs.map(\.name).sorted())
            #expect(file.tensors["backbone.conv1.weight"]?.shape == [16, 3, 7, 7])
            #expect(try file.integers("backbone.bn1.num_batches_tracked", shape: []) == [12_345])
            let conv = try #require(first.graphs.catalog["backbone.conv1.weight"])
            #expect(try file.floats(conv.name) == conv.initialValues(seed: 7))

            let second = try network(two)
            try second.initialise(seed: 8)
            #expect(try second.checkpoint() != file)
            try second.load(try TensorFile.decode(file.encoded(), file: "copy"))
            #expect(try second.checkpoint() == file)
        }

        private func refusal(_ network: NetworkRuntime, _ file: TensorFile) throws -> String {
            let before = try network.checkpoint()
            var message = "accepted"
            do { try network.load(file) } catch { message = "\(error)" }
            #expect(try network.checkpoint() == before, "a refused checkpoint changes nothing")
            return message
        }

        @Test func otherArchitecturesAreRefusedByTensor() throws {
            let network = try network(two)
            try network.initialise(seed: 1)
            let wider = try self.network([two[0], TaskHead(name: "b", channels: 4)])
            #expect(try refusal(network, wider.checkpoint()).contains("task2_head.weight"))
            let deeper = try self.network(two, head: .fourRate)
            #expect(try refusal(network, deeper.checkpoint()).contains("task1_fc1_c0.conv1.bias"))
            let fewer = try self.network([two[0]])
            #expect(try refusal(network, fewer.checkpoint()).contains("task2_head.weight"))
        }

        @Test func logitsMayBeMissingButWeightsMayNot() throws {
            let network = try network(two)
            try network.initialise(seed: 1)
            var file = try network.checkpoint()
            file.tensors["task1_logits"] = nil
            file.tensors["task2_logits"] = nil
            try network.load(file)
            file.tensors["backbone.blocks.0.1.conv1.weight"] = nil
            #expect(try refusal(network, file).contains("backbone.blocks.0.1.conv1.weight"))
        }
    }
}
