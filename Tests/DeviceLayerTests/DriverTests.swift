import Foundation
import TestSupport
import Testing

@testable import AdaShareDeviceLayer

/// What is said of drivers that give no device, and done about caches that end the program.
@Suite struct DriverTests {
    private func diagnosis(
        _ folder: TemporaryFolder, _ environment: [String: String] = [:], root: String = "/nonexistent"
    ) -> DriverDiagnosis {
        DriverDiagnosis(environment: environment, folder: folder.url.path, root: root)
    }

    @Test func causesComeWithAdvice() throws {
        let folder = try TemporaryFolder()
        let none = diagnosis(folder)
        #expect(none.problems.count == 1 && none.text.contains("no driver of OpenCL is installed"))
        #expect(none.text.contains("apt-get install pocl-opencl-icd"))
        let elsewhere = DriverDiagnosis(environment: ["OCL_ICD_VENDORS": folder.url.path], root: "/nonexistent")
        #expect(elsewhere.text.hasPrefix("OCL_ICD_VENDORS=\(folder.url.path) is set and names no driver"))
        try folder.write("libnothing-there.so.9\n", "other.icd")
        let broken = diagnosis(folder, ["CUDA_VISIBLE_DEVICES": ""])
        #expect(broken.text.contains("libnothing-there.so.9 is registered") && broken.text.contains("does not load"))
        #expect(broken.text.contains("or remove \(folder.url.path)/other.icd"))
        #expect(broken.text.contains("CUDA_VISIBLE_DEVICES= is set") && !broken.text.contains("apt-get"))
        // One file, and a library, may be named instead of a folder.
        let file = DriverDiagnosis(environment: ["OCL_ICD_VENDORS": folder.file("other.icd").path])
        #expect(file.drivers.map(\.library) == ["libnothing-there.so.9"])
    }

    @Test func whyADriverDoesNotLoadIsTold() throws {
        let folder = try TemporaryFolder()
        let library = try folder.write("no library", "libbroken.so")
        for (name, text) in [("a.icd", library.path + "\n"), ("b.icd", "\n"), ("c.icd", "libc.so.6\n")] {
            try folder.write(text, name)
        }
        // Whatever may be read by the superuser too.
        try FileManager.default.createDirectory(at: folder.file("d.icd"), withIntermediateDirectories: true)
        let found = diagnosis(folder)
        #expect(found.drivers.map(\.library) == [library.path, nil, "libc.so.6", nil])
        #expect(found.drivers.map { $0.problem == nil } == [false, false, true, false])
        #expect(found.text.contains("b.icd is empty") && found.text.contains("d.icd cannot be read"))
        #expect(found.text.contains("the driver libc.so.6 is registered"))
        for (reason, advice) in [
            ("x.so: wrong ELF class: ELFCLASS32", "for this machine's processor"),
            (
                "libLLVM.so.14: cannot open shared object file: No such file or directory",
                "apt-file search libLLVM.so.14"
            ),
            ("x.so: cannot open shared object file: No such file or directory", "or remove f"),
            ("/lib/libc.so.6: version `GLIBC_2.38' not found (required by x.so)", "of different ages"),
            ("x.so: cannot open shared object file: Permission denied", "readable by everybody"),
        ] {
            #expect(DriverDiagnosis.advice(reason, on: "x.so", of: "f").contains(advice), "\(reason)")
        }
    }

    /// A machine's files, made up: a container with and without its driver, a GPU that is not given, one of AMD's.
    @Test func graphicsWithoutADriverAreTold() throws {
        let drivers = try TemporaryFolder()
        func text(_ files: [String], _ environment: [String: String] = [:]) throws -> String {
            let root = try TemporaryFolder()
            for file in files {
                let url = root.file(String(file.dropFirst()))
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data().write(to: url)
            }
            return diagnosis(drivers, environment, root: root.url.path).graphicsProblems.map(\.text).joined()
        }
        #expect(try text([]) == "" && text(["/.dockerenv"]) == "")
        #expect(try text(["/dev/nvidiactl"]).contains("nvidia-opencl-icd"))
        #expect(try text(["/dev/nvidiactl", "/.dockerenv"]).contains("NVIDIA_DRIVER_CAPABILITIES=compute,utility"))
        #expect(try text(["/proc/driver/nvidia/version", "/.dockerenv"]).contains("docker run --gpus all"))
        #expect(try text(["/proc/driver/nvidia/version"]) == "")
        #expect(try text(["/dev/kfd", "/dev/dri/renderD128"]).contains("rocm-opencl-icd"))
        #expect(try text(["/dev/dri/renderD128"]).contains("intel-opencl-icd"))
        try drivers.write("libnvidia-opencl.so.1", "nvidia.icd")
        #expect(try text(["/dev/nvidiactl"]) == "")
    }

