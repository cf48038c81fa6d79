import AdaShareExperiments
import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareTensorBoard

extension CommandLineTests {
    /// What TensorBoard's own reader finds in the folders of runs.
    @Suite(.needsDevice) struct TensorBoardCommandTests {
        private struct Shown: Decodable {
            struct Picture: Decodable {
                let step, width, height, bytes: Int
            }
            struct Run: Decodable {
                let scalars: [String: [[Double]]]
                let pictures: [String: [Picture]]
                let texts: [String: [String]]
            }
            struct Session: Decodable {
                let keys: Int
                let status: String
                let metrics: [String: Double]
            }
            let runs: [String: Run]
            let differing, metrics: [String]
            let sessions: [String: Session]
        }

        /// Steps counted over all phases, with what the log says of them.
        private func course(
            _ events: [JSONValue], _ kind: String, _ path: String...
        ) -> [[Double]] {
            events.filter { $0["event"]?.string == kind }.compactMap { event in
                let value = path.reduce(event as JSONValue?) { $0?[$1] }
                guard let step = event["global_step"]?.double, let number = value?.double else { return nil }
                return [step, Double(Float(number))]
            }
        }

        @Test(.enabled(if: PythonPeers.interpreter != nil, "tools/python-peers has not been run"))
        func tensorBoardShowsRuns() throws {
            let runs = try TemporaryFolder()
            let finished = try FinishedRun.get()
            try finished.copy(to: runs.file("first"))
            // One that was killed after step 9 and went on from a checkpoint after step 5, with a key changed.
            let second = runs.file("second")
            try FileManager.default.createDirectory(at: second, withIntermediateDirectories: true)
            for steps in [1...9, 6...12] {
                let board = try TensorBoardLog(second, nextStep: steps.lowerBound, time: 1_700_000_000)
                try board.write(hyperparameters: ["training.batch": 8, "training.seed": 1], time: 1_700_000_000)
                for step in steps {
                    try board.write([("loss/total", Double(steps.lowerBound))], step: step, time: 1_700_000_000)
                }
            }
            let read = try PythonPeers.run("check-tensorboard", [runs.url.path])
            #expect(read.status == 0, "\(read.errors)")
            let shown = try JSONDecoder().decode(Shown.self, from: Data(read.output.utf8))
            #expect(shown.runs.keys.sorted() == ["first", "second"])
            #expect(
                shown.runs["second"]?.scalars["loss/total"]?.map { $0[1] }
                    == Array([1, 6]).flatMap { first in
                        [Double](repeating: first, count: first == 1 ? 5 : 7)
                    })

            let run = try #require(shown.runs["first"])
            let events = try finished.events()
            // 5 + 16 + 5 + 5 steps, each of them logged.
            #expect(run.scalars["loss/total"] == course(events, "step", "loss", "total"))
            #expect(run.scalars["loss/total"]?.map { $0[0] } == (1...31).map(Double.init))
            #expect(run.scalars["loss/depth"] == course(events, "step", "loss", "depth"))
            #expect(run.scalars["step/temperature"]?.count == 16)
            for (name, convention) in [("absolute_error", "exact"), ("miou", "published")] {
                let task = name == "miou" ? "segmentation" : "depth"
                let found = run.scalars["metrics/\(task)/\(convention)/\(name)"]
                #expect(found == course(events, "evaluation", "metrics", task, convention, name) && found != [])
            }
            #expect(run.scalars["evaluation/score"] == course(events, "evaluation", "score"))

            // 8 blocks of 3 tasks, cells of 8 pixels with 1 between them; an image of 32 × 32 enlarged to 160.
            let policy = try #require(run.pictures["policy/probability"])
            #expect(policy.map(\.step) == Array(6...21))
            #expect(policy.allSatisfy { $0.width == 8 * 9 - 1 && $0.height == 3 * 9 - 1 })
            #expect(run.pictures["policy/selected"] != nil)
            for task in ["segmentation", "normals", "depth"] {
                let sheets = try #require(run.pictures["predictions/\(task)"])
                #expect(sheets.count >= 4 && sheets.allSatisfy { $0.width == 3 * 164 - 4 && $0.height == 3 * 164 - 4 })
                #expect(sheets.allSatisfy { $0.bytes < 300_000 })
            }
            #expect(run.texts["configuration"]?.first?.contains("\n    - name: segmentation\n") == true)

            // The page that compares runs.
            #expect(shown.differing == ["training.batch"] && shown.metrics.contains("evaluation/score"))
            let session = try #require(shown.sessions["first"])
            #expect(session.status == "STATUS_SUCCESS" && session.keys > 40)
            #expect(shown.sessions["second"]?.status == "STATUS_UNKNOWN")
            #expect(session.metrics["loss/total"] == run.scalars["loss/total"]?.last?[1])
        }
    }
}
