import AdaShareDeviceLayer
import AdaShareSupport
import Foundation

/// What is usual for a device, to compare with what was measured on it.
public struct UsualSpeed: Sendable, Equatable, Codable {
    /// GFLOP/s of float32 multiply-adds and GB/s of memory.
    public let gflops, gbPerSecond: Double
    /// Where the figures are from, one clause.
    public let source: String

    /// Under so much of it a device is slower than it should be.
    static let least = 0.4

    /// - Returns: nil for a device that nothing is known of.
    init?(_ device: Device, _ host: HostLimits) {
        if device.type == .cpu {
            let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
            self.init(processor: text, cores: min(Double(device.usableComputeUnits), host.usableCores))
        } else {
            self.init(graphics: device.name)
        }
    }

    private init(_ gflops: Double, _ gbPerSecond: Double, _ source: String) {
        (self.gflops, self.gbPerSecond, self.source) = (gflops, gbPerSecond, source)
    }

    /// - Parameters:
    ///   - text: of `/proc/cpuinfo`.
    ///   - cores: that compute.
    init?(processor text: String, cores: Double) {
        func values(_ name: String) -> [Substring] {
            text.split(separator: "\n").filter { $0.hasPrefix(name) }.compactMap { line in
                line.split(separator: ":").dropFirst().first.map { $0.drop { $0 == " " } }
            }
        }
        let flags = Set(((values("flags") + values("Features")).first ?? "").split(separator: " "))
        // Two multiply-adds of a register a cycle, as most processors have.
        let perCycle: Double =
            flags.contains("avx512f") ? 64 : flags.contains("avx2") && flags.contains("fma") ? 32 : 16
        guard let clock = values("cpu MHz").compactMap({ Double($0) }).max(), clock > 0, !flags.isEmpty else {
            return nil
        }
        self.init(
            cores * clock * 1e-3 * perCycle, min(cores * 8, 40),
            "\(readable(cores, digits: 2)) cores × \(readable(clock * 1e-3, digits: 3)) GHz × \(Int(perCycle)); "
                + "memory 8 GB/s a core, at most 40 on a desktop and more on a server")
    }

    /// - Parameter name: the device's.
    init?(graphics name: String) {
        // Whole words: an RTX A1000 is no A100.
        func isWord(_ character: Character?) -> Bool { character.map { $0.isLetter || $0.isNumber } ?? false }
        func hasWord(_ word: String) -> Bool {
            name.ranges(of: word).contains { range in
                !isWord(name[range.upperBound...].first) && !isWord(name[..<range.lowerBound].last)
            }
        }
        guard let known = Self.known.first(where: { hasWord($0.name) }) else { return nil }
        self.init(known.teraflops * 1e3, known.gbPerSecond, "the vendor's data sheet")
    }

    /// Float32 without matrix units; names that are part of others come after them.
    private static let known: [(name: String, teraflops: Double, gbPerSecond: Double)] = [
        ("H200", 67, 4800), ("H100 PCIe", 51, 2000), ("H100", 67, 3350), ("A100-SXM4-80GB", 19.5, 2039),
        ("A100 80GB", 19.5, 1935), ("A100", 19.5, 1555), ("L40S", 91.6, 864), ("L40", 90.5, 864), ("L4", 30.3, 300),
        ("A10", 31.2, 600), ("A40", 37.4, 696), ("V100", 15.7, 900), ("P100", 9.3, 732), ("Tesla T4", 8.1, 320),
        ("RTX A6000", 38.7, 768), ("RTX 6000 Ada", 91.1, 960), ("RTX 5090", 104.8, 1792), ("RTX 4090", 82.6, 1008),
        ("RTX 4080", 48.7, 717), ("RTX 4070", 29.1, 504), ("RTX 3090", 35.6, 936), ("RTX 3080", 29.8, 760),
        ("RTX 3070", 20.3, 448), ("RTX 3060", 12.7, 360), ("RTX 2080 Ti", 13.4, 616), ("gfx942", 163.4, 5300),
        ("gfx90a", 47.9, 3277),
    ]
}
