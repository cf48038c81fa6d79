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
    @Option(help: "The page. Default: report.html, without --network.") var output: String?
    @Option(help: "A picture of the first run's network under its policy, SVG.") var network: String?

    func run(on console: Console) throws {
        let reports = try Self.read(runs)
        var inputs = InputFiles([])
        for run in runs { inputs.add(trainedIn: run) }
        let page = output ?? (network == nil ? "report.html" : nil)
        try inputs.check([page, network].compactMap { $0 })
        func write(_ text: String, to path: String) throws {
            try AtomicFile.write(Data(text.utf8), to: URL(fileURLWithPath: path))
            try console.print("wrote \(path)")
        }
        if let page {
            try write(ReportPage(reports, version: AdaShareCommand.configuration.version).html, to: page)
        }
        if let network { try write(reports[0].networkPicture(), to: network) }
    }

    /// What the folders of runs tell about them.
    static func read(_ runs: [String]) throws -> [RunReport] {
        try zip(runs, RunReport.names(of: runs)).map { try RunReport(URL(fileURLWithPath: $0), name: $1) }
    }
}
