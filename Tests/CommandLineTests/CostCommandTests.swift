import AdaShareSupport
import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration
@testable import AdaShareTraining

extension CommandLineTests {
    /// `cost` and `devices`.
    @Suite struct CostCommandTests {
        /// A row of section 7 of the method: blocks skipped, counted from 1, and MACs in G at 224 x 224.
        struct Published: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let backbone: String
            let blocks: Int
            let tasks: [(name: String, kind: String, channels: Int, skipped: [Int])]
            let all, selected, shared: Double
        }

        static let published = [
            Published(
                testDescription: "NYU v2 2-task", backbone: "resnet18", blocks: 8,
                tasks: [("seg", "segmentation", 40, [2]), ("normals", "normals", 3, [6])],
                all: 19.71, selected: 18.48, shared: 18.12),
            Published(
                testDescription: "Cityscapes 2-task", backbone: "resnet34", blocks: 16,
                tasks: [("seg", "segmentation", 19, [6, 7, 9, 13]), ("depth", "depth", 1, [3, 10])],
                all: 37.06, selected: 33.35, shared: 32.75),
            Published(
                testDescription: "NYU v2 3-task", backbone: "resnet34", blocks: 16,
                tasks: [
                    ("seg", "segmentation", 40, [7]), ("normals", "normals", 3, [10, 11, 12]),
                    ("depth", "depth", 1, [6, 11, 12]),
                ],
                all: 55.59, selected: 50.13, shared: 47.33),
            Published(
                testDescription: "Taskonomy 5-task", backbone: "resnet34", blocks: 16,
                tasks: [
                    ("seg", "segmentation", 17, []), ("normals", "normals", 3, [6, 13]), ("depth", "depth", 1, [5, 7]),
                    ("keypoints", "keypoints", 1, [4]), ("edges", "edges", 1, [10, 11, 13]),
                ],
                all: 92.64, selected: 87.75, shared: 81.06),
        ]

        @Test(arguments: published) func reproducesThePublishedTable(_ row: Published) throws {
            let folder = try TemporaryFolder()
            // Nothing but tasks and model is needed.
            let tasks = row.tasks.map { "  - { name: \($0.name), kind: \($0.kind), channels: \($0.channels) }\n" }
            let configuration = try folder.write(
                "tasks:\n\(tasks.joined())model: { backbone: \(row.backbone) }\n", "c.yml")
            let rows = row.tasks.map { task in
                let decisions = (1...row.blocks).map { task.skipped.contains($0) ? "0" : "1" }
                return "\"\(task.name)\": [\(decisions.joined(separator: ","))]"
            }
            let policy = try folder.write("{\"tasks\": {\(rows.joined(separator: ", "))}}", "p.json")
            let arguments = ["cost", "--config", configuration.path, "--size", "224x224", "--policy", policy.path]
            let report = try Command.run(arguments + ["--json"]).json()

            #expect(report.keys == ["backbone", "blocks", "heads", "memory"])
            let backbone = try #require(report["backbone"])
            #expect(backbone.keys == ["macs_all", "macs_hard_sharing", "macs_selected", "macs_shared", "parameters"])
            #expect(report["heads"]?.keys == ["macs", "parameters"])
            #expect(report["blocks"]?.items.count == row.blocks)
            for (key, expected) in [
                ("macs_all", row.all), ("macs_selected", row.selected), ("macs_shared", row.shared),
            ] {
                let macs = try #require(backbone[key]?.integer)
                #expect((Double(macs) / 1e7).rounded() / 100 == expected, "\(key) is \(macs)")
            }
            let parameters = try #require(backbone["parameters"]?.integer)
            #expect((Double(parameters) / 1e4).rounded() / 100 == (row.backbone == "resnet18" ? 11.18 : 21.28))
            let head = Double(try #require(report["heads"]?["parameters"]?.integer)) / Double(row.tasks.count)
            #expect(abs(head / 1e6 - 23.1) < 0.1)

            // Without a policy every task uses every block, and one pass serves all.
            let shared = try Command.run(Array(arguments.dropLast(2)) + ["--json"]).json()["backbone"]
            #expect(shared?["macs_selected"] == backbone["macs_all"])
            let passes = try #require(backbone["macs_all"]?.integer)
            #expect(shared?["macs_shared"]?.integer == passes / row.tasks.count)
            #expect(backbone["macs_hard_sharing"] == shared?["macs_shared"])

            let text = Command.run(arguments).output
            #expect(text.contains(String(format: "%.2f G", row.shared)) && text.contains("selected by"))
        }

        @Test(.needsDevice) func devicesAreListed() throws {
            let rows = try Command.run(["devices", "--json"]).json().items
            #expect(!rows.isEmpty)
            for row in rows {
                #expect(row["name"]?.string?.isEmpty == false)
                #expect(["cpu", "gpu", "accelerator", "other"].contains(row["type"]?.string))
                #expect(row["index"]?.string?.contains(":") == true)
                for key in ["compute_units", "global_memory_bytes", "maximum_allocation_bytes", "local_memory_bytes"] {
                    #expect((row[key]?.integer ?? 0) > 0, "\(key)")
                }
            }
            let text = Command.run(["devices"]).output
            #expect(text.contains(rows[0]["name"]?.string ?? "?") && text.contains("*"))
        }

        @Test func helpExplainsEveryCommand() throws {
            let help = Command.run(["--help"])
            #expect(help.status == 0)
            for name in ["train", "evaluate", "predict", "cost", "devices", "data"] {
                #expect(help.output.contains(name))
                let page = Command.run([name, "--help"])
                #expect(page.status == 0 && page.output.contains("USAGE: adashare \(name)"))
            }
        }

        /// Tasks with data sets of their own share weights and no work; nothing of the data sets is read.
        @Test func dataSetsOfTasksOwnAreCounted() throws {
            let folder = try TemporaryFolder()
            func run(_ third: String, _ options: [String] = []) throws -> Outcome {
                let configuration = try folder.write(
                    """
                    tasks:
                      - { name: a, kind: classification, channels: 3, dataset: { kind: folders, root: a } }
                      - { name: b, kind: classification, channels: 9, dataset: { kind: folders, root: b } }
                      - { name: c, kind: classification, channels: 3, dataset: { kind: folders, root: \(third) } }
                    model: { backbone: resnet18, width: 0.25 }
                    """, "c.yml")
                return Command.run(
                    ["cost", "--config", configuration.path, "--size", "33×41", "--batch", "2", "--json"] + options)
            }
            func cost(_ third: String, _ options: [String] = []) throws -> JSONValue { try run(third, options).json() }
            func number(_ report: JSONValue, _ key: String) throws -> Double {
                try #require(report["backbone"]?[key]?.double)
            }
            let apart = try cost("c")
            let together = try cost("a")
            #expect(try number(apart, "macs_hard_sharing") == number(apart, "macs_all"))
            #expect(try 3 * number(together, "macs_hard_sharing") == 2 * number(together, "macs_all"))
            #expect(try number(apart, "images") == 3 && number(together, "images") == 2)
            let own = try cost("c", ["--set", "model.task_batch_norm=true"])
            #expect(try number(own, "macs_shared") == number(apart, "macs_shared"))
            #expect(try number(own, "parameters") > number(apart, "parameters"))
            #expect(own["memory"] != nil)
            // Time is measured in steps with a pass for each of the images.
            let timed = try run("c", ["--time", "--no-search", "--set", "model.task_batch_norm=true"])
            #expect(try timed.json()["time"] != nil)
            #expect(timed.errors.contains("timing steps of 2 × 33×41 on "), "\(timed.errors)")
        }
    }
}
