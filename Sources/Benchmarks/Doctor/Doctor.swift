import AdaShareDeviceLayer
import AdaShareSupport
import AdaShareTuning
import Foundation

/// Looks at everything that training depends on, and says what to do about what is wrong.
public struct Doctor {
    private let version: String
    private let selector: String?
    private let environment: [String: String]
    private let probe: (Device) -> DeviceProbe

    /// Creates a doctor, which looks at nothing before it examines.
    ///
    /// - Parameters:
    ///   - version: of the program.
    ///   - selector: the device that is asked for, as `Device.select` takes it.
    ///   - probe: tries a device.
    public init(version: String, selector: String?, probe: @escaping (Device) -> DeviceProbe) {
        (self.version, self.selector, self.probe) = (version, selector, probe)
        environment = ProcessInfo.processInfo.environment
    }

    /// Looks.
    public func examine() -> DoctorReport {
        let (limits, diagnosis) = (HostLimits(), DriverDiagnosis())
        var problems: [DoctorReport.Problem] = []
        func note(_ isError: Bool, _ what: String, _ advice: String) {
            problems.append(DoctorReport.Problem(isError: isError, what: what, advice: advice))
        }
        var (devices, chosen): ([Device], Device?) = ([], nil)
        do {
            devices = try Device.all()
            let found = devices.isEmpty ? diagnosis.problems : diagnosis.driverProblems + diagnosis.graphicsProblems
            for problem in found { note(devices.isEmpty, problem.what, problem.advice) }
            if !devices.isEmpty { chosen = try Device.select(selector) }
        } catch {
            note(true, "\(error)", "`adashare devices` lists what there is; --device and ADASHARE_DEVICE choose")
        }
        for refusal in chosen.map(ProgramCache.refusals) ?? [] {
            note(false, refusal, "a cache is to be this user's alone: what lies in it is run")
        }
        // Without its cache pocl compiles nothing: a try would say the same.
        let cacheProblem = devices.contains(where: \.compilesAtFirstLaunch) ? diagnosis.poclCacheProblem : nil
        if let cacheProblem {
            note(chosen?.compilesAtFirstLaunch ?? true, cacheProblem.what, cacheProblem.advice)
        }
        let rows = devices.map { device in
            let isTried = device.whyUnusable == nil && !(cacheProblem != nil && device.compilesAtFirstLaunch)
            return DoctorReport.DeviceRow(
                index: device.selector, name: device.name, type: device.type.rawValue, platform: device.platformName,
                version: device.version, driver: device.driverVersion, computeUnits: device.computeUnits,
                globalMemoryBytes: device.globalMemoryBytes, isChosen: device == chosen, refusal: device.whyUnusable,
                probe: isTried ? probe(device) : nil)
        }
        for row in rows {
            if let failure = row.probe?.failure {
                note(
                    row.isChosen, "device \(row.index), \(row.name): \(failure)",
                    "another version of its driver, or --device with another one")
            }
            for slowness in row.probe?.slownesses ?? [] {
                note(
                    false, "device \(row.index), \(row.name): \(slowness)",
                    "other programs may use it, or it is throttled (heat, power, a container's quota)")
            }
        }
        let places = places(chosen, diagnosis)
        for problem in hostProblems(limits, chosen) + placeProblems(places) {
            problems.append(problem)
        }
        return DoctorReport(
            versions: versions,
            host: DoctorReport.Host(
                cores: limits.cores, allowedCores: limits.allowedCores, cpuQuota: limits.quota,
                memoryBytes: limits.memoryBytes, memoryLimitBytes: limits.memoryLimitBytes,
                isContainer: diagnosis.isContainer),
            drivers: diagnosis.drivers.map {
                DoctorReport.Driver(file: $0.file, library: $0.library, loads: $0.problem == nil)
            },
            devices: rows, places: places, problems: problems.filter(\.isError) + problems.filter { !$0.isError })
    }

