import AdaShareSupport
import Foundation

/// The place on disk where binaries of programs are kept between runs.
public enum ProgramCache {
    /// `adashare/programs` in the user's cache directory, `~/.cache` unless the system is set up otherwise.
    ///
    /// `nil` if the user has no such directory, or others can write to it, and for pocl: it keeps what it compiles
    /// itself, and asking it for a binary makes it compile every kernel a second time, for work-groups of any size.
    public static func directory(for device: Device) -> URL? {
        device.compilesAtFirstLaunch ? nil : userDirectory
    }

    static var userDirectory: URL? {
        UserCache.root?.appendingPathComponent("programs", isDirectory: true)
    }

    /// Caches that are not used with a device, because somebody else could write to them, and why; for people.
    public static func refusals(for device: Device) -> [String] {
        [UserCache.problem, device.compilesAtFirstLaunch ? DriverCache.refusal : nil].compactMap(\.self)
    }
}

/// What a binary depends on: source, options, device and driver.
struct ProgramCacheKey: Hashable {
    /// SHA-256 of all of it, 32 bytes.
    let digest: [UInt8]

    init(source: String, options: [String], device: Device) {
        var hash = SHA256()
        let fields = [
            source, device.name, device.driverVersion, device.version, device.platformName, device.platformVersion,
        ]
        // The length before each field keeps ("ab", "c") and ("a", "bc") apart.
        for field in fields + options {
            var field = field
            field.withUTF8 { text in
                withUnsafeBytes(of: UInt64(text.count).littleEndian) { hash.update($0) }
                hash.update(UnsafeRawBufferPointer(text))
            }
        }
        digest = hash.finalize()
    }

    /// Name of the file that holds the binary.
    var fileName: String {
        let digits = Array("0123456789abcdef")
        return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }) + ".program"
    }
}

extension Device {
    /// Whether the driver makes machine code of a kernel when it is first launched, and keeps on disk what it has made:
    /// pocl. Others compile all of a program's kernels when it is built.
    public var compilesAtFirstLaunch: Bool { Self.compilesAtFirstLaunch(platform: platformName) }

    static func compilesAtFirstLaunch(platform: String) -> Bool { platform == "Portable Computing Language" }
}
