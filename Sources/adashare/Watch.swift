import AdaShareReport
import AdaShareSupport
import ArgumentParser
import Dispatch
import Foundation
import Synchronization

struct Watch: ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the page of `report` while a run is trained, to a browser on this machine.",
        discussion: """
            The page follows the run by itself. Nothing else is served, only browsers on this machine are, and only \
            under its own names, unless --host and --allow say otherwise. Ctrl-C ends it.
            """)

    @Argument(help: "Run folders that `train` writes.", completion: .file()) var runs: [String]
    @Option(help: "The address to listen on.") var host = "127.0.0.1"
    @Option(help: "The port; 0 takes any that is free.") var port: UInt16 = 8765
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("A name by which browsers may call this machine; repeatable.", valueName: "name"))
    var allow: [String] = []

    func run(on console: Console) throws {
        let stop = console.isProcess ? StopRequest.listening() : StopRequest()
        let version = AdaShareCommand.configuration.version
        @Sendable func page() throws -> ReportPage { try ReportPage(Report.read(runs), version: version) }
        _ = try page()
        let watched = WatchedRuns(runs.map { URL(fileURLWithPath: $0) })
        let server = PageServer(
            names: allow, state: { watched.state },
            page: {
                let page = try page()
                return (page.following, page.main)
            })
        let end = Shared<Result<Void, any Error>>()
        let place = Shared<Int>()
        let task = Task { [host, port] in
            do {
                try await server.run(address: host, port: port) { place.set($0) }
                end.set(.success(()))
            } catch {
                end.set(.failure(error))
            }
        }
        defer { task.cancel() }
        var isSaid = false
        while stop.reason == nil, end.value == nil {
            if !isSaid, let port = place.value {
                let name = host.contains(":") ? "[\(host)]" : host
                try console.print("serving http://\(name):\(port)/ (Ctrl-C ends)")
                isSaid = true
            }
            Thread.sleep(forTimeInterval: 0.1)
        }
        if stop.reason == nil { try end.value?.get() }
    }

    /// What one thread says to another, once.
    private final class Shared<Value: Sendable>: Sendable {
        private let content = Mutex<Value?>(nil)
        var value: Value? { content.withLock { $0 } }
        func set(_ value: Value) { content.withLock { $0 = value } }
    }
}
