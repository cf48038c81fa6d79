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
            Without --output the page is called after the runs, and one that is not of the same runs is never \
            replaced.
            """)

    @Argument(help: "Run folders that `train` wrote.", completion: .file()) var runs: [String]
    @Option(help: "The page. Default, without --network: report-RUN.html in this folder.", completion: .file())
    var output: String?
    @Option(help: "A picture of the first run's network under its policy, SVG.", completion: .file()) var network:
        String?

    func run(on console: Console) throws {
        let reports = try Self.read(runs)
        var inputs = InputFiles([])
        for run in runs { inputs.add(trainedIn: run) }
        let page = try output ?? (network == nil ? freePage() : nil)
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

    /// Where a page goes that has been given no place.
    ///
    /// - Throws: `InputError` if something lies there that is no page about these runs.
    private func freePage() throws -> String {
        let folders = runs.map { URL(fileURLWithPath: $0) }
        let page = Self.pageName(of: folders)
        guard FileManager.default.fileExists(atPath: page) else { return page }
        let text = (try? String(contentsOfFile: page, encoding: .utf8)) ?? ""
        guard text.prefix(Self.longestHead).contains(ReportPage.mark(of: folders)) else {
            throw InputError(
                file: page, found: "a file that is no page about \(runs.count == 1 ? "this run" : "these runs")",
                expected: "--output FILE, or no such file")
        }
        return page
    }

    /// The mark of a page is one of its first lines.
    private static let longestHead = 4096

    /// What a page about runs is called, after their folders.
    static func pageName(of folders: [URL]) -> String {
        let names = folders.map { $0.standardizedFileURL.lastPathComponent }
        let all = names.joined(separator: "+")
        guard all.utf8.count > 100 else { return "report-\(all).html" }
        return "report-\(names[0].prefix(50))\(names.count > 1 ? "+\(names.count - 1)" : "").html"
    }

    /// What the folders of runs tell about them.
    static func read(_ runs: [String]) throws -> [RunReport] {
        try zip(runs, RunReport.names(of: runs)).map { try RunReport(URL(fileURLWithPath: $0), name: $1) }
    }
}
