import AdaShareDeviceLayer
import AdaShareSupport
import Foundation

/// What `adashare doctor` finds: the machine, its drivers and devices, places on disk, and what is wrong.
public struct DoctorReport: Encodable, Sendable {
    /// Something wrong, and what to do about it.
    public struct Problem: Encodable, Sendable, Equatable {
        /// Whether training cannot work with it.
        public let isError: Bool
        /// What was found.
        public let what: String
        /// What helps.
        public let advice: String
    }

    /// Processor and memory.
    public struct Host: Encodable, Sendable {
        /// Cores that are switched on, and those that the process may run on.
        public let cores, allowedCores: Int
        /// What a container leaves of their time, in cores; nil without a limit.
        public let cpuQuota: Double?
        /// Bytes of memory, and what a container leaves of it; nil without a limit.
        public let memoryBytes: Int, memoryLimitBytes: Int?
        /// Whether the process runs in a container.
        public let isContainer: Bool
    }

    /// A driver that a file names.
    public struct Driver: Encodable, Sendable {
        /// The file, and the library that it names.
        public let file: String, library: String?
        /// Whether it loads.
        public let loads: Bool
    }

    /// A device, with what a try on it has shown.
    public struct DeviceRow: Encodable, Sendable {
        /// As `adashare devices` shows them.
        public let index, name, type, platform, version, driver: String
        /// Likewise.
        public let computeUnits, globalMemoryBytes: Int
        /// Whether training takes it unless it is told otherwise.
        public let isChosen: Bool
        /// Why no kernel runs on it; nil where they should.
        public let refusal: String?
        /// nil where it was not tried.
        public let probe: DeviceProbe?
    }

    /// A folder that something is kept in.
    public struct Place: Encodable, Sendable {
        /// What for.
        public let name: String
        /// Where; nil where the user has no such folder.
        public let path: String?
        /// What lies in it.
        public let files, bytes: Int
        /// Bytes that the disk has left; nil where the system does not say.
        public let freeBytes: Int?
        /// Why files cannot be made there; nil where they can.
        public let whyUnwritable: String?
    }

    /// Of the program, and of the libraries that it has loaded by path.
    public let versions: [String: String]
    /// Processor and memory.
    public let host: Host
    /// In the order of their files' names.
    public let drivers: [Driver]
    /// In the drivers' order.
    public let devices: [DeviceRow]
    /// Caches, then other folders.
    public let places: [Place]
    /// The worst first.
    public let problems: [Problem]

    /// Whether training can work.
    public var works: Bool { !problems.contains(where: \.isError) }
}

extension DoctorReport.Place {
    /// Looks at a folder, which need not be there yet.
    ///
    /// - Parameters:
    ///   - name: what it is for.
    ///   - path: where; nil where there is no such place.
    ///   - counts: whether what lies in it is counted.
    init(_ name: String, _ path: String?, counts: Bool = true) {
        (self.name, self.path) = (name, path)
        guard let path else {
            (files, bytes, freeBytes) = (0, 0, nil)
            whyUnwritable = "the user has no folder for caches"
            return
        }
        let manager = FileManager.default
        var (files, bytes) = (0, 0)
        let walk = counts ? manager.enumerator(at: URL(fileURLWithPath: path), includingPropertiesForKeys: nil) : nil
        while let file = walk?.nextObject() as? URL {
            let attributes = try? manager.attributesOfItem(atPath: file.path)
            guard attributes?[.type] as? FileAttributeType == .typeRegular else { continue }
            files += 1
            bytes += attributes?[.size] as? Int ?? 0
        }
        (self.files, self.bytes) = (files, bytes)
        whyUnwritable = DriverDiagnosis.whyUnwritable(path)
        freeBytes = DiskSpace.free(path)
    }
}
