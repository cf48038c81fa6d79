import AdaShareModels
import AdaShareSupport
import Foundation
import NIOHTTP1
import TestSupport
import Testing

@testable import AdaShareReport
@testable import adashare

#if canImport(FoundationXML)
    import FoundationXML
#endif

extension CommandLineTests {
    /// Pages about runs.
    @Suite(.needsDevice) struct ReportCommandTests {
        /// What an XML reader finds: how many elements of each class.
        private final class Classes: NSObject, XMLParserDelegate {
            private(set) var counts: [String: Int] = [:]

            func parser(
                _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
                attributes: [String: String]
            ) {
                for word in (attributes["class"] ?? "").split(separator: " ") { counts[String(word), default: 0] += 1 }
            }

            init?(_ svg: String) {
                super.init()
                let parser = XMLParser(data: Data(svg.utf8))
                parser.delegate = self
                guard parser.parse() else { return nil }
            }
        }

        /// A box for each time that a block is computed, and a dashed piece for each that is skipped.
        @Test func aBlockIsDrawnAsOftenAsItIsPaid() throws {
            let architecture = try NetworkArchitecture(
                backbone: .resnet18, head: .light,
                tasks: [("a", 3), ("b", 4), ("c & d", 1)].map { TaskHead(name: $0.0, channels: $0.1) })
            let costs = CostModel(architecture, height: 64, width: 64).parts
            let policy = DiscretePolicy(skipped: [[2, 5], [5, 8], [2, 3, 5]], blocks: 8)
            // a and c share until block 3, b parts from them at block 2.
            let times = [1, 1, 2, 3, 0, 3, 3, 2]
            let paid = zip(costs.blocks, times).reduce(0) { $0 + $1.0.branch * $1.1 }
            #expect(costs.cost(of: policy, .shared) > paid)
            let drawing = try #require(Classes(NetworkDrawing(architecture, policy, costs).svg))
            #expect(drawing.counts["block"] == 1 + times.reduce(0, +))
            #expect(drawing.counts["skipped"] == 7 && drawing.counts["end"] == 3 && drawing.counts["paid"] == 8)
            #expect(drawing.counts["t0"] == drawing.counts["t1"])

            let all = NetworkDrawing(architecture, .hardSharing(tasks: 3, blocks: 8), costs).svg
            #expect(Classes(all)?.counts["block"] == 9 && all.contains("c &amp; d"))
            let file = NetworkDrawing(architecture, policy, costs).file
            #expect(Classes(file)?.counts["block"] == drawing.counts["block"] && file.contains("2000/svg"))
        }

