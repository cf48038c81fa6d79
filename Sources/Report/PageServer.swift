import AdaShareSupport
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// Serves one page, made anew whenever what it tells about has changed, to browsers that follow it.
///
/// Nothing but the page can be asked for, so that no path leads to a file. A browser must call the server by a name
/// that it is known by, and a page of another origin may not ask, so that no site that the browser visits reads along.
public struct PageServer: Sendable {
    private let names: [String]
    private let content: PageContent

    /// - Parameters:
    ///   - names: names and addresses that browsers may call it by, beside `localhost` and the loopback addresses.
    ///   - state: tells states of what the page is about apart; asked every time, so it should be cheap.
    ///   - page: makes the page and the part of it that changes, `main`.
    public init(
        names: [String], state: @escaping @Sendable () -> String,
        page: @escaping @Sendable () throws -> (html: String, main: String)
    ) {
        self.names = ["localhost", "127.0.0.1", "[::1]"] + names.map { $0.contains(":") ? "[\($0)]" : $0 }
        content = PageContent(state: state, make: page)
    }

    /// Serves until the task is cancelled.
    ///
    /// - Parameters:
    ///   - address: of this machine, or its name.
    ///   - port: 0 for any that is free.
    ///   - ready: told the port once the server listens.
    /// - Throws: `InputError` if the address or port cannot be had.
    public func run(address: String, port: UInt16, ready: @escaping @Sendable (Int) -> Void) async throws {
        let channel = try await listen(address, port)
        ready(channel.channel.localAddress?.port ?? Int(port))
        try await withThrowingDiscardingTaskGroup { group in
            try await channel.executeThenClose { connections in
                for try await connection in connections {
                    // What a browser does wrong ends its connection alone.
                    group.addTask { try? await serve(connection) }
                }
            }
        }
    }

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    private func listen(_ address: String, _ port: UInt16) async throws -> NIOAsyncChannel<Connection, Never> {
        do {
            return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: address, port: Int(port)) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            let cause = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw InputError(
                file: "\(address), port \(port)", found: "no place to listen (\(cause))",
                expected: "an address of this machine and a free port; port 0 takes any")
        }
    }

    private func serve(_ connection: Connection) async throws {
        try await connection.executeThenClose { requests, answers in
            var head: HTTPRequestHead?
            for try await part in requests {
                switch part {
                case .head(let next): head = next
                case .body: break
                case .end:
                    guard let request = head else { return }
                    let (status, headers, body) = await answer(request)
                    try await answers.write(
                        .head(HTTPResponseHead(version: request.version, status: status, headers: headers)))
                    if request.method != .HEAD, !body.isEmpty {
                        try await answers.write(.body(.byteBuffer(ByteBuffer(string: body))))
                    }
                    try await answers.write(.end(nil))
                    if !request.isKeepAlive { return }
                }
            }
        }
    }

    /// What a request gets.
    func answer(_ request: HTTPRequestHead) async -> (status: HTTPResponseStatus, headers: HTTPHeaders, body: String) {
        let hosts = request.headers["Host"]
        guard hosts.count == 1, isKnown(hosts[0]) else {
            return refusal(.misdirectedRequest, "this server is not known by that name: --allow NAME")
        }
        for origin in request.headers["Origin"] {
            guard origin.hasPrefix("http://"), isKnown(String(origin.dropFirst(7))) else {
                return refusal(.forbidden, "pages of other origins may not ask")
            }
        }
        guard request.method == .GET || request.method == .HEAD else {
            return refusal(.methodNotAllowed, "only GET is answered")
        }
        let path = request.uri.prefix { $0 != "?" }
        guard path == "/" || path == "/main" else { return refusal(.notFound, "there is one page, /") }
        do {
            let (html, main, tag) = try await content.current()
            let isMain = path == "/main"
            guard !isMain || request.headers.first(name: "If-None-Match") != tag else {
                return (.notModified, Self.headers([("ETag", tag)]), "")
            }
            let body = isMain ? main : html
            return (.ok, Self.headers([("ETag", tag), ("Content-Length", "\(body.utf8.count)")]), body)
        } catch {
            return refusal(.internalServerError, "\(error)")
        }
    }

    private func isKnown(_ host: String) -> Bool {
        var name = host.lowercased()
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("]") { name = String(name[..<colon]) }
        return names.contains { $0.lowercased() == name }
    }

    /// Nothing is loaded from anywhere, and no page may frame this one.
    private static func headers(
        _ own: [(String, String)], type: String = "text/html; charset=utf-8"
    ) -> HTTPHeaders {
        HTTPHeaders(
            [
                ("Content-Type", type), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
                (
                    "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
                        + "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
                ),
            ] + own)
    }

    private func refusal(_ status: HTTPResponseStatus, _ text: String) -> (HTTPResponseStatus, HTTPHeaders, String) {
        let body = text + "\n"
        let headers = Self.headers([("Content-Length", "\(body.utf8.count)")], type: "text/plain; charset=utf-8")
        return (status, headers, body)
    }
}

/// The page as it was made last.
private actor PageContent {
    private let state: @Sendable () -> String
    private let make: @Sendable () throws -> (html: String, main: String)
    private var last: (state: String, html: String, main: String, tag: String)?

    init(state: @escaping @Sendable () -> String, make: @escaping @Sendable () throws -> (html: String, main: String)) {
        (self.state, self.make) = (state, make)
    }

    /// The page, and a tag that tells versions apart.
    ///
    /// - Throws: what making it throws, where there is none yet; a file that is being written spoils no page.
    func current() throws -> (html: String, main: String, tag: String) {
        let now = state()
        if let last, last.state == now { return (last.html, last.main, last.tag) }
        do {
            let (html, main) = try make()
            let tag = "\"\(ContentHash.text(Data(main.utf8)))\""
            last = (now, html, main, tag)
            return (html, main, tag)
        } catch {
            guard let last else { throw error }
            return (last.html, last.main, last.tag)
        }
    }
}
