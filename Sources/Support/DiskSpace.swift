import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What disks have left.
package enum DiskSpace {
    /// Bytes that this user may still write on the disk of a file or folder, which need not be there yet; nil where its
    /// file system does not say.
    package static func free(_ path: String) -> Int? {
        var place = URL(fileURLWithPath: path).standardizedFileURL
        var disk = statvfs()
        while statvfs(place.path, &disk) != 0 {
            guard place.path != "/" else { return nil }
            place.deleteLastPathComponent()
        }
        guard disk.f_blocks > 0 else { return nil }
        let (bytes, overflow) = UInt64(disk.f_bavail).multipliedReportingOverflow(by: UInt64(disk.f_frsize))
        return overflow ? .max : Int(clamping: bytes)
    }
}