    @Test func pocksCacheIsWhereItSays() {
        #expect(DriverDiagnosis(environment: ["POCL_CACHE_DIR": "/c", "HOME": "/h"]).poclCache == "/c")
        #expect(DriverDiagnosis(environment: ["XDG_CACHE_HOME": "/x"]).poclCache == "/x/pocl/kcache")
        #expect(DriverDiagnosis(environment: ["HOME": "/h"]).poclCache == "/h/.cache/pocl/kcache")
    }

    /// A cache that is a file, lies below one, or is where nobody can make files, the superuser included.
    @Test func aCacheThatCannotBeWrittenIsTold() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("a file", "file").path
        for (place, reason) in [
            (file, "\(file) is a file"), (file + "/x/y", "\(file) is a file"), ("/proc/x", "/proc: "),
        ] {
            let problem = DriverDiagnosis.poclCacheProblem(["POCL_CACHE_DIR": place])
            #expect(problem?.what.hasPrefix("pocl cannot write its cache folder \(place): \(reason)") == true)
            #expect(problem?.advice.contains("POCL_CACHE_DIR") == true)
        }
        #expect(DriverDiagnosis.poclCacheProblem(["POCL_CACHE_DIR": folder.file("new/one").path]) == nil)
        #expect(DeviceError(call: "clCreateBuffer", code: -4).isOutOfMemory)
        #expect(!DeviceError(call: "clFinish", code: -5).isOutOfMemory)
    }

    /// Contexts after the first leave the cache alone.
    @Test(.needsDevice) func theCacheIsTriedOnceAProcess() throws {
        let device = try TestDevice.device()
        guard device.compilesAtFirstLaunch else { return }
        _ = try DeviceContext(device: device, cacheDirectory: nil)
        let cache = DriverDiagnosis.poclCache()
        func changed(by body: () throws -> Void) throws -> Bool {
            func time() -> Date? {
                (try? FileManager.default.attributesOfItem(atPath: cache))?[.modificationDate] as? Date
            }
            let before = time()
            // File systems count in ticks.
            usleep(20_000)
            try body()
            return time() != before
        }
        #expect(try !changed { _ = try DeviceContext(device: device, cacheDirectory: nil) })
        guard FileManager.default.fileExists(atPath: cache) else { return }
        #expect(try changed { _ = DriverDiagnosis.whyUnwritable(cache) }, "negative control")
    }

    /// A cache that is all removed may be a folder with other things in it.
    @Test func onlyWhatPoclHasMadeIsRemoved() {
        for name in ["AB", "ZZ", "tempfile_x1"] { #expect(DriverCache.isPocls(name)) }
        for name in ["ab", "A", "ABC", "A1", ".ssh", "thesis.tex", "ÄÖ"] { #expect(!DriverCache.isPocls(name)) }
    }

    @Test func cutLibrariesAreTold() throws {
        let folder = try TemporaryFolder()
        var head = Data([0x7F, 0x45, 0x4C, 0x46] + [UInt8](repeating: 0, count: 124))
        head[40] = 64
        head[58] = 64
        head[60] = 1
        let whole = try folder.write(head, "whole.so")
        let cut = try folder.write(head.dropLast(1), "cut.so")
        let empty = try folder.write([], "empty.so")
        #expect(DriverCache.isWhole(whole.path))
        #expect(!DriverCache.isWhole(cut.path) && !DriverCache.isWhole(empty.path))
    }
}
