// swift-tools-version: 6.1
import PackageDescription

// For tests (tools/build-tests): most of their time would go to code compiled for debugging. A module at a time costs
// least to build.
let tested: [SwiftSetting] =
    Context.environment["ADASHARE_OPTIMIZED_TESTS"] == nil
    ? [] : [.unsafeFlags(["-O", "-whole-module-optimization", "-num-threads", "2"])]

let package = Package(
    name: "adashare",
    products: [
        .executable(name: "adashare", targets: ["adashare"]),
        // The engine: any network, on any device. Examples/GatedResidual is a package that uses it.
        .library(
            name: "AdaShareEngine",
            targets: [
                "AdaShareLayers", "AdaShareGraph", "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareFiles",
                "AdaShareSupport",
            ]),
        // The method on top of it: data, tasks, policies, runs.
        .library(
            name: "AdaShareTraining",
            targets: [
                "AdaShareTraining", "AdaShareExperiments", "AdaShareConfiguration", "AdaShareMethods", "AdaShareTasks",
                "AdaShareDatasets", "AdaShareModels", "AdaShareSchema",
            ]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftcsv/SwiftCSV", from: "0.10.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // Shims: headers and module maps, no logic.
        .systemLibrary(
            name: "CAdaShareOpenCL", path: "Sources/COpenCL", pkgConfig: "OpenCL",
            providers: [.apt(["ocl-icd-opencl-dev"])]),
        .systemLibrary(
            name: "CAdaShareLibPNG", path: "Sources/CLibPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        // libpng and libjpeg report errors by longjmp, which Swift must never see.
        .target(name: "CAdaSharePNG", dependencies: ["CAdaShareLibPNG"], path: "Sources/CPNG"),
        .systemLibrary(
            name: "CAdaShareLibJPEG", path: "Sources/CLibJPEG", pkgConfig: "libjpeg",
            providers: [.apt(["libjpeg-dev"])]),
        .target(name: "CAdaShareJPEG", dependencies: ["CAdaShareLibJPEG"], path: "Sources/CJPEG"),
        .systemLibrary(
            name: "CAdaShareZlib", path: "Sources/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // Calls of libhdf5, which is loaded where a file is opened, with its errors as text.
        .target(name: "CAdaShareHDF5", path: "Sources/CHDF5", linkerSettings: [.linkedLibrary("dl")]),
        .target(name: "CAdaShareKernels", path: "Sources/CKernels"),

        // The house, bottom to top; tools/check verifies that imports only go down.
        .target(
            name: "AdaShareDeviceLayer", dependencies: ["CAdaShareOpenCL", "AdaShareSupport"],
            path: "Sources/DeviceLayer",
            swiftSettings: tested),
        .target(
            name: "AdaShareOperators", dependencies: ["AdaShareDeviceLayer", "CAdaShareKernels", "AdaShareSupport"],
            path: "Sources/Operators", swiftSettings: tested),
        // Processes that train together. MPI is loaded at run time: tools/build-mpi makes a library of it.
        .target(name: "AdaShareRanks", path: "Sources/Ranks", swiftSettings: tested),
        .target(
            name: "AdaShareGraph",
            dependencies: ["AdaShareOperators", "AdaShareRanks", "AdaShareDeviceLayer", "AdaShareSupport"],
            path: "Sources/Graph", swiftSettings: tested),
        .target(name: "AdaShareSupport", path: "Sources/Support", swiftSettings: tested),
        .target(
            name: "AdaShareFiles",
            dependencies: ["AdaShareSupport", "CAdaSharePNG", "CAdaShareJPEG", "CAdaShareHDF5", "CAdaShareZlib"],
            path: "Sources/Files", swiftSettings: tested),
        .target(
            name: "AdaShareLayers",
            dependencies: [
                "AdaShareGraph", "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareFiles", "AdaShareSupport",
            ], path: "Sources/Layers",
            swiftSettings: tested),
        .target(
            name: "AdaShareModels",
            dependencies: ["AdaShareLayers", "AdaShareGraph", "AdaShareOperators", "AdaShareSupport"],
            path: "Sources/Models", swiftSettings: tested),
        .target(
            name: "AdaShareSchema", dependencies: ["AdaShareSupport", .product(name: "Yams", package: "Yams")],
            path: "Sources/Schema", swiftSettings: tested),
        .target(
            name: "AdaShareDatasets",
            dependencies: [
                "AdaShareSupport", "AdaShareFiles", "AdaShareSchema", .product(name: "Yams", package: "Yams"),
                .product(name: "SwiftCSV", package: "SwiftCSV"),
            ], path: "Sources/Datasets", swiftSettings: tested),
        .target(
            name: "AdaShareTasks",
            dependencies: [
                "AdaShareOperators", "AdaShareDatasets", "AdaShareFiles", "AdaShareSchema", "AdaShareSupport",
                .product(name: "Yams", package: "Yams"),
            ], path: "Sources/Tasks", swiftSettings: tested),
        .target(
            name: "AdaShareMethods",
            dependencies: [
                "AdaShareTasks", "AdaShareModels", "AdaShareLayers", "AdaShareGraph", "AdaShareOperators",
                "AdaShareDatasets", "AdaShareFiles", "AdaShareSchema", "AdaShareSupport",
                .product(name: "Yams", package: "Yams"),
            ], path: "Sources/Methods", swiftSettings: tested),
        .target(
            name: "AdaShareConfiguration",
            dependencies: [
                "AdaShareMethods", "AdaShareTasks", "AdaShareModels", "AdaShareOperators", "AdaShareDatasets",
                "AdaShareSchema", "AdaShareSupport",
                .product(name: "Yams", package: "Yams"),
            ], path: "Sources/Configuration", swiftSettings: tested),
        .target(
            name: "AdaShareTuning",
            dependencies: [
                "AdaShareGraph", "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareFiles", "AdaShareSupport",
            ], path: "Sources/Tuning",
            swiftSettings: tested),
        .target(
            name: "AdaShareTensorBoard",
            dependencies: [
                "AdaShareFiles", "AdaShareSupport", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ], path: "Sources/TensorBoard", exclude: ["events.proto"], swiftSettings: tested),
        .target(
            name: "AdaShareExperiments",
            dependencies: [
                "AdaShareTensorBoard", "AdaShareTuning", "AdaShareConfiguration", "AdaShareMethods", "AdaShareTasks",
                "AdaShareModels",
                "AdaShareLayers", "AdaShareGraph", "AdaShareRanks", "AdaShareOperators", "AdaShareDeviceLayer",
                "AdaShareDatasets", "AdaShareFiles", "AdaShareSchema", "AdaShareSupport",
            ], path: "Sources/Experiments", swiftSettings: tested),
        .target(
            name: "AdaShareProfiling",
            dependencies: [
                "AdaShareExperiments", "AdaShareTuning", "AdaShareConfiguration", "AdaShareMethods", "AdaShareTasks",
                "AdaShareModels", "AdaShareLayers", "AdaShareGraph", "AdaShareOperators",
                "AdaShareDeviceLayer", "AdaShareDatasets", "AdaShareSupport",
            ], path: "Sources/Profiling", swiftSettings: tested),
        .target(
            name: "AdaShareTraining",
            dependencies: [
                "AdaShareProfiling", "AdaShareExperiments", "AdaShareTensorBoard", "AdaShareTuning",
                "AdaShareConfiguration",
                "AdaShareMethods", "AdaShareTasks", "AdaShareModels", "AdaShareLayers", "AdaShareGraph",
                "AdaShareRanks", "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareDatasets", "AdaShareFiles",
                "AdaShareSupport",
            ], path: "Sources/Training", swiftSettings: tested),
        .target(
            name: "AdaShareBenchmarks",
            dependencies: [
                "AdaShareProfiling", "AdaShareExperiments", "AdaShareTuning", "AdaShareConfiguration",
                "AdaShareMethods", "AdaShareTasks", "AdaShareModels", "AdaShareGraph",
                "AdaShareRanks", "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareSupport",
            ], path: "Sources/Benchmarks", swiftSettings: tested),
        .target(
            name: "AdaShareReport",
            dependencies: [
                "AdaShareTraining", "AdaShareProfiling", "AdaShareExperiments", "AdaShareConfiguration",
                "AdaShareMethods", "AdaShareTasks",
                "AdaShareModels", "AdaShareSupport", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ], path: "Sources/Report", swiftSettings: tested),
        .target(
            name: "AdaShareExport",
            dependencies: [
                "AdaShareExperiments", "AdaShareConfiguration", "AdaShareMethods", "AdaShareTasks", "AdaShareModels",
                "AdaShareLayers", "AdaShareGraph", "AdaShareOperators", "AdaShareDatasets", "AdaShareFiles",
                "AdaShareSupport", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ], path: "Sources/Export", exclude: ["ONNX/onnx.proto"], swiftSettings: tested),
        .executableTarget(
            name: "adashare",
            dependencies: [
                "AdaShareReport", "AdaShareExport",
                "AdaShareBenchmarks", "AdaShareTraining", "AdaShareProfiling", "AdaShareExperiments", "AdaShareTuning",
                "AdaShareConfiguration", "AdaShareMethods", "AdaShareTasks",
                "AdaShareModels", "AdaShareRanks",
                "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareDatasets", "AdaShareFiles", "AdaShareSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        // Plain loops over float64, which take minutes unless they are compiled for speed.
        .target(name: "Reference", path: "Tests/Reference", swiftSettings: [.unsafeFlags(["-O"])]),
        // What tests of several modules share: the device, folders, random numbers, differences of long lists.
        .target(
            name: "TestSupport",
            dependencies: ["AdaShareTasks", "AdaShareDatasets", "AdaShareOperators", "AdaShareDeviceLayer"],
            path: "Tests/Support",
            swiftSettings: [.unsafeFlags(["-O"])]),
        .testTarget(name: "ReferenceTests", dependencies: ["Reference"]),
        .testTarget(name: "DeviceLayerTests", dependencies: ["AdaShareDeviceLayer", "TestSupport"]),
        .testTarget(
            name: "OperatorsTests",
            dependencies: ["AdaShareOperators", "AdaShareGraph", "AdaShareDeviceLayer", "Reference", "TestSupport"]),
        .testTarget(
            name: "GraphTests",
            dependencies: [
                "AdaShareGraph", "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareSupport", "Reference",
                "TestSupport",
            ]),
        .testTarget(
            name: "LayersTests",
            dependencies: [
                "AdaShareLayers", "AdaShareGraph", "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareFiles",
                "AdaShareSupport", "TestSupport",
            ]),
        .testTarget(
            name: "ModelsTests",
            dependencies: [
                "AdaShareModels", "AdaShareLayers", "AdaShareGraph", "AdaShareOperators", "AdaShareDeviceLayer",
                "AdaShareSupport", "TestSupport",
            ]),
        .testTarget(
            name: "DatasetsTests",
            dependencies: ["AdaShareDatasets", "AdaShareFiles", "AdaShareSchema", "AdaShareSupport", "TestSupport"]),
        .testTarget(
            name: "TrainingTests",
            dependencies: [
                "AdaShareBenchmarks", "AdaShareTraining", "AdaShareProfiling", "AdaShareExperiments",
                "AdaShareTensorBoard", "AdaShareTuning",
                "AdaShareConfiguration", "AdaShareMethods", "AdaShareTasks",
                "AdaShareModels",
                "AdaShareLayers", "AdaShareGraph", "AdaShareRanks", "AdaShareOperators", "AdaShareDeviceLayer",
                "AdaShareDatasets",
                "AdaShareFiles", "AdaShareSchema", "AdaShareSupport", "TestSupport",
            ]),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "adashare", "AdaShareReport",
                "AdaShareBenchmarks", "AdaShareTraining", "AdaShareProfiling", "AdaShareExperiments",
                "AdaShareTensorBoard", "AdaShareTuning",
                "AdaShareConfiguration", "AdaShareMethods", "AdaShareTasks",
                "AdaShareModels",
                "AdaShareOperators", "AdaShareDeviceLayer", "AdaShareDatasets", "AdaShareFiles", "AdaShareSupport",
                "TestSupport", .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c2x
)

// What readers of foreign bytes are given at random: by tests a little, the same each time; with sanitizers and without
// end by the program that tools/fuzz builds.
let readers: [Target.Dependency] = [
    "AdaShareReport", "AdaShareTraining", "AdaShareProfiling", "AdaShareExperiments", "AdaShareTensorBoard",
    "AdaShareTuning", "AdaShareConfiguration", "AdaShareMethods", "AdaShareModels", "AdaShareOperators",
    "AdaShareDeviceLayer", "AdaShareDatasets", "AdaShareFiles", "AdaShareSchema", "AdaShareSupport",
    .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOEmbedded", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
]
package.targets.append(
    Context.environment["ADASHARE_FUZZ"] == nil
        ? .testTarget(
            name: "FuzzTests", dependencies: readers, path: "Tests/Fuzz",
            exclude: ["Corpus", "Dictionaries", "Driver"])
        : .executableTarget(
            name: "Fuzz", dependencies: readers, path: "Tests/Fuzz", exclude: ["Corpus", "Dictionaries", "Smoke"]))
