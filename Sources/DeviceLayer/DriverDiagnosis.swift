import Foundation

/// What this program can tell about drivers that give no device.
struct DriverDiagnosis {
    private let environment: [String: String]
    /// Where loaders look for drivers.
    private let folder: String

    init(
        environment: [String: String] = ProcessInfo.processInfo.environment, folder: String = "/etc/OpenCL/vendors"
    ) {
        self.environment = environment
        // The loaders of Debian and of Khronos call it differently.
        self.folder =
            ["OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH"].compactMap { environment[$0] }.first { !$0.isEmpty }
            ?? folder
    }

    /// Why there may be no device, clause by clause, then what to install where nothing explains it.
    var text: String {
        let found = causes
        guard found.isEmpty else { return found.joined(separator: "; ") }
        return "`apt-get install pocl-opencl-icd` brings a CPU device, a GPU's own driver brings the GPU"
    }

    /// What is wrong with drivers that are there.
    var causes: [String] {
        var lines: [String] = []
        for (name, library) in drivers {
            if let reason = whyUnloaded(library) {
                lines.append("the driver \(library) is registered (\(folder)/\(name)) and does not load: \(reason)")
            } else if library.contains("pocl"), let place = unwritableCache {
                lines.append("pocl is installed (\(folder)/\(name)) and cannot make its cache folder \(place)")
            } else {
                lines.append("the driver \(library) is registered (\(folder)/\(name)) and has no device")
            }
        }
        let narrowing = ["OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH"] + (drivers.isEmpty ? [] : Self.hiding)
        for name in narrowing {
            if let value = environment[name] { lines.append("\(name)=\(value) is set") }
        }
        return lines
    }

    /// Variables that hide devices of drivers.
    private static let hiding = [
        "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL",
        "POCL_DEVICES",
    ]

    /// Files that name a driver's library, with it.
    private var drivers: [(name: String, library: String)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".icd") }.sorted().compactMap { name in
            guard let text = try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8),
                let line = text.split(whereSeparator: \.isNewline).first
            else { return nil }
            return (name, line.trimmingCharacters(in: .whitespaces))
        }
    }

    private func whyUnloaded(_ library: String) -> String? {
        guard let handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL) else {
            return dlerror().map { String(cString: $0) } ?? "unknown reason"
        }
        dlclose(handle)
        return nil
    }

    /// The folder in which pocl keeps what it compiles.
    var poclCache: String {
        if let place = environment["POCL_CACHE_DIR"], !place.isEmpty { return place }
        if let place = environment["XDG_CACHE_HOME"], !place.isEmpty { return place + "/pocl/kcache" }
        return (environment["HOME"] ?? NSHomeDirectory()) + "/.cache/pocl/kcache"
    }

    /// That folder where files cannot be made in it.
    private var unwritableCache: String? {
        let manager = FileManager.default
        let isThere = (try? manager.createDirectory(atPath: poclCache, withIntermediateDirectories: true)) != nil
        return isThere && manager.isWritableFile(atPath: poclCache) ? nil : poclCache
    }
}
