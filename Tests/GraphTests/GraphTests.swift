import DeviceLayer
import Foundation
import Operators
import Testing

@testable import Graph

/// Root of every suite of this module: the tests of one process take turns at the device.
@Suite(.serialized) struct GraphTests {}

/// The device the tests share.
enum TestDevice {
    static let isPresent = (try? Device.all().isEmpty) == false
    static let absence: Comment = "no OpenCL device: apt-get install pocl-opencl-icd"

    private static let context = Result<DeviceContext, any Error> {
        let device = try Device.select(ProcessInfo.processInfo.environment["ADASHARE_DEVICE"])
        return try DeviceContext(device: device, cacheDirectory: nil, profiling: true)
    }

    /// An executor with an empty store, cache and arena.
    static func executor(_ family: KernelFamily, capacity: Int = 64) throws -> Executor {
        Executor(library: try KernelLibrary(context: try context.get(), family: family), capacity: capacity)
    }

    /// Names of the kernels that `body` launches, in order.
    static func launched(by body: () throws -> Void) throws -> [String] {
        let queue = try context.get().queue
        _ = try queue.takeProfile()
        try body()
        return try queue.takeProfile().map(\.kernelName)
    }
}

extension Executor {
    /// Runs a plan and reads its outputs.
    func results(_ plan: Plan) throws -> [String: [Float]] {
        try run(plan)
        return try plan.outputs.keys.reduce(into: [:]) { $0[$1] = try read($1, of: plan) }
    }
}

extension Graph {
    /// How many recorded nodes apply an operator of this type.
    func count<T: Operator>(_ type: T.Type) -> Int { nodes.count { $0.operation is T } }
}

/// A small deterministic generator of test cases.
///
/// - Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
struct Generator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }

    mutating func pick<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &self)] }
}
