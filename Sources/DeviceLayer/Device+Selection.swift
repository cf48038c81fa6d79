internal import CAdaShareOpenCL

extension Device {
    /// Compute units that this process may use: fewer than there are where the system keeps it to a part of the cores.
    public var usableComputeUnits: Int {
        guard type == .cpu, let cores = HostThreads.cores, !cores.isEmpty else { return computeUnits }
        return min(computeUnits, cores.count)
    }

    /// Finds the device a user asks for.
    ///
    /// - Parameter selector: `nil` or empty for the GPU with most compute units, or else a CPU; `gpu` or `cpu` for the
    ///   largest of that type; `0:1` for platform 0, device 1; anything else is a device's name, or else a part of it,
    ///   or else a part of its platform's or vendor's name, in any case.
    /// - Returns: the device; the first one if several devices that match are the same model under the same driver.
    /// - Throws: `DeviceError` listing the devices there are if none or several different ones match, naming the
    ///   package that brings a CPU device if there is none at all, or saying why what is meant cannot run kernels.
    public static func select(_ selector: String?) throws(DeviceError) -> Device {
        try select(selector, from: try all())
    }

    /// The rules of `select(_:)` for a given list of devices.
    static func select(_ selector: String?, from devices: [Device]) throws(DeviceError) -> Device {
        guard !devices.isEmpty else {
            throw refusal(
                "no OpenCL device on this machine: \(DriverDiagnosis().text)")
        }
        let wanted = (selector ?? "").trimmed.lowercased()
        switch wanted {
        case "":
            for type in [DeviceType.gpu, .cpu, .accelerator, .other] {
                if let device = largest(type, in: devices) { return device }
            }
            throw refusal("no usable OpenCL device; there is \(list(devices))")
        case "gpu", "cpu":
            let type: DeviceType = wanted == "gpu" ? .gpu : .cpu
            if let device = largest(type, in: devices) { return device }
            throw refusal("no usable OpenCL device of type \(wanted); there is \(list(devices))")
        default:
            let device = try named(wanted, from: devices)
            if let reason = device.whyUnusable { throw refusal("\(device): \(reason)") }
            return device
        }
    }

    /// The version that kernels are written for.
    private static let leastVersion = (1, 2)

    /// Why no kernel runs on the device, for people; nil where they should.
    public var whyUnusable: String? {
        let words = version.split(separator: " ")
        let numbers = words.dropFirst().first?.split(separator: ".").compactMap { Int($0) } ?? []
        guard words.first == "OpenCL", numbers.count == 2 else { return nil }
        let least = Self.leastVersion
        return (numbers[0], numbers[1]) < least
            ? "found \(version), expected OpenCL \(least.0).\(least.1) or later" : nil
    }

    private static func named(_ wanted: String, from devices: [Device]) throws(DeviceError) -> Device {
        if let device = devices.first(where: { $0.selector == wanted }) { return device }
        let rules: [(Device) -> Bool] = [
            { $0.name.lowercased() == wanted },
            { $0.name.lowercased().contains(wanted) },
            { [$0.platformName, $0.vendor].contains { $0.lowercased().contains(wanted) } },
        ]
        let meant = rules.lazy.map { devices.filter($0) }.first { !$0.isEmpty } ?? []
        let usable = meant.filter { $0.whyUnusable == nil }
        let matches = usable.isEmpty ? meant : usable
        guard let first = matches.first else {
            throw refusal(
                "no OpenCL device matches '\(wanted)' (gpu, cpu, an index such as 0:0, or part of a device's or "
                    + "platform's name); there is \(list(devices))")
        }
        guard matches.allSatisfy({ $0.isSameModel(as: first) }) else {
            throw refusal(
                "'\(wanted)' matches several OpenCL devices: \(list(matches)); choose one by its index, "
                    + "such as \(first.selector)")
        }
        return first
    }

    /// The usable device of a type with most compute units, the first of equals.
    private static func largest(_ type: DeviceType, in devices: [Device]) -> Device? {
        var best: Device?
        for device in devices
        where device.type == type && device.whyUnusable == nil && device.computeUnits > (best?.computeUnits ?? -1) {
            best = device
        }
        return best
    }

    private func isSameModel(as other: Device) -> Bool {
        name == other.name && platformName == other.platformName && driverVersion == other.driverVersion
            && type == other.type && computeUnits == other.computeUnits
            && globalMemoryBytes == other.globalMemoryBytes
    }

    private static func list(_ devices: [Device]) -> String {
        devices.map { device in "\(device)" + (device.whyUnusable.map { ": \($0)" } ?? "") }.joined(separator: ", ")
    }

    private static func refusal(_ message: String) -> DeviceError {
        DeviceError(call: "Device.select", code: CL_DEVICE_NOT_FOUND, detail: message)
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
