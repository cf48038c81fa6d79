import AdaShareFiles
import AdaShareModels
import AdaShareSchema
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareExperiments
@testable import AdaShareMethods
@testable import AdaShareTraining

/// Files that were made to cost time or memory, or to end the program. Most were once found to.
@Suite struct HostileInputTests {
    // MARK: - JSON

    /// No file but lists of a data set has as many bytes; values of them would take many times as much.
    @Test func largeFilesAreRefused() throws {
        let large = Data(repeating: UInt8(ascii: " "), count: JSONText.mostBytes + 1)
        let policy = message { _ = try SelectionPolicy.parse(large, file: "p.json", tasks: ["a"], blocks: 2) }
        #expect(policy == "p.json: found 16777217 bytes, expected a policy, of at most 16777216")
        #expect(message { _ = try JSONText.decode([Int].self, from: large) }.contains("16777217 bytes, more than"))
    }

    /// A cache or a run's `times.json` may claim any number: fuzzing had memory for 43 billion tasks asked for.
    @Test func costsThatCannotBeAreRefused() throws {
        func decode(_ tasks: String, _ stem: String) -> String {
            let text = #"{"unit":"macs","tasks":\#(tasks),"stem":\#(stem),"once":0,"blocks":[]}"#
            return message { _ = try JSONDecoder().decode(PartCosts.self, from: Data(text.utf8)) }
        }
        #expect(decode("3", "5") == "no error")
        #expect(decode("42949672963", "5").contains("42949672963 tasks"))
        #expect(decode("0", "5").contains("0 tasks"))
        for stem in ["-1", "9223372036854775807"] { #expect(decode("3", stem).contains("costs \(stem)")) }
    }

    private func nested(_ depth: Int) -> String {
        String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }

    /// 480 deep took half a second for each thousand bytes.
    @Test func jsonOfManyValuesInEachOtherIsRefused() throws {
        #expect(throws: Never.self) { try JSONValue.parse(Data(nested(JSONSyntax.deepest).utf8)) }
        #expect(throws: DecodingError.self) { try JSONValue.parse(Data(nested(JSONSyntax.deepest + 1).utf8)) }
        let chains = (0..<20).map { "\"a\($0)\":\(nested(480))" }.joined(separator: ",")
        let policy = Data("{\"tasks\":{\(chains)}}".utf8)
        let found = message { _ = try SelectionPolicy.parse(policy, file: "p", tasks: ["a0"], blocks: 1) }
        #expect(found == #"p: found no JSON object, expected {"tasks": {NAME: [1, 0, …]}}"#)
        #expect(throws: DecodingError.self) { try JSONText.decode([String: JSONValue].self, from: policy) }
        // What stands in texts is no depth.
        let text = "{\"a\":[\"\(nested(200))\\\"\(nested(200))\"]}"
        #expect(throws: Never.self) { try JSONText.decode([String: [String]].self, from: Data(text.utf8)) }
    }

    /// What is JSON, and what it says, is as Foundation has it.
    @Test(arguments: [
        "1", "-0", "1.0", "1e2", "1.5e-3", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "1e400", "01", "1.", ".5", "+1", "-", "1e", "tru", "truex", "null", " \t\r\n[ 1 , 2 ] ", "[,1]",
        "[1 2]",
        "{}", "{\"a\"}", "{\"a\":1 \"b\":2}", "{a:1}", "{\"a\":1,\"a\":2}", "\"\\u00e9\\ud83d\\ude00\"",
        "\"\\ud83d\"", "\"\\ude00\\ud83d\"", "\"\\u12\"", "\"\\x\"", "\"a\tb\"",
        "\"\\u0000\\b\\f\\n\\r\\t\\/\\\\\\\"\"", "\"",
        "\"\\", "", " ", "1 2", "[", "{\"a\":", "\u{7F}", "\"深\u{7F}\"", "[\"a\"\0]",
    ])
    func jsonIsThatOfFoundation(text: String) {
        let bytes = Data(text.utf8)
        let expected = try? JSONDecoder().decode(JSONValue.self, from: bytes)
        #expect((try? JSONValue.parse(bytes)) == expected, "\(text)")
    }

    /// Foundation takes a comma before the end; the standard does not (RFC 8259).
    @Test(arguments: ["[1,]", "{\"a\":1,}"]) func aCommaBeforeTheEndIsNoJSON(text: String) {
        #expect(throws: DecodingError.self) { try JSONValue.parse(Data(text.utf8)) }
    }

    @Test func bytesThatAreNotUTF8AreNoJSON() {
        for bytes in [[0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x5B, 0x80, 0x5D]]
            as [[UInt8]]
        {
            #expect(throws: DecodingError.self) { try JSONValue.parse(Data(bytes)) }
        }
    }

    // MARK: - YAML

    /// Lists of ten, each of ten times the one before.
    private func bomb(_ levels: Int) -> String {
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
            + (1...levels).map {
                "a\($0): &a\($0) [" + Array(repeating: "*a\($0 - 1)", count: 10).joined(separator: ",") + "]\n"
            }
            .joined()
    }

    /// The parser compares keys with all that is in them: these would never have ended.
    @Test(arguments: [
        "? *a12\n: 1\n", "? [*a12]\n: 1\n", "*a12 : 1\n", "[*a12]: 1\n", "b: {? *a12 : 1}\n",
        "b: {[*a12] : 1, ?x: 2}\n",
    ])
    func aliasesAsKeysAreRefused(end: String) {
        let found = message { _ = try ExperimentConfiguration.parse(yaml: bomb(12) + end, file: "c.yml") }
        #expect(found.hasPrefix("c.yml: found many aliases and a"), "\(found)")
    }

    @Test func aliasesThatStandForManyValuesAreRefused() throws {
        for levels in [5, 12, 40] {
            let found = message { _ = try ExperimentConfiguration.parse(yaml: bomb(levels), file: "c.yml") }
            #expect(found.hasPrefix("c.yml: found more values, expected words as keys, and at most 100000"), "\(found)")
        }
        let text = "tasks: [{name: \"" + String(repeating: "x", count: 5_000_000) + "\"}]"
        let long = message { _ = try ExperimentConfiguration.parse(yaml: text, file: "c.yml") }
        #expect(long.hasPrefix("c.yml: found 5000019 bytes of YAML, expected at most"), "\(long)")
        let option = message {
            _ = try ConfigurationTree(yaml: "", file: "c", overrides: ["a=" + bomb(12) + "? *a12\n: 1\n"])
        }
        #expect(option.contains("many aliases"), "\(option)")
        // Aliases that people write are no fault, however many.
        let tasks = (1...20).map { "  - { <<: *first, name: t\($0), class_weights: *weights }\n" }.joined()
        let yaml =
            "tasks:\n  - &first { name: a, kind: segmentation, channels: 2, class_weights: &weights [1, 2] }\n" + tasks
        let configuration = try ExperimentConfiguration.parse(yaml: yaml, file: "c.yml")
        #expect(configuration.tasks.count == 21 && configuration.tasks[20].channels == 2)
    }

    /// Files are called by tasks.
    @Test func namesOfTasksFitIntoThoseOfFiles() throws {
        func parse(_ count: Int) throws {
            let name = String(repeating: "é", count: count)
            _ = try ExperimentConfiguration.parse(yaml: "tasks: [{name: \(name), kind: depth}]", file: "c.yml")
        }
        try parse(50)
        let found = message { try parse(51) }
        #expect(found == "c.yml: tasks.0.name: found 102 bytes, expected at most 100, since files are called by it")
    }

    // MARK: - Tensors

    private func tensors(_ header: String) -> String {
        let bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8)
        return message { _ = try TensorFile.decode(bytes, file: "x") }
    }

