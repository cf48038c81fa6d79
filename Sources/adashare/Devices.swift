import AdaShareConfiguration
import AdaShareDeviceLayer
import AdaShareOperators
import AdaShareSupport
import ArgumentParser
import Foundation

struct Devices: ConsoleCommand, RepeatableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List OpenCL devices.",
        discussion:
            "precisions: what model.precision can be; tf32 and bfloat16 where a device has matrix units for them.")

    @Flag(help: "Print JSON.") var json = false

    struct Row: Encodable {
        let index, name, type, platform, version, driver: String
        let computeUnits, globalMemoryBytes, maximumAllocationBytes, localMemoryBytes: Int
        let precisions: [String]
        let refusal: String?
    }

    /// What `model.precision` can be; nothing where the kernels do not run at all.
    private func precisions(_ device: Device) -> [ModelPrecision] {
        guard device.whyUnusable == nil else { return [] }
        let context = try? DeviceContext(device: device, cacheDirectory: ProgramCache.directory(for: device))
        guard let context, context.compiles, let library = try? KernelLibrary(context: context) else { return [] }
        return ModelPrecision.allCases.filter { (try? library.computes($0)) == true }
    }

    func run(on console: Console) throws {
        let rows = try Device.all().map {
            Row(
                index: $0.selector, name: $0.name, type: $0.type.rawValue, platform: $0.platformName,
                version: $0.version, driver: $0.driverVersion, computeUnits: $0.computeUnits,
                globalMemoryBytes: $0.globalMemoryBytes, maximumAllocationBytes: $0.maximumAllocationBytes,
                localMemoryBytes: $0.localMemoryBytes, precisions: precisions($0).map(\.rawValue),
                refusal: $0.whyUnusable)
        }
        if json {
            try console.print(try JSONText.pretty(rows))
            if rows.isEmpty { _ = try Device.select(nil) }
            return
        }
        // Fails with the advice on which package brings a device when there is none.
        let wanted = DeviceOptions.selector
        let chosen = rows.isEmpty ? try Device.select(nil).selector : try? Device.select(wanted).selector
        var table = Table([
            "device", "name", "platform", "type", "compute units", "memory GiB", "precisions", "driver",
        ])
        for row in rows {
            table.add([
                row.index + (row.index == chosen ? " *" : ""), row.name, row.platform, row.type,
                String(row.computeUnits),
                readable(Double(row.globalMemoryBytes) / 0x1p30, digits: 2),
                row.refusal ?? (row.precisions.isEmpty ? Table.none : row.precisions.joined(separator: ", ")),
                row.driver,
            ])
        }
        let ownsCache = try Device.all().contains(where: \.compilesAtFirstLaunch)
        if ownsCache, let problem = DriverDiagnosis().poclCacheProblem { console.say(.notice, problem.text) }
        let rule =
            wanted.map { "* used unless --device says otherwise: ADASHARE_DEVICE=\($0)" }
            ?? "* used unless --device or ADASHARE_DEVICE says otherwise"
        try console.print(
            table.text + "\n" + (chosen == nil ? "no device is used: ADASHARE_DEVICE=\(wanted ?? "") says none" : rule))
    }
}
