import Foundation

/// Graphics processors whose driver is not registered.
extension DriverDiagnosis {
    /// What the system knows of graphics processors that no registered driver is for.
    public var graphicsProblems: [DriverProblem] {
        func isRegistered(_ parts: [String]) -> Bool {
            drivers.contains { driver in
                let name = (driver.library ?? "").lowercased()
                return parts.contains { name.contains($0) }
            }
        }
        var found: [DriverProblem] = []
        if !isRegistered(["nvidia"]) { found += nvidiaProblem.map { [$0] } ?? [] }
        if exists("/dev/kfd"), !isRegistered(["amd", "rusticl"]) {
            found.append(
                DriverProblem(
                    what: "there is a GPU of AMD's (/dev/kfd) and no driver of OpenCL for it",
                    advice: "`apt-get install rocm-opencl-icd` or AMD's own packages bring it"))
        } else if let node = renderNodes.first, !exists("/dev/nvidiactl"),
            !isRegistered(["amd", "rusticl", "intel", "igdrcl", "mesa"])
        {
            found.append(
                DriverProblem(
                    what: "there is a GPU (\(node)) and no driver of OpenCL for it",
                    advice: "of Intel's, `apt-get install intel-opencl-icd` brings it"))
        }
        return found
    }

    private var nvidiaProblem: DriverProblem? {
        let library = "libnvidia-opencl.so.1"
        guard exists("/dev/nvidiactl") else {
            guard isContainer, exists("/proc/driver/nvidia/version") else { return nil }
            return DriverProblem(
                what: "the machine has a GPU of NVIDIA's that this container is not given",
                advice: "`docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility` gives it")
        }
        if root.isEmpty, let handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL) {
            dlclose(handle)
            return DriverProblem(
                what: "NVIDIA's driver is here (\(library)) and no file registers it",
                advice: "`echo \(library) > /etc/OpenCL/vendors/nvidia.icd` does")
        }
        return isContainer
            ? DriverProblem(
                what: "this container has a GPU of NVIDIA's (/dev/nvidiactl) without its driver of OpenCL",
                advice: "start it with -e NVIDIA_DRIVER_CAPABILITIES=compute,utility, which brings \(library)")
            : DriverProblem(
                what: "there is a GPU of NVIDIA's (/dev/nvidiactl) without its driver of OpenCL",
                advice: "`apt-get install nvidia-opencl-icd` or NVIDIA's own packages bring it")
    }

    /// Whether the process runs in a container.
    public var isContainer: Bool {
        exists("/.dockerenv") || exists("/run/.containerenv") || environment["container"] != nil
            || environment["KUBERNETES_SERVICE_HOST"] != nil
    }

    /// A device file of a graphics processor that the user may not open.
    var closedNode: String? {
        (["/dev/kfd"] + renderNodes).first { exists($0) && access(root + $0, R_OK | W_OK) != 0 }
    }

    private var renderNodes: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root + "/dev/dri")) ?? []
        return names.filter { $0.hasPrefix("renderD") }.sorted().map { "/dev/dri/\($0)" }
    }

    func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root + path) }
}