        /// Only the page, only under the server's names, only to itself; a state that is spoiled changes nothing.
        @Test func thePageAloneIsServed() async throws {
            final class Source: @unchecked Sendable {
                var (state, main) = ("1", "one")
            }
            let source = Source()
            let server = PageServer(
                names: ["node7", "fe80::1"], state: { source.state },
                page: {
                    guard source.main != "bad" else { throw InputError(file: "f", found: "bad", expected: "good") }
                    return ("<main>\(source.main)</main>", source.main)
                })
            func ask(
                _ path: String, host: String? = "127.0.0.1:8765", method: HTTPMethod = .GET,
                _ others: [(String, String)] = []
            ) async -> (status: Int, text: String, headers: HTTPHeaders) {
                let headers = HTTPHeaders(others + (host.map { [("Host", $0)] } ?? []))
                let answer = await server.answer(
                    HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers))
                return (Int(answer.status.code), answer.body, answer.headers)
            }
            for name in ["localhost", "LOCALHOST:80", "[::1]:8765", "node7:1", "[fe80::1]"] {
                #expect(await ask("/", host: name).status == 200)
            }
            for name in ["evil.example", "127.0.0.1.evil.example:8765", "", nil] {
                #expect(await ask("/", host: name).status == 421)
            }
            #expect(await ask("/", [("Host", "evil.example")]).status == 421)
            #expect(await ask("/main", [("Origin", "http://localhost:8765")]).status == 200)
            for other in ["http://evil.example", "null", "https://localhost:8765"] {
                #expect(await ask("/main", [("Origin", other)]).status == 403)
            }
            for path in ["/config.yml", "/../config.yml", "/main/", "//etc/passwd", "/%2e%2e/x"] {
                #expect(await ask(path).status == 404)
            }
            #expect(await ask("/", method: .POST).status == 405)
            let first = await ask("/main")
            #expect(first.text == "one" && first.headers.contains(name: "Content-Security-Policy"))
            let known = [("If-None-Match", try #require(first.headers.first(name: "ETag")))]
            #expect(await ask("/main", known).status == 304)
            (source.state, source.main) = ("2", "two")
            #expect(await ask("/main", known).text == "two")
            (source.state, source.main) = ("3", "bad")
            #expect(await ask("/main").text == "two")
        }

        /// Files that change are noticed, also those of a run that belongs to the run and is new.
        @Test func changesAreNoticed() throws {
            let folder = try TemporaryFolder()
            try folder.write("", "config.yml")
            let watched = WatchedRuns([folder.url])
            var last = watched.state
            func isChanged(_ change: () throws -> Void) throws -> Bool {
                // Times of folders may have steps of some milliseconds.
                usleep(20_000)
                try change()
                defer { last = watched.state }
                return watched.state != last
            }
            func make(_ path: String) throws {
                try FileManager.default.createDirectory(at: folder.file(path), withIntermediateDirectories: true)
            }
            #expect(try !isChanged {})
            #expect(try !isChanged { try folder.write("", "notes.txt") })
            #expect(try isChanged { try folder.write("1", "metrics.jsonl") })
            #expect(try isChanged { try folder.write("12", "metrics.jsonl") })
            #expect(try isChanged { try make("pictures") })
            #expect(try isChanged { try AtomicFile.write(Data(), to: folder.file("pictures/1.png")) })
            #expect(try isChanged { try make("retrain/0.5") })
            #expect(try isChanged { try folder.write("1", "retrain/0.5/metrics.jsonl") })
            #expect(try !isChanged { try make("retrain/0.5/checkpoints/x") })
            #expect(RunReport.names(of: ["a/b", "c"]) == ["b", "c"])
            #expect(RunReport.names(of: ["a/b", "c/b/"]) == ["a/b", "c/b/"])
        }

        @Test func aPageNeedsNothingElse() throws {
            let folder = try TemporaryFolder()
            let config = try folder.write(
                Tiny.tasks + Tiny.light + """
                    dataset: { kind: scenes, count: 40, size: [16, 16], crop: [16, 16], augmentation: none }
                    training:
                      { batch: 4, log_every: 1, evaluate_every: 4, warmup: { iterations: 8 },
                        policy: { iterations: 16 }, retrain: { iterations: 2 }, hard_sharing_baseline: true }
                    policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 }, budget: 0.5 }

                    """, "c.yml")
            func train(_ name: String, _ options: String...) -> String {
                let run = folder.file(name).path
                let outcome = Command.run(
                    ["train", "--config", config.path, "--no-search", "--output", run] + options)
                #expect(outcome.status == 0, "\(outcome.errors)")
                return run
            }
            let trace = folder.file("trace.json").path
            let (whole, begun) = (
                train("<whole> & \"all\"", "--profile", trace), train("begun", "--phases", "warmup")
            )
            let page = folder.file("page.html")
            func report(_ runs: String...) throws -> String {
                let outcome = Command.run(["report", "--output", page.path] + runs)
                #expect(outcome.status == 0, "\(outcome.errors)")
                return try String(contentsOf: page, encoding: .utf8)
            }
            let html = try report(whole)
            let named = html.replacing("http://www.w3.org/2000/svg", with: "")
            #expect(!named.contains("http://"))
            let sources = html.components(separatedBy: "src=\"").dropFirst()
            #expect(sources.count == 3 && sources.allSatisfy { $0.hasPrefix("data:image/png;base64,iVBOR") })
            #expect(!html.contains("https://") && html.utf8.count < 5_000_000)
            #expect(html.contains("&lt;whole&gt; &amp; &quot;all&quot;") && !html.contains("<whole>"))
            for part in [
                "Results", "Policy", "Course of training", "Predictions", "Cost of an image", "Accuracy against time",
                "Time by kernel",
            ] {
                #expect(html.contains(part), "\(part)")
            }
            let pictures = svgs(html)
            // The network, four losses, three metrics, and time in inference and training.
            #expect(pictures.count == 10)
            for svg in pictures { #expect(Classes(svg) != nil) }
            // Every cell of the map is one of the policy's.
            #expect(
                html.components(separatedBy: "<td class=\"in\"").count
                    + html.components(separatedBy: "<td class=\"out\"").count == 2 + 24)

            try FileManager.default.removeItem(atPath: begun + "/summary.json")
            #expect(try report(begun).contains("not finished: warmup, step 8"))
            #expect(try report(whole, begun).contains("begun"))
            Command.run(["report", folder.file("none").path]).expectFailure(["none", "no such folder"])
        }

        /// A page that is given no place takes none of another run's.
        @Test func pagesAreCalledAfterTheirRuns() throws {
            let folder = try TemporaryFolder()
            for path in ["a/first", "b/first", "b/second"] {
                let parent = folder.file(path).deletingLastPathComponent()
                try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
                try FinishedRun.afterWarmup().copy(to: folder.file(path))
            }
            func report(_ runs: String...) throws -> Outcome { try Program.run(["report"] + runs, in: folder.url) }
            #expect(try report("a/first").output == "wrote report-first.html\n")
            #expect(try report("a/../a/first").output == "wrote report-first.html\n")
            try report("b/first")
                .expectFailure(["report-first.html: found a file that is no page about this run", "--output"])
            #expect(try report("b/first", "b/second").output == "wrote report-first+second.html\n")
            try folder.write("mine", "report-second.html")
            try report("b/second").expectFailure(["report-second.html", "no page about this run"])
            #expect(try report("b/second", "--output", "report-second.html").status == 0)
            #expect(try report("b/second").status == 0)
            #expect(Report.pageName(of: (1...40).map { folder.file("run-\($0)") }) == "report-run-1+39.html")
        }

        private func svgs(_ html: String) -> [String] {
            html.components(separatedBy: "<svg").dropFirst().reduce(into: []) { list, part in
                // Charts hold pictures in pictures.
                if let last = list.last,
                    last.components(separatedBy: "<svg").count
                        > last.components(separatedBy: "</svg>").count
                {
                    list[list.count - 1] += "<svg" + part
                } else {
                    list.append("<svg" + part)
                }
                let open = list[list.count - 1].components(separatedBy: "<svg").count
                let closed = list[list.count - 1].components(separatedBy: "</svg>")
                if closed.count == open {
                    list[list.count - 1] = closed.dropLast().joined(separator: "</svg>") + "</svg>"
                }
            }
        }
    }
}
