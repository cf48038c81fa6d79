import AdaShareSupport

/// The numbers in an event of a run's log, under the tags that TensorBoard shows them by.
package enum EventScalars {
    /// Members that say where an event belongs, not what was measured.
    private static let places: Set<String> = ["event", "phase", "iteration", "global_step", "time", "seconds"]

    /// All numbers of an event: those of its members by the members' names, such as `loss/depth`, and members that are
    /// numbers themselves by the kind of the event, such as `step/temperature`.
    ///
    /// - Parameters:
    ///   - event: an object.
    ///   - others: members that are shown in another way.
    /// - Returns: in the order of their tags.
    package static func of(_ event: JSONValue, without others: Set<String> = []) -> [(tag: String, value: Double)] {
        guard case .object(let members) = event else { return [] }
        var scalars: [(tag: String, value: Double)] = []
        for (name, value) in members where !places.contains(name) && !others.contains(name) {
            if let number = value.double {
                scalars.append(("\(event["event"]?.string ?? "")/\(name)", number))
            } else {
                collect(value, name, into: &scalars)
            }
        }
        return scalars.sorted { $0.tag < $1.tag }
    }

    private static func collect(_ value: JSONValue, _ tag: String, into scalars: inout [(tag: String, value: Double)]) {
        switch value {
        case .integer, .number: if let number = value.double { scalars.append((tag, number)) }
        case .array(let values):
            for (index, value) in values.enumerated() { collect(value, "\(tag)/\(index)", into: &scalars) }
        case .object(let members): for (name, value) in members { collect(value, "\(tag)/\(name)", into: &scalars) }
        case .null, .bool, .string: break
        }
    }
}