    /// What containers and the like leave too little of.
    private func hostProblems(_ limits: HostLimits, _ device: Device?) -> [DoctorReport.Problem] {
        guard let device, device.type == .cpu else { return [] }
        var found: [DoctorReport.Problem] = []
        let threads =
            ["POCL_MAX_PTHREAD_COUNT", "POCL_CPU_MAX_CU_COUNT"].compactMap { environment[$0] }.compactMap(Int.init)
            .min() ?? device.usableComputeUnits
        if let quota = limits.quota, quota < Double(threads) {
            let count = max(1, Int(quota))
            found.append(
                DoctorReport.Problem(
                    isError: false,
                    what: "the driver computes with \(threads) threads, and the container has time for "
                        + "\(readable(quota, digits: 2)) cores",
                    advice: "POCL_MAX_PTHREAD_COUNT=\(count) (POCL_CPU_MAX_CU_COUNT from pocl 5 on) has them wait less "
                        + "for each other; or raise the quota"))
        }
        if let limit = limits.memoryLimitBytes, limit < device.globalMemoryBytes {
            found.append(
                DoctorReport.Problem(
                    isError: false,
                    what: "the device says \(gibibytes(device.globalMemoryBytes)) of memory, and the container "
                        + "may take \(gibibytes(limit))",
                    advice: "training that plans for more is killed: raise the limit, or lower training.batch"))
        }
        return found
    }

    // MARK: - Places

    private func places(_ device: Device?, _ diagnosis: DriverDiagnosis) -> [DoctorReport.Place] {
        var places: [DoctorReport.Place] = []
        if device?.compilesAtFirstLaunch ?? diagnosis.drivers.contains(where: { $0.library?.contains("pocl") ?? false })
        {
            places.append(DoctorReport.Place(Self.poclPlace, diagnosis.poclCache))
        }
        if let device, !device.compilesAtFirstLaunch {
            places.append(DoctorReport.Place("compiled kernels", ProgramCache.directory(for: device)?.path))
        }
        return places + [
            DoctorReport.Place("measured algorithms", AlgorithmDatabase.defaultRoot?.path),
            DoctorReport.Place("temporary files", FileManager.default.temporaryDirectory.path, counts: false),
            DoctorReport.Place("the folder of this shell", FileManager.default.currentDirectoryPath, counts: false),
        ]
    }

    private func placeProblems(_ places: [DoctorReport.Place]) -> [DoctorReport.Problem] {
        places.flatMap { place -> [DoctorReport.Problem] in
            var found: [DoctorReport.Problem] = []
            let name = "\(place.name) (\(place.path ?? "nowhere"))"
            if let reason = place.whyUnwritable {
                // Said of the driver, or of the device, already.
                guard place.name != Self.poclPlace else { return [] }
                found.append(
                    DoctorReport.Problem(
                        isError: false, what: "\(name): cannot be written, \(reason)", advice: Self.advice(place)))
            } else if let free = place.freeBytes, free < Self.leastFree {
                found.append(
                    DoctorReport.Problem(
                        isError: false, what: "\(name): \(free >> 20) MiB left on the disk",
                        advice: "what does not fit is made anew at every start"))
            }
            return found
        }
    }

    private static let leastFree = 256 << 20
    private static let poclPlace = "kernels compiled by pocl"

    private static func advice(_ place: DoctorReport.Place) -> String {
        switch place.name {
        case "temporary files":
            "TMPDIR is to name a folder that can be written: kernels are compiled one by one without"
        case "the folder of this shell": "`train --output` names one that can be"
        default:
            "XDG_CACHE_HOME is to name a folder that can be written: each start measures and compiles again without"
        }
    }

    // MARK: - Versions

    /// Of the program, and the files of the libraries in it, whose names say theirs.
    private var versions: [String: String] {
        var versions = ["adashare": version]
        // Read to its end: the system hands it out in pages.
        let maps = (try? FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd()) ?? Data()
        for line in String(decoding: maps, as: UTF8.self).split(separator: "\n") {
            guard let at = line.firstIndex(of: "/") else { continue }
            let path = String(line[at...])
            let name = (path as NSString).lastPathComponent
            for library in [
                "libOpenCL", "libpocl", "libnvidia-opencl", "libpng", "libjpeg", "libz", "libhdf5", "libclblast",
            ]
            where name.hasPrefix(library + ".so") || name.hasPrefix(library + "16.so") || name.hasPrefix(library + "_")
            {
                versions[library] = path
            }
        }
        return versions
    }
}
