import AdaShareFiles
import AdaShareModels
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments

/// A safetensors file put together by hand, of any types.
private struct HandmadeTensors {
    var entries: [(name: String, type: String, shape: [Int], bytes: [UInt8])] = []

    mutating func add(_ name: String, _ values: [Float], as type: String, shape: [Int]) {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        entries.append(
            (
                name, type, shape,
                values.flatMap { value -> [UInt8] in
                    switch type {
                    case "F64": bytes(Double(value).bitPattern)
                    case "F16": bytes(Float16(value).bitPattern)
                    case "BF16": bytes(UInt16(value.bitPattern >> 16))
                    default: bytes(value.bitPattern)
                    }
                }
            ))
    }

    var data: Data {
        var offset = 0
        let header = entries.map { entry in
            defer { offset += entry.bytes.count }
            return "\"\(entry.name)\":{\"dtype\":\"\(entry.type)\",\"shape\":\(entry.shape),"
                + "\"data_offsets\":[\(offset),\(offset + entry.bytes.count)]}"
        }.joined(separator: ",")
        let text = Array("{\(header)}".utf8)
        return Data(
            withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text + entries.flatMap(\.bytes))
    }
}

extension CommandLineTests {
    /// Weights of other programs.
    @Suite struct ImportCommandTests {
        private let folder: TemporaryFolder
        private let experiment: Experiment

        init() throws {
            folder = try TemporaryFolder()
            let configuration = try folder.write(Tiny.tasks + Tiny.light, "c.yml")
            experiment = try Experiment(.load(configuration, overrides: []))
        }

        /// The backbone under torchvision's names; its numbers are whole eighths, which every type holds.
        private func foreign(
            _ type: String, prefix: String = "", of other: Experiment? = nil
        ) -> (HandmadeTensors, [String: [Float]]) {
            let experiment = other ?? experiment
            var tensors = HandmadeTensors()
            var expected: [String: [Float]] = [:]
            for (number, spec) in experiment.catalog.specs.enumerated() {
                guard spec.layout != .counter, let name = experiment.catalog.imageNetName(of: spec) else { continue }
                let values = (0..<spec.elementCount).map { Float(($0 * 7 + number) % 33 + 1) / 8 }
                tensors.add(prefix + name, values, as: type, shape: spec.diskShape)
                expected[spec.name] = values
            }
            return (tensors, expected)
        }

        private func imported(_ data: Data, _ more: String...) throws -> (outcome: Outcome, file: TensorFile?) {
            let (given, output) = (folder.file("given.safetensors"), folder.file("start.safetensors"))
            try? FileManager.default.removeItem(at: output)
            try data.write(to: given)
            let outcome = Command.run(
                ["import", given.path, "--config", folder.file("c.yml").path, "--output", output.path] + more)
            return (outcome, outcome.status == 0 ? try TensorFile.read(output) : nil)
        }

