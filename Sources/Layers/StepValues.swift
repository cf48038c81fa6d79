/// Values of a step's input: [Float], or [Int32] for classes.
public protocol StepValues {
    /// How many.
    var count: Int { get }
}

/// What a step's input consists of.
public protocol StepElement {}
extension Float: StepElement {}
extension Int32: StepElement {}
extension Array: StepValues where Element: StepElement {}

/// The outputs of one step.
public struct StepResult {
    private let session: Session
    private let number: Int

    init(session: Session, number: Int) { (self.session, self.number) = (session, number) }

    /// Values of a named output in row-major order; waits for the step.
    ///
    /// - Precondition: the session has taken no other step since, which would have overwritten it.
    /// - Throws: `InputError` if the step has no such output, `DeviceError` if it cannot be read.
    public func read(_ name: String) throws -> [Float] {
        precondition(
            session.steps == number, "\(name) of step \(number) is read after \(session.steps) steps have been taken")
        return try session.output(name)
    }
}
