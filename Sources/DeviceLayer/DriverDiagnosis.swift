import AdaShareSupport
import Foundation

/// What is wrong, and what to do about it; both for people.
public struct DriverProblem: Sendable, Equatable {
    /// What was found.
    public let what: String
    /// What helps.
    public let advice: String

    /// Both in one line.
    public var text: String { "\(what): \(advice)" }
}

/// What this program can tell about the drivers of OpenCL that are registered, and about those that should be: why
/// there is no device, or not the one that is wanted. Errors and `adashare doctor` say the same.
public struct DriverDiagnosis: Sendable {
    /// A driver that a file names.
    public struct Driver: Sendable {
        /// The file.
        public let file: String
        /// The library that it names; nil where it names none.
        public let library: String?
        /// Why it does not load; nil where it does.
        public let problem: DriverProblem?
    }

    /// What is registered, in the order of the files' names.
    public let drivers: [Driver]
    let environment: [String: String]
    /// Where the loader looks, and the variable that says so.
    private let place: (path: String, variable: String?)
    /// Where the machine's files are looked for.
    let root: String

    /// Looks at this machine.
    public init() { self.init(environment: ProcessInfo.processInfo.environment) }

    /// - Parameters:
    ///   - environment: of the process.
    ///   - folder: where loaders look unless a variable says otherwise.
    ///   - root: stands before every other path.
    init(environment: [String: String], folder: String = "/etc/OpenCL/vendors", root: String = "") {
        self.environment = environment
        self.root = root
        // The loaders of Debian and of Khronos call it differently.
        let variable = Self.places.first { environment[$0].map { !$0.isEmpty } ?? false }
        place = (variable.flatMap { environment[$0] } ?? folder, variable)
        drivers = Self.drivers(place.path)
    }

    private static let places = ["OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH"]

    /// Variables that hide devices of drivers.
    private static let hiding = [
        "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "POCL_DEVICES",
    ]

    /// Why there may be no device, and what to do.
    var text: String { problems.map(\.text).joined(separator: "; ") }

    /// Why there is no device; at least one reason.
    public var problems: [DriverProblem] {
        var found = driverProblems
        if drivers.isEmpty { found.append(nothingRegistered) }
        for driver in drivers where driver.problem == nil {
            found.append(silence(of: driver))
        }
        found += graphicsProblems
        let hidden = drivers.isEmpty ? [] : Self.hiding.filter { environment[$0] != nil }
        for name in hidden {
            found.append(
                DriverProblem(what: "\(name)=\(environment[name] ?? "") is set", advice: "without it more is seen"))
        }
        return found
    }

    /// Registered drivers that do not load.
    public var driverProblems: [DriverProblem] { drivers.compactMap(\.problem) }

    private var nothingRegistered: DriverProblem {
        guard let variable = place.variable else {
            return DriverProblem(
                what: "no driver of OpenCL is installed (\(place.path) names none)",
                advice: "`apt-get install pocl-opencl-icd` brings a CPU device, a GPU's own driver brings the GPU")
        }
        return DriverProblem(
            what: "\(variable)=\(place.path) is set and names no driver",
            advice: "without it /etc/OpenCL/vendors is looked at; it is to name a folder of .icd files")
    }

    /// Why a driver that loads may have no device.
    private func silence(of driver: Driver) -> DriverProblem {
        let name = driver.library ?? ""
        if name.contains("pocl"), let problem = poclCacheProblem { return problem }
        if name.contains("nvidia") {
            if !exists("/dev/nvidiactl") {
                return DriverProblem(
                    what: "NVIDIA's driver is installed (\(driver.file)) and there is no GPU (/dev/nvidiactl)",
                    advice: isContainer
                        ? "a container is given one with `--gpus all`" : "`nvidia-smi` says whether the system sees one"
                )
            }
            return DriverProblem(
                what: "NVIDIA's driver is installed (\(driver.file)) and has no device",
                advice: "`nvidia-smi` says what it sees; library and kernel module must be of one version")
        }
        if let node = closedNode {
            return DriverProblem(
                what: "the driver \(name) has no device, and \(node) may not be opened",
                advice: "the user belongs into the groups render and video")
        }
        return DriverProblem(
            what: "the driver \(name) is registered (\(driver.file)) and has no device",
            advice: "`clinfo` says what it sees")
    }

    // MARK: - Files