        @Test(arguments: ["F64", "F32", "F16", "BF16"])
        func everyTypeBecomesFloat32(type: String) throws {
            var (tensors, expected) = foreign(type, prefix: "module.")
            tensors.add("module.fc.weight", [1, 2], as: "F32", shape: [2, 1])
            tensors.entries.append(("module.mask", "BOOL", [3], [1, 0, 1]))
            tensors.entries.append(("ema.scale", "F8_E4M3", [2], [9, 9]))
            let (outcome, file) = try imported(tensors.data, "--input-convention", "published")
            let made = try #require(file, "\(outcome.errors)")
            for (name, values) in expected { #expect(try made.floats(name) == values, "\(name)") }
            let count = expected.count
            #expect(outcome.output.contains("\(count) of \(count + 9) tensors are taken; fresh: task1_"))
            #expect(outcome.output.contains("not used: ema.scale, fc.weight, mask"))
            #expect(outcome.output.contains("to float32: \(count) tensors of \(type)") == (type != "F32"))
            #expect(outcome.output.contains("batch counters are missing and begin at 0"))
            #expect(try made.integers("backbone.bn1.num_batches_tracked") == [0])
            #expect(made.tensors.values.allSatisfy { $0.dtype == .F32 || $0.dtype == .I64 })
            // It is what training begins from, whole.
            let found = try experiment.catalog.names(in: made, partial: true, of: experiment.architecture)
            #expect(found.map(\.0.name).filter { !$0.hasSuffix("tracked") }.sorted() == expected.keys.sorted())
        }

        /// The stem answers an image as it enters here as it did there.
        @Test func imagesMayEnterOtherwise() throws {
            let (tensors, before) = foreign("F32")
            let (outcome, file) = try imported(tensors.data)
            let after = try #require(file, "\(outcome.errors)")
            #expect(outcome.output.contains("images entered as R,G,B 0...255"))
            // Colours R, G, B below a filter's 49 taps.
            let patch = (0..<3 * 49).map { Double(($0 * 53) % 256) }
            let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            let published = [122.67891434, 116.66876762, 104.00698793]
            func answer(_ weights: [Float], _ shift: [Float], _ entering: (Int, Int) -> Double) -> [Double] {
                (0..<16).map { filter in
                    (0..<3 * 49).reduce(-Double(shift[filter])) { sum, at in
                        sum + Double(weights[filter * 147 + at]) * entering(at / 49, at % 49)
                    }
                }
            }
            let (stem, norm) = ("backbone.conv1.weight", "backbone.bn1.running_mean")
            let there = answer(before[stem] ?? [], before[norm] ?? []) { channel, tap in
                (patch[channel * 49 + tap] / 255 - mean[channel]) / deviation[channel]
            }
            func here(_ weights: [Float], _ shift: [Float]) -> [Double] {
                answer(weights, shift) { channel, tap in
                    patch[(2 - channel) * 49 + tap] - published[2 - channel]
                }
            }
            let found = here(try after.floats(stem), try after.floats(norm))
            let most = there.map(abs).max() ?? 0
            #expect(zip(there, found).allSatisfy { abs($0 - $1) < 1e-4 * most })
            // As they were, weights answer otherwise.
            let unchanged = here(before[stem] ?? [], before[norm] ?? [])
            #expect(zip(there, unchanged).contains { abs($0 - $1) > 0.1 * most })
            #expect(after.metadata["input"]?.hasPrefix("B,G,R") == true)
            for name in ["backbone.bn1.running_var", "backbone.blocks.3.1.bn2.running_mean"] {
                #expect(try after.floats(name) == before[name])
            }
            // What has been imported is imported as it is.
            let again = try imported(Data(contentsOf: folder.file("start.safetensors")))
            #expect(again.outcome.output.contains("images enter as they did"))
            #expect(try again.file?.floats(stem) == after.floats(stem))
        }

        @Test func headsThatDoNotFitStartAnew() throws {
            var tensors = foreign("F32").0
            for spec in experiment.catalog.specs where spec.group == .heads {
                var shape = spec.diskShape
                if spec.name.hasPrefix("task1") { shape[0] = 9 }
                tensors.add(
                    spec.name, [Float](repeating: 0.5, count: shape.reduce(1, *)), as: "F32", shape: shape)
            }
            let (outcome, file) = try imported(tensors.data)
            let made = try #require(file, "\(outcome.errors)")
            #expect(!made.names.contains { $0.hasPrefix("task1") } && made.names.contains { $0.hasPrefix("task2") })
            #expect(outcome.output.contains("fresh: task1_") && outcome.output.contains("in the file [9"))
        }

        /// Blocks that no task selects are not in what is exported; the file says so by its policy.
        @Test func blocksThatNoTaskSelectsMayBeMissing() throws {
            let parts = [("layer1.0.", "backbone.blocks.0.0"), ("layer2.1.", "backbone.blocks.1.1")]
            var given = try TensorFile.decode(foreign("F32").0.data, file: "given")
            for name in given.names where parts.contains(where: { name.hasPrefix($0.0) }) { given.tensors[name] = nil }
            func outcome(_ policy: String?) throws -> (outcome: Outcome, file: TensorFile?) {
                given.metadata["policy"] = policy
                try given.write(to: folder.file("exported.safetensors"))
                return try imported(Data(contentsOf: folder.file("exported.safetensors")))
            }
            let policy = #"{"probabilities":{},"tasks":{"a":[0,1,1,0,1,1,1,1],"b":[0,1,0,0,1,1,1,1]}}"#
            let (taken, file) = try outcome(policy)
            let made = try #require(file, "\(taken.errors)")
            let line = "start anew, since no task of the file's selects them: blocks \(parts[0].1), \(parts[1].1)"
            #expect(taken.output.contains("\n\(line)\n"), "\(taken.output)")
            // Training begins from what is there.
            let found = try experiment.catalog.names(in: made, partial: true, of: experiment.architecture).map(\.0.name)
            #expect(!found.contains { name in parts.contains { name.hasPrefix($0.1 + ".") } })
            #expect(found.contains("backbone.blocks.0.1.conv1.weight") && found.contains("backbone.ds.1.0.weight"))
            #expect(throws: InputError.self) {
                try experiment.catalog.names(in: made, partial: false, of: experiment.architecture)
            }
            // Without that it is another network, and so is one whose policy is of another depth or selects a block.
            try outcome(nil).outcome.expectFailure(["layer1", "basic blocks, [1, 1, 2, 2]"])
            for other in [policy.replacing("b\":[0,1", with: "b\":[1,1"), policy.replacing(",1]", with: ",1,1]")] {
                try outcome(other).outcome.expectFailure(["given.safetensors"])
            }
        }

