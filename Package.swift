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
            name: "AdaShareEngine", targets: ["Layers", "Graph", "Operators", "DeviceLayer", "Files", "Support"]),
        // The method on top of it: data, tasks, policies, runs.
        .library(
            name: "AdaShareTraining",
            targets: [
                "Training", "Experiments", "Configuration", "Methods", "Tasks", "Datasets", "Models", "Schema",
            ]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftcsv/SwiftCSV", from: "0.10.0"),
    ],
    targets: [
        // Shims: headers and module maps, no logic.
        .systemLibrary(name: "COpenCL", pkgConfig: "OpenCL", providers: [.apt(["ocl-icd-opencl-dev"])]),
        .systemLibrary(name: "CLibPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        // libpng reports errors by longjmp, which Swift must never see.
        .target(name: "CPNG", dependencies: ["CLibPNG"]),
        .target(name: "CKernels"),

        // The house, bottom to top; tools/check verifies that imports only go down.
        .target(name: "DeviceLayer", dependencies: ["COpenCL"], swiftSettings: tested),
        .target(name: "Operators", dependencies: ["DeviceLayer", "CKernels"], swiftSettings: tested),
        .target(name: "Graph", dependencies: ["Operators", "DeviceLayer"], swiftSettings: tested),
        .target(name: "Support", swiftSettings: tested),
        .target(name: "Files", dependencies: ["Support", "CPNG"], swiftSettings: tested),
        .target(
            name: "Layers", dependencies: ["Graph", "Operators", "DeviceLayer", "Files", "Support"],
            swiftSettings: tested),
        .target(name: "Models", dependencies: ["Layers", "Graph", "Operators"], swiftSettings: tested),
        .target(
            name: "Schema", dependencies: ["Support", .product(name: "Yams", package: "Yams")], swiftSettings: tested),
        .target(
            name: "Datasets",
            dependencies: [
                "Support", "Files", "Schema", .product(name: "Yams", package: "Yams"),
                .product(name: "SwiftCSV", package: "SwiftCSV"),
            ], swiftSettings: tested),
        .target(
            name: "Tasks",
            dependencies: [
                "Operators", "Datasets", "Files", "Schema", "Support", .product(name: "Yams", package: "Yams"),
            ], swiftSettings: tested),
        .target(
            name: "Methods",
            dependencies: [
                "Tasks", "Models", "Layers", "Graph", "Operators", "Datasets", "Files", "Schema", "Support",
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: tested),
        .target(
            name: "Configuration",
            dependencies: [
                "Methods", "Tasks", "Models", "Operators", "Datasets", "Schema", "Support",
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: tested),
        .target(
            name: "Tuning", dependencies: ["Graph", "Operators", "DeviceLayer", "Files", "Support"],
            swiftSettings: tested),
        .target(
            name: "Experiments",
            dependencies: [
                "Tuning", "Configuration", "Methods", "Tasks", "Models", "Layers", "Graph", "Operators", "DeviceLayer",
                "Datasets", "Files", "Support",
            ], swiftSettings: tested),
        .target(
            name: "Profiling",
            dependencies: [
                "Experiments", "Tuning", "Configuration", "Methods", "Tasks", "Models", "Layers", "Graph", "Operators",
                "DeviceLayer", "Datasets", "Support",
            ], swiftSettings: tested),
        .target(
            name: "Training",
            dependencies: [
                "Profiling", "Experiments", "Tuning", "Configuration", "Methods", "Tasks", "Models", "Layers", "Graph",
                "Operators", "DeviceLayer", "Datasets", "Files", "Support",
            ], swiftSettings: tested),
        .target(
            name: "Benchmarks",
            dependencies: [
                "Profiling", "Experiments", "Tuning", "Configuration", "Methods", "Tasks", "Models", "Graph",
                "Operators", "DeviceLayer", "Support",
            ], swiftSettings: tested),
        .executableTarget(
            name: "adashare",
            dependencies: [
                "Benchmarks", "Training", "Profiling", "Experiments", "Tuning", "Configuration", "Methods", "Tasks",
                "Models",
                "Operators", "DeviceLayer", "Datasets", "Files", "Support",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        // Plain loops over float64, which take minutes unless they are compiled for speed.
        .target(name: "Reference", path: "Tests/Reference", swiftSettings: [.unsafeFlags(["-O"])]),
        // What tests of several modules share: the device, folders, random numbers, differences of long lists.
        .target(
            name: "TestSupport", dependencies: ["Tasks", "Datasets", "Operators", "DeviceLayer"], path: "Tests/Support",
            swiftSettings: [.unsafeFlags(["-O"])]),
        .testTarget(name: "ReferenceTests", dependencies: ["Reference"]),
        .testTarget(name: "DeviceLayerTests", dependencies: ["DeviceLayer", "TestSupport"]),
        .testTarget(
            name: "OperatorsTests", dependencies: ["Operators", "Graph", "DeviceLayer", "Reference", "TestSupport"]),
        .testTarget(
            name: "GraphTests", dependencies: ["Graph", "Operators", "DeviceLayer", "Reference", "TestSupport"]),
        .testTarget(
            name: "LayersTests",
            dependencies: ["Layers", "Graph", "Operators", "DeviceLayer", "Files", "Support", "TestSupport"]),
        .testTarget(
            name: "ModelsTests",
            dependencies: ["Models", "Layers", "Graph", "Operators", "DeviceLayer", "TestSupport"]),
        .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "Files", "Schema", "Support", "TestSupport"]),
        .testTarget(
            name: "TrainingTests",
            dependencies: [
                "Benchmarks", "Training", "Profiling", "Experiments", "Tuning", "Configuration", "Methods", "Tasks",
                "Models",
                "Layers", "Graph", "Operators", "DeviceLayer", "Datasets", "Files", "Schema", "Support", "TestSupport",
            ]),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "adashare",
                "Benchmarks", "Training", "Profiling", "Experiments", "Tuning", "Configuration", "Methods", "Tasks",
                "Models",
                "Operators", "DeviceLayer", "Datasets", "Files", "Support", "TestSupport",
            ]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c2x
)