    /// A folder of files that name a library each, one such file, or a library.
    private static func drivers(_ place: String) -> [Driver] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: place, isDirectory: &isFolder), !isFolder.boolValue else {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
            return names.filter { $0.hasSuffix(".icd") }.sorted().map { driver("\(place)/\($0)") }
        }
        return [place.hasSuffix(".icd") ? driver(place) : load(place, of: place)]
    }

    private static func driver(_ file: String) -> Driver {
        guard let data = FileManager.default.contents(atPath: file) else {
            return Driver(
                file: file, library: nil,
                problem: DriverProblem(what: "\(file) cannot be read", advice: "`chmod a+r` lets everybody read it"))
        }
        let text = String(decoding: data, as: UTF8.self)
        let line = text.split(whereSeparator: \.isNewline).first?.trimmingCharacters(in: .whitespaces) ?? ""
        guard !line.isEmpty else {
            return Driver(
                file: file, library: nil,
                problem: DriverProblem(
                    what: "\(file) is empty", advice: "its line is to name a driver's library; or remove it"))
        }
        return load(line, of: file)
    }

    private static func load(_ library: String, of file: String) -> Driver {
        if let handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL) {
            dlclose(handle)
            return Driver(file: file, library: library, problem: nil)
        }
        let reason = dlerror().map { String(cString: $0) } ?? "unknown reason"
        return Driver(
            file: file, library: library,
            problem: DriverProblem(
                what: "the driver \(library) is registered (\(file)) and does not load: \(reason)",
                advice: advice(reason, on: library, of: file)))
    }

    /// What helps against a reason of the dynamic linker's.
    static func advice(_ reason: String, on library: String, of file: String) -> String {
        if reason.contains("wrong ELF class") || reason.contains("invalid ELF header") {
            return "install the driver for this machine's processor"
        }
        if reason.contains("ermission denied") { return "its file and folders are to be readable by everybody" }
        if reason.contains("version `") || reason.contains("undefined symbol") {
            return "driver and system are of different ages: install the one made for this system"
        }
        let missing = reason.prefix { $0 != ":" }
        if reason.contains("No such file"), !missing.isEmpty, missing != library {
            return "install the package that brings \(missing) (`apt-file search \(missing)`)"
        }
        return "install the package that brings it again, or remove \(file)"
    }

    // MARK: - pocl

    /// The folder in which pocl keeps what it compiles.
    public var poclCache: String { Self.poclCache(environment) }

    /// The same, without a look at the drivers.
    static func poclCache(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
        if let place = environment["POCL_CACHE_DIR"], !place.isEmpty { return place }
        if let place = environment["XDG_CACHE_HOME"], !place.isEmpty { return place + "/pocl/kcache" }
        return (environment["HOME"] ?? NSHomeDirectory()) + "/.cache/pocl/kcache"
    }

    /// What is wrong with that folder, without which pocl has no device or compiles nothing; nil where nothing is.
    public var poclCacheProblem: DriverProblem? { Self.poclCacheProblem(environment) }

    /// The same, without a look at the drivers.
    static func poclCacheProblem(
        _ environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> DriverProblem? {
        // Without any of them pocl itself knows a place.
        let known = ["POCL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"].contains {
            environment[$0].map { !$0.isEmpty } ?? false
        }
        guard known else { return nil }
        let place = poclCache(environment)
        if let reason = whyUnwritable(place) {
            return DriverProblem(
                what: "pocl cannot write its cache folder \(place): \(reason)",
                advice: "POCL_CACHE_DIR is to name a folder that can be written")
        }
        return DiskSpace.free(place).flatMap { bytes in
            guard bytes < leastRoom else { return nil }
            return DriverProblem(
                what:
                    "the disk of pocl's cache folder \(place) has \(bytes / 1000) kB left, and kernels take up to "
                    + "\(leastRoom / 1_000_000) MB",
                advice: "POCL_CACHE_DIR may name a folder on another disk")
        }
    }

    /// Bytes that the kernels of a run take in pocl's cache: with less, LLVM ends the process.
    private static let leastRoom = 8_000_000

    /// Why no file can be made in a folder, which need not be there yet; nil where one can.
    ///
    /// - Parameter path: the folder.
    public static func whyUnwritable(_ path: String) -> String? {
        // The innermost folder that is there says whether it, or what is missing, can be written.
        var place = URL(fileURLWithPath: path).standardizedFileURL
        while place.path != "/", !FileManager.default.fileExists(atPath: place.path) { place.deleteLastPathComponent() }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder), isFolder.boolValue else {
            return "\(place.path) is a file"
        }
        // Permissions do not tell what a file system, a quota or a superuser may do: a try does.
        let file = place.appendingPathComponent(".adashare-\(UUID().uuidString)").path
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return "\(place.path): \(String(cString: strerror(errno)))" }
        defer {
            close(descriptor)
            unlink(file)
        }
        // A full disk still has room for names.
        let bytes = [UInt8](repeating: 0, count: 1 << 12)
        let written = write(descriptor, bytes, bytes.count)
        guard written < bytes.count else { return nil }
        return "\(place.path): \(String(cString: strerror(written < 0 ? errno : ENOSPC)))"
    }
}
