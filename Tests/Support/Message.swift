/// What somebody is told where something goes wrong; "no error" where nothing does.
package func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "no error"
}