    @Test func headersOfTensorsHaveLimits() {
        let axes = Array(repeating: "1", count: 33).joined(separator: ",")
        #expect(
            tensors(#"{"a":{"dtype":"F32","shape":["# + axes + #"],"data_offsets":[0,0]}}"#).contains(
                "33 axes at a.shape"))
        let name = String(repeating: "a", count: 5000)
        #expect(
            tensors(#"{""# + name + #"":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#).contains(
                "a name of 5000 bytes"))
        #expect(tensors("{" + String(repeating: " ", count: 10_000_000) + "}").contains("expected at most 10000000"))
        #expect(
            tensors(#"{"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]}}"#).contains("a.shape"))
    }

    @Test func longNamesAreCutInMessages() {
        let long = String(repeating: "深", count: 100_000)
        let text = "\(InputError(file: "f", place: long, found: long, expected: "less"))"
        #expect(text.utf8.count < 3000 && text.contains("… (300000 bytes)") && text.hasSuffix("expected less"))
    }

    @Test func batchesBeyondMemoryAreRefused() throws {
        let shape = BatchShape(count: 65_536, height: 16_384, width: 16_384)
        let refusal = try #require(Trainer.refusal(of: shape, tasks: 3, memory: 1 << 40))
        #expect(
            "\(refusal)".contains("65536 images of 16384×16384 pixels") && "\(refusal)".contains("lower training.batch")
        )
        let small = BatchShape(count: 2, height: 10, width: 10)
        #expect(Trainer.refusal(of: small, tasks: 3, memory: 3 * 200 * 24) == nil)
        #expect(Trainer.refusal(of: small, tasks: 3, memory: 3 * 200 * 24 - 1) != nil)
    }
}

