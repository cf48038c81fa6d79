import AdaShareReport
import AdaShareSupport
import ArgumentParser
import Foundation

struct Report: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a page about a run, or several beside one another.",
        discussion: """
            One HTML file that needs no other and no network: results, the network with what each task computes, skips \
            and shares, how probable decisions were, losses and metrics, cost, configuration. A run need not be \
            finished. No OpenCL device is needed.
            """)

    @Argument(help: "Run folders that `train` wrote.") var runs: [String]
    @Option(help: "The page.") var output = "report.html"

    func run(on console: Console) throws {
        // Runs of a study are all called after their seeds.
        let names = runs.map { URL(fileURLWithPath: $0).standardizedFileURL.lastPathComponent }
        let reports = try runs.map {
            try RunReport(URL(fileURLWithPath: $0), name: Set(names).count < names.count ? $0 : nil)
        }
        var inputs = InputFiles([])
        for run in runs { inputs.add(trainedIn: run) }
        try inputs.check([output])
        let page = ReportPage(reports, version: AdaShareCommand.configuration.version)
        try AtomicFile.write(Data(page.html.utf8), to: URL(fileURLWithPath: output))
        try console.print("wrote \(output)")
    }
}
