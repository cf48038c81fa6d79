import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareProfiling
import AdaShareSupport
import Foundation
import NIOCore
import NIOEmbedded
import NIOHTTP1

@testable import AdaShareExperiments
@testable import AdaShareReport
@testable import AdaShareTensorBoard
@testable import AdaShareTraining
@testable import AdaShareTuning

extension Target {
    /// What lies in the folder of a run and in caches, and what browsers ask for.
    static let runs: [String: Target] = [
        "json": Target { bytes in
            let parsed = try? JSONValue.parse(bytes)
            let isObject = if case .object? = parsed { true } else { false }
            let isSaid = bytes.withUnsafeBytes { JSONSyntax.isObject($0) }
            require(isSaid == isObject, "an object by its syntax that is none, or the other way")
            if let parsed {
                let again = try JSONValue.parse(Data(parsed.text.utf8))
                require(again.text == parsed.text, "another value after writing and reading")
            }
        },
        "policy": Target { bytes in
            let policy = try SelectionPolicy.parse(bytes, file: "f", tasks: ["a", "b"], blocks: 4)
            require(policy.discrete(tasks: ["a", "b"]).select.allSatisfy { $0.count == 4 }, "a row of another length")
            _ = policy.table(blocks: ["1", "2", "3", "4"], tasks: ["a", "b"])
        },
        "algorithms": Target { bytes in
            let recorded = try JSONDecoder().decode(RecordedAlgorithms.self, from: bytes)
            _ = recorded.summary
            for problem in recorded.algorithms.keys { tryCandidates(of: problem) }
        },
        "caches": Target { bytes in
            let decoder = JSONDecoder()
            if let problem = try? decoder.decode(ConvolutionProblem.self, from: bytes) { tryCandidates(of: problem) }
            if let results = try? decoder.decode([AlgorithmSearch.Result].self, from: bytes) {
                _ = AlgorithmSearch.winner(of: results)
            }
            if let finding = try? decoder.decode(ProductTileSearch.Finding.self, from: bytes) {
                _ = ProductTileSearch.winner(of: finding.results)
            }
            _ = try? JSONText.read(PartTimes.self, bytes)
            let costs = try decoder.decode(PartCosts.self, from: bytes)
            for form in CostForm.allCases { _ = costs.hardSharing(form) }
        },
        "state": Target { bytes in
            let state = try JSONDecoder().decode(RunState.self, from: bytes)
            let text = try JSONText.line(state)
            let again = try JSONDecoder().decode(RunState.self, from: Data(text.utf8))
            require(try JSONText.line(again) == text, "another state after writing and reading")
            for key in state.method.keys { let _: [[Double]]? = state.kept(key) }
        },
        "run": Target { bytes in
            // A part of the bytes for each file that a run's folder has beside its log.
            let parts = bytes.split(separator: 0, omittingEmptySubsequences: false).map { Data($0) }
            let run = try emptyRun()
            let names = ["checkpoints/latest.json", "asked.json", "classes.json", "times.json", "summary.json"]
            for (name, part) in zip(names, parts) { _ = Scratch.file("run/\(name)", part) }
            for name in names.dropFirst(parts.count) {
                try? FileManager.default.removeItem(at: run.url.appendingPathComponent(name))
            }
            _ = run.latestPlace
            _ = try? run.readAsked()
            _ = try? run.readClasses()
            for part in parts.suffix(2) {
                if let summary = try? JSONText.read(RunSummary.self, part) {
                    _ = summary.policyTable(tasks: ["a", "b"])
                    _ = summary.metricsTable(tasks: ["a", "b"], convention: .exact)
                }
                _ = try? JSONText.read(Tradeoff.self, part)
                _ = try? JSONText.read(StudyTimes.self, part)
                _ = try? JSONText.read(EvaluationResult.self, part)
            }
            _ = try? RunListing(of: run.url, name: "r")
        },
        "log": Target { bytes in
            let url = Scratch.file("metrics.jsonl", bytes)
            try? FileManager.default.removeItem(at: RunDirectory.Entry.damaged.url(in: Scratch.folder))
            let lines = try EventLog.Lines(url)
            _ = lines.lastPlace
            for kind in ["step", "evaluation", "resume"] { _ = lines.events(kind) }
            _ = lines.hold(event: "end")
            let log = try EventLog(url)
            let damage = try log.setDamagedAside()
            let events = try EventLog.read(url)
            _ = log.remains(of: damage?.offset(of: UInt64(bytes.count) / 2) ?? 3, after: 5, isKnown: damage != nil)
            for event in events { _ = EventScalars.of(event) }
            let history = RunHistory(events, tasks: ["a", "b"])
            for curve in history.losses { _ = curve.thinned(to: 3) }
            try log.append(["event": "step"])
            require(try EventLog.read(url).count == events.count + 1, "another number of lines after one more")
            try log.truncate(to: 0)
        },
        "http": Target { bytes in
            let channel = EmbeddedChannel()
            try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
            try? channel.writeInbound(ByteBuffer(bytes: bytes))
            var asked: HTTPRequestHead?
            while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
                if case .head(let head) = part { asked = head }
                // As the server does: the next request is read once this one has its answer.
                guard case .end = part, let head = asked else { continue }
                answer(head)
                let ok = HTTPResponseHead(version: head.version, status: .ok, headers: ["Content-Length": "0"])
                try? channel.writeOutbound(HTTPServerResponsePart.head(ok))
                try? channel.writeOutbound(HTTPServerResponsePart.end(nil))
            }
            _ = try? channel.finish(acceptAlreadyClosed: true)
        },
    ]

    private static func tryCandidates(of problem: ConvolutionProblem) {
        for family in KernelFamily.allCases {
            for arithmetic in [ConvolutionArithmetic.exact, .float32, .tf32, .bfloat16] {
                let found = ConvolutionAlgorithm.candidates(for: problem, family: family, arithmetic: arithmetic)
                require(!found.isEmpty, "no algorithm for \(problem)")
            }
        }
        _ = (problem.multiplyAccumulates, "\(problem)")
    }

    private static func emptyRun() throws -> RunDirectory {
        let folder = Scratch.folder.appendingPathComponent("run")
        let manager = FileManager.default
        if !manager.fileExists(atPath: folder.path) {
            try manager.createDirectory(
                at: folder.appendingPathComponent("checkpoints"), withIntermediateDirectories: true)
            _ = Scratch.file("run/config.yml", Data("{}".utf8))
            _ = Scratch.file("run/run.lock", Data())
        }
        return try RunDirectory(folder, mode: .read)
    }

    private static let server = PageServer(names: ["host"], state: { "1" }, page: { ("<html>", "<main>") })

    private static func answer(_ head: HTTPRequestHead) {
        let done = DispatchSemaphore(value: 0)
        Task {
            let (status, _, body) = await server.answer(head)
            require(status != .internalServerError, "an answer of \(status)")
            require(status != .ok || body == "<html>" || body == "<main>", "another page")
            done.signal()
        }
        done.wait()
    }
}