extension TrainingTests {
    @Suite struct ForgedStateTests {
        private static let yaml = """
            tasks: [{ name: depth, kind: depth }]
            dataset: { kind: scenes, count: 12, size: [16, 16], crop: [16, 16], augmentation: none }
            model: { backbone: resnet18, width: 0.0625, head: light, dropout: 0 }
            training: { batch: 2, warmup: { iterations: 2 }, policy: { iterations: 2 }, retrain: { iterations: 2 } }
            """

        /// Numbers and names that no run writes are refused where a run is gone on with.
        @Test func statesThatNoRunWritesAreRefused() throws {
            let folder = try TemporaryFolder()
            let configuration = try ExperimentConfiguration.parse(yaml: Self.yaml, file: "c.yml")
            _ = try Trainer(configuration, in: folder).train(phases: [.warmup])
            let checkpoints = folder.file("run/checkpoints")
            let names = try FileManager.default.contentsOfDirectory(atPath: checkpoints.path)
            let url = checkpoints.appendingPathComponent(try #require(names.first { $0.hasSuffix(".state") }))
            let whole = try TensorFile.read(url)
            let text = try #require(whole.metadata["state"])
            // As older versions wrote it, which kept no hash of the state.
            let pointer = checkpoints.appendingPathComponent("latest.json")
            let stem = url.deletingPathExtension().lastPathComponent
            try Data(#"{"model":"\#(stem).safetensors","state":"\#(stem).state"}"#.utf8).write(to: pointer)
            func resume(_ change: (inout [String: JSONValue]) -> Void) throws -> String {
                guard case .object(var members) = try JSONValue.parse(Data(text.utf8)) else { return "no object" }
                change(&members)
                var forged = whole
                forged.metadata["state"] = JSONValue.object(members).text
                try forged.write(to: url)
                do {
                    _ = try Trainer(configuration, in: folder, mode: .resume)
                    return "no error"
                } catch { return "\(error)" }
            }
            #expect(try resume { _ in } == "no error")
            for wrong in [-1, 3, .max, .min] {
                #expect(try resume { $0["iteration"] = .integer(wrong) }.contains("state.iteration: found \(wrong)"))
            }
            #expect(try resume { $0["bestIteration"] = ["warmup": .integer(.max)] }.contains("state.bestIteration"))
            #expect(try resume { $0["losses"] = ["last": [1, 2, 3]] }.contains("found 3 means, expected 1"))
            #expect(try resume { $0["elapsed"] = 1e300 }.contains("state.seconds: found 1e+300"))
            #expect(try resume { $0["policy"] = ["tasks": ["x": [1]], "probabilities": [:]] }.contains("unknown task"))
            #expect(try resume { $0["policy"] = ["tasks": ["depth": [1]], "probabilities": [:]] }.contains("1 values"))
            #expect(try resume { $0["stage"] = "x" }.contains("state.stage: found x"))
        }
    }
}
