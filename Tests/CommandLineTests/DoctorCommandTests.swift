import AdaShareSupport
import Foundation
import TestSupport
import Testing

extension CommandLineTests {
    /// What is said of drivers, devices and folders as they are here, and as they may be elsewhere.
    @Suite struct DoctorCommandTests {
        private func report(_ outcome: Outcome) throws -> JSONValue {
            try JSONValue.parse(Data(outcome.output.utf8))
        }

        private func errors(_ report: JSONValue) -> [String] {
            (report["problems"]?.items ?? []).filter { $0["is_error"] == true }.compactMap { $0["what"]?.string }
        }

        @Test(.needsDevice) func theDeviceIsTried() throws {
            let outcome = try Program.run(["doctor", "--json"])
            #expect(outcome.status == 0, "\(outcome.errors)\(outcome.output)")
            let report = try report(outcome)
            #expect(errors(report) == [] && report["versions"]?["adashare"]?.string?.isEmpty == false)
            let device = try #require(report["devices"]?.items.first { $0["is_chosen"] == true })
            let probe = try #require(device["probe"])
            #expect(probe["failure"] == nil && probe["seconds"]?.double ?? 0 > 0)
            #expect(probe["gflops"]?.double ?? 0 > 0.1 && probe["gb_per_second"]?.double ?? 0 > 0.1)
            #expect(report["drivers"]?.items.contains { $0["loads"] == true } == true)
            #expect(report["host"]?["cores"]?.integer ?? 0 >= 1)
            #expect(report["places"]?.items.count ?? 0 >= 4)
        }

        /// Each manipulation is told from the others, here and in the error of a command that needs a device.
        @Test func missingDevicesAreExplained() throws {
            let folder = try TemporaryFolder()
            let (empty, broken) = (folder.file("empty"), folder.file("broken"))
            for url in [empty, broken] {
                try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            }
            try folder.write("libgone.so.2\n", "broken/gone.icd")
            try folder.write("", "broken/void.icd")
            try folder.write("a file", "file")
            var cases = [
                (["OCL_ICD_VENDORS": empty.path], ["\(empty.path) is set and names no driver"]),
                (["OCL_ICD_VENDORS": broken.path], ["libgone.so.2", "does not load", "void.icd is empty"]),
            ]
            let pocl = "/etc/OpenCL/vendors/pocl.icd"
            if FileManager.default.fileExists(atPath: pocl) {
                // The library that is registered, alone: other drivers have devices whatever becomes of its cache.
                try FileManager.default.createSymbolicLink(
                    at: folder.file("alone.icd"), withDestinationURL: URL(fileURLWithPath: pocl))
                for place in ["file/x", "file"] {
                    cases.append(
                        (
                            [
                                "OCL_ICD_VENDORS": folder.file("alone.icd").path,
                                "POCL_CACHE_DIR": folder.file(place).path,
                            ],
                            ["pocl cannot write its cache folder \(folder.file(place).path): "]
                        ))
                }
            }
            let configuration = try folder.write(Tiny.tasks, "c.yml").path
            for (environment, parts) in cases {
                let outcome = try Program.run(["doctor", "--json"], environment: environment)
                #expect(outcome.status == 1)
                let found = errors(try report(outcome)).joined(separator: "\n")
                // So does whatever computes.
                let said = try Program.run(["cost", "--time", "--config", configuration], environment: environment)
                #expect(said.status == 1)
                for part in parts {
                    #expect(found.contains(part), "\(found)")
                    #expect(said.errors.contains(part), "\(said.errors)")
                }
            }
            // Over an empty name pocl itself would end the process.
            let unnamed = try Program.run(["devices"], environment: ["POCL_CACHE_DIR": ""])
            #expect(unnamed.status == 0, "\(unnamed.errors)")
            let text = try Program.run(["doctor"], environment: ["OCL_ICD_VENDORS": empty.path])
            #expect(text.status == 1 && text.output.contains("Training cannot work"), "\(text.output)")
            #expect(text.output.split(separator: "\n").allSatisfy { $0.count <= 100 || $0.contains("/") })
        }
    }
}