        @Test func whatCannotBeImportedSaysWhatItIs() throws {
            func fails(_ tensors: HandmadeTensors, _ parts: String...) throws {
                try imported(tensors.data).outcome.expectFailure(parts)
            }
            for bytes: [UInt8] in [[0x80, 2, 0x8A, 0x0A], [0x50, 0x4B, 3, 4]] {
                try imported(Data(bytes + [UInt8](repeating: 0x8A, count: 60))).outcome.expectFailure([
                    "given.safetensors", "PyTorch", "tools/pickle-to-safetensors",
                ])
            }
            var deep = foreign("F32").0
            deep.entries.removeAll { $0.name == "conv1.weight" }
            deep.add("conv1.0.weight", [1], as: "F32", shape: [1, 1, 1, 1])
            try fails(deep, "conv1.0.weight", "a stem of three convolutions", "resnet18")
            var attentive = foreign("F32").0
            attentive.add("layer1.0.se.fc1.weight", [1], as: "F32", shape: [1, 1, 1, 1])
            try fails(attentive, "layer1.0.se.fc1.weight", "attention")
            var deeper = foreign("F32").0
            deeper.add("layer1.2.conv1.weight", [1], as: "F32", shape: [1, 1, 1, 1])
            try fails(deeper, "layer1", "basic blocks, [3, 2, 2, 2]", "resnet18, as model.backbone says")
            var wide = foreign("F32").0
            wide.entries.removeAll { $0.name == "conv1.weight" }
            wide.add("conv1.weight", [Float](repeating: 0, count: 32 * 147), as: "F32", shape: [32, 3, 7, 7])
            try fails(
                wide, "conv1.weight: found shape [32, 3, 7, 7]", "[16, 3, 7, 7], as model.width 0.125 has it",
                "no plain residual one")
            let wider = try Experiment(.load(folder.file("c.yml"), overrides: ["model.width=0.5"]))
            try fails(foreign("F32", of: wider).0, "conv1.weight: found shape [32, 3", "model.width 0.5 has the file's")
            let other = try Experiment(.load(folder.file("c.yml"), overrides: ["model.backbone=resnet34"]))
            try fails(
                foreign("F32", of: other).0, "layer1.2.", "found resnet34, expected resnet18, as model.backbone says",
                "model.backbone resnet34 has the file's")
            Command.run([
                "import", folder.file("none").path, "--config", folder.file("c.yml").path, "--output",
                folder.file("x").path,
            ]).expectFailure(["none: found no such file, expected a safetensors file"])

            var two = foreign("F32", prefix: "student.").0
            two.entries += foreign("F32", prefix: "teacher.").0.entries
            try fails(two, "'student.', 'teacher.'", "--prefix")
            #expect(try imported(two.data, "--prefix", "teacher.").outcome.status == 0)
            let own = folder.file("given.safetensors").path
            Command.run(["import", own, "--config", folder.file("c.yml").path, "--output", own]).expectFailure([
                own, "is read",
            ])
        }

        /// torchvision's and timm's networks compute with our weights what ours computes with theirs.
        @Test(
            .needsDevice, .enabled(if: PythonPeers.torch != nil, "tools/python-peers has not been run, or has no torch")
        )
        func torchvisionAndTimmAgree() throws {
            let checked = try PythonPeers.run(
                "check-weights", [Program.url.path, folder.url.path], by: PythonPeers.torch)
            #expect(checked.status == 0, "\(checked.output)\(checked.errors)")
            #expect(checked.output.split(separator: "\n").count == 5)
            let deep = Command.run([
                "import", folder.file("deep.safetensors").path, "--config", folder.file("c.yml").path, "--output",
                folder.file("no.safetensors").path,
            ])
            deep.expectFailure(["conv1.0.weight", "three convolutions"])
        }
    }
}
