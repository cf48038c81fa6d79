import AdaShareSupport
import FlyingFox
import FlyingSocks
import Foundation

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
    ///   - address: of this machine, IPv4 or IPv6.
    ///   - port: 0 for any that is free.
    ///   - ready: told the port once the server listens.
    /// - Throws: `InputError` if the address or port cannot be had.
    public func run(address: String, port: UInt16, ready: @escaping @Sendable (UInt16) -> Void) async throws {
        let server = try makeServer(address, port)
        await server.appendRoute("*") { request in await answer(request) }
        let told = Task {
            while !Task.isCancelled {
                guard (try? await server.waitUntilListening()) != nil else { continue }
                switch await server.listeningAddress {
                case .ip4(_, let port)?, .ip6(_, let port)?: return ready(port)
                default: return
                }
            }
        }
        defer { told.cancel() }
        do {
            try await server.run()
        } catch let error as SocketError {
            throw InputError(
                file: "\(address), port \(port)", found: error.localizedDescription,
                expected: "an address of this machine and a free port; port 0 takes any")
        }
    }

    private func makeServer(_ address: String, _ port: UInt16) throws -> HTTPServer {
        do {
            return address.contains(":")
                ? HTTPServer(address: try .inet6(ip6: address, port: port), logger: .disabled)
                : HTTPServer(address: try .inet(ip4: address, port: port), logger: .disabled)
        } catch {
            throw InputError(file: "--host", found: "'\(address)'", expected: "an address such as 127.0.0.1 or ::1")
        }
    }

    /// What a request gets.
    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        guard isKnown(request.headers[.host]) else {
            return refusal(.misdirectedRequest, "this server is not known by that name: --allow NAME")
        }
        if let origin = request.headers[HTTPHeader("Origin")] {
            guard origin.hasPrefix("http://"), isKnown(String(origin.dropFirst(7))) else {
                return refusal(.forbidden, "pages of other origins may not ask")
            }
        }
        guard request.method == .GET || request.method == .HEAD else {
            return refusal(.methodNotAllowed, "only GET is answered")
        }
        guard request.path == "/" || request.path == "/main" else { return refusal(.notFound, "there is one page, /") }
        do {
            let (html, main, tag) = try await content.current()
            var headers = Self.headers
            headers[HTTPHeader("ETag")] = tag
            let isMain = request.path == "/main"
            guard !isMain || request.headers[HTTPHeader("If-None-Match")] != tag else {
                return HTTPResponse(statusCode: .notModified, headers: headers)
            }
            let body = request.method == .HEAD ? Data() : Data((isMain ? main : html).utf8)
            return HTTPResponse(statusCode: .ok, headers: headers, body: body)
        } catch {
            return refusal(.internalServerError, "\(error)")
        }
    }

    private func isKnown(_ host: String?) -> Bool {
        guard var name = host?.lowercased() else { return false }
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("]") { name = String(name[..<colon]) }
        return names.contains { $0.lowercased() == name }
    }

    /// Nothing is loaded from anywhere, and no page may frame this one.
    private static let headers: HTTPHeaders = [
        .contentType: "text/html; charset=utf-8",
        HTTPHeader("Cache-Control"): "no-store",
        HTTPHeader("X-Content-Type-Options"): "nosniff",
        HTTPHeader("Referrer-Policy"): "no-referrer",
        HTTPHeader("Content-Security-Policy"):
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
            + "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ]

    private func refusal(_ status: HTTPStatusCode, _ text: String) -> HTTPResponse {
        var headers = Self.headers
        headers[.contentType] = "text/plain; charset=utf-8"
        return HTTPResponse(statusCode: status, headers: headers, body: Data((text + "\n").utf8))
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
