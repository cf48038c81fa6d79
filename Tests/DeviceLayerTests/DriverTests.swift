import Foundation
import TestSupport
import Testing

@testable import AdaShareDeviceLayer

/// What is said of drivers that give no device, and done about caches that end the program.
@Suite struct DriverTests {
    @Test func causesComeBeforeAdvice() throws {
        let folder = try TemporaryFolder()
        let none = DriverDiagnosis(environment: [:], folder: folder.url.path)
        #expect(none.causes.isEmpty && none.text.contains("apt-get install pocl-opencl-icd"))
        try folder.write("libnothing-there.so.9\n", "other.icd")
        let broken = DriverDiagnosis(environment: ["CUDA_VISIBLE_DEVICES": ""], folder: folder.url.path)
        #expect(broken.text.contains("libnothing-there.so.9") && broken.text.contains("does not load"))
        #expect(broken.text.contains("CUDA_VISIBLE_DEVICES= is set") && !broken.text.contains("apt-get"))
        let elsewhere = DriverDiagnosis(environment: ["OCL_ICD_VENDORS": folder.url.path])
        #expect(elsewhere.text.contains("OCL_ICD_VENDORS=\(folder.url.path) is set"))
    }

    @Test func pocksCacheIsWhereItSays() {
        #expect(DriverDiagnosis(environment: ["POCL_CACHE_DIR": "/c", "HOME": "/h"]).poclCache == "/c")
        #expect(DriverDiagnosis(environment: ["XDG_CACHE_HOME": "/x"]).poclCache == "/x/pocl/kcache")
        #expect(DriverDiagnosis(environment: ["HOME": "/h"]).poclCache == "/h/.cache/pocl/kcache")
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
