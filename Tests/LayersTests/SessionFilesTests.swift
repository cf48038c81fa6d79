import AdaShareFiles
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareLayers

/// Training that goes on in another session.
@Suite(.serialized, .needsDevice) struct SessionFilesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

    /// Bits of all that a session knows, by the name of each tensor.
    private func tensors(_ session: Session, _ name: String = "compared") throws -> [String: TensorFile.Entry] {
        let url = folder.file(name)
        try session.save(to: url)
        return try TensorFile.read(url).tensors
    }

    @Test func trainingGoesOnWithTheSameBits() throws {
        let whole = try ColourTraining.session()
        let losses = try ColourTraining.train(whole, steps: 6)
        let first = try ColourTraining.session()
        _ = try ColourTraining.train(first, steps: 3)
        let file = folder.file("half.safetensors")
        try first.save(to: file)
        // Another seed: first values and noise are those of the file.
        let second = try ColourTraining.session(seed: 99)
        try second.load(from: file)
        #expect(second.steps == 3)
        #expect(try bits(ColourTraining.train(second, from: 3, steps: 3)) == bits(Array(losses[3...])))
        #expect(try tensors(second) == tensors(whole))
        #expect(try second.read("net.blocks.0.bn1.num_batches_tracked") == [6])

        // Negative control: the parameters without what the optimisers remember, and without the number of steps.
        let forgetful = try ColourTraining.session()
        try forgetful.loadParameters(from: file)
        #expect(forgetful.steps == 0)
        let others = try ColourTraining.train(forgetful, from: 3, steps: 3)
        #expect(bits(others) != bits(Array(losses[3...])))
        let (found, wanted) = (try tensors(forgetful), try tensors(whole))
        #expect(found["net.stem.weight"] != wanted["net.stem.weight"] && found["net.gates"] != wanted["net.gates"])
    }

    @Test func filesHoldWhatTheSessionKnows() throws {
        let session = try ColourTraining.session()
        _ = try ColourTraining.train(session, steps: 2)
        let saved = try tensors(session)
        let trained = session.parameters.filter { $0.isTrainable }
        let state = trained.flatMap { spec in
            (spec.group == "gates" ? ["first", "second"] : ["momentum"]).map { "optimizer/\(spec.name)/\($0)" }
        }
        let rest = ["session/flag", "session/seed", "session/steps"]
        #expect(Set(saved.keys) == Set(session.parameters.map(\.name) + state + rest))
        #expect(saved["optimizer/net.stem.weight/momentum"]?.shape == [16, 3, 3, 3], "as PyTorch has it")
        #expect(saved["net.blocks.0.bn1.num_batches_tracked"]?.dtype == .I64)
        #expect(folder.names == ["compared"], "nothing is left of the temporary file")
    }

    /// A failure is part of what is saved: updates stay where they are.
    @Test func failuresAreKept() throws {
        let session = try ColourTraining.session()
        var batch = ColourTraining.images(1)
        batch.pixels[5] = .nan
        try session.step(["image": batch.pixels, "label": batch.classes], scalars: ["rate": 0.1])
        let file = folder.file("failed")
        try session.save(to: file)
        let other = try ColourTraining.session()
        try other.load(from: file)
        #expect(try other.failure() == 0)
        let before = try other.read("net.head.weight")
        _ = try ColourTraining.train(other, steps: 1)
        #expect(try other.read("net.head.weight") == before)
    }

    /// Whatever is wrong with a file, the message names it, and the session is what it was.
    @Test func badFilesAreRefused() throws {
        let session = try ColourTraining.session()
        _ = try ColourTraining.train(session, steps: 1)
        let good = folder.file("good")
        try session.save(to: good)
        let before = try tensors(session)
        func load(_ change: (inout TensorFile) -> Void) throws -> InputError? {
            var file = try TensorFile.read(good)
            change(&file)
            let url = folder.file("changed")
            try file.write(to: url)
            do {
                try session.load(from: url)
                return nil
            } catch let error as InputError {
                #expect(error.file == url.path)
                return error
            }
        }
        let missing = try #require(try load { $0.tensors["net.gates"] = nil })
        #expect(missing.place == "tensor net.gates" && missing.found.contains("no such tensor"))
        let state = try #require(try load { $0.tensors["optimizer/net.gates/second"] = nil })
        #expect(state.place == "tensor optimizer/net.gates/second")
        let shape = try #require(try load { $0.add("net.gates", floats: [1, 2], shape: [1, 2]) })
        #expect(shape.found == "shape [1, 2]" && shape.expected == "[2, 2]")
        let type = try #require(try load { $0.add("net.gates", integers: [1, 2, 3, 4], shape: [2, 2]) })
        #expect(type.found == "dtype I64" && type.expected == "F32")
        let other = try #require(try load { $0.add("net.more", floats: [1], shape: [1]) })
        #expect(other.place == "tensor net.more")
        let steps = try #require(try load { $0.add("session/steps", integers: [-1], shape: []) })
        #expect(steps.found == "-1" && steps.expected.hasPrefix("0 to "))
        let counter = "net.blocks.0.bn1.num_batches_tracked"
        let count = try #require(try load { $0.add(counter, integers: [1 << 40], shape: []) })
        #expect(count.place == "tensor \(counter)")
        let flag = try #require(try load { $0.add("session/flag", integers: [1 << 40, 0], shape: [2]) })
        #expect(flag.found == "\(1 << 40)")
        #expect(try tensors(session) == before && session.steps == 1)

        try folder.write("no tensors", "text")
        #expect(throws: InputError.self) { try session.load(from: folder.file("text")) }
        #expect(throws: InputError.self) { try session.load(from: folder.file("nothing")) }
        #expect(throws: InputError.self) { try session.save(to: folder.file("no folder").appendingPathComponent("f")) }
        #expect(try load { _ in } == nil, "negative control")
    }
}
