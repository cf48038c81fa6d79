// swift-tools-version: 6.1
import PackageDescription

// For tests (tools/build-tests): a third of their time would go to loops over whole images and parameters, compiled for debugging.
let loops: [SwiftSetting] = Context.environment["ADASHARE_FAST_LOOPS"] == nil ? [] : [.unsafeFlags(["-O"])]

let package = Package(
    name: "adashare",
    products: [
        .executable(name: "adashare", targets: ["adashare"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Shims: headers and module maps, no logic.
        .systemLibrary(name: "COpenCL", pkgConfig: "OpenCL", providers: [.apt(["ocl-icd-opencl-dev"])]),
        .systemLibrary(name: "CLibPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        // libpng reports errors by longjmp, which Swift must never see.
        .target(name: "CPNG", dependencies: ["CLibPNG"]),
        .target(name: "CKernels"),

        // The house, bottom to top; tools/check verifies that imports only go down.
        .target(name: "DeviceLayer", dependencies: ["COpenCL"]),
        .target(name: "Operators", dependencies: ["DeviceLayer", "CKernels"]),
        .target(name: "Graph", dependencies: ["Operators", "DeviceLayer"]),
        .target(name: "Models", dependencies: ["Graph", "Operators"], swiftSettings: loops),
        .target(name: "Datasets", dependencies: ["CPNG"], swiftSettings: loops),
        .target(
            name: "Training",
            dependencies: [
                "Models", "Graph", "Operators", "DeviceLayer", "Datasets", .product(name: "Yams", package: "Yams"),
            ], swiftSettings: loops),
        .executableTarget(
            name: "adashare",
            dependencies: [
                "Training", "Models", "Operators", "DeviceLayer", "Datasets",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        // Plain loops over float64, which take minutes unless they are compiled for speed.
        .target(name: "Reference", path: "Tests/Reference", swiftSettings: [.unsafeFlags(["-O"])]),
        // What tests of several modules share: the device, folders, random numbers, differences of long lists.
        .target(
            name: "TestSupport", dependencies: ["Operators", "DeviceLayer"], path: "Tests/Support",
            swiftSettings: [.unsafeFlags(["-O"])]),
        .testTarget(name: "ReferenceTests", dependencies: ["Reference"]),
        .testTarget(name: "DeviceLayerTests", dependencies: ["DeviceLayer", "TestSupport"]),
        .testTarget(
            name: "OperatorsTests", dependencies: ["Operators", "Graph", "DeviceLayer", "Reference", "TestSupport"]),
        .testTarget(
            name: "GraphTests", dependencies: ["Graph", "Operators", "DeviceLayer", "Reference", "TestSupport"]),
        .testTarget(name: "ModelsTests", dependencies: ["Models", "Graph", "Operators", "DeviceLayer", "TestSupport"]),
        .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "TestSupport"]),
        .testTarget(
            name: "TrainingTests",
            dependencies: ["Training", "Models", "Graph", "Operators", "DeviceLayer", "Datasets", "TestSupport"]),
        .testTarget(
            name: "CommandLineTests",
            dependencies: ["adashare", "Training", "Models", "Operators", "Datasets", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c2x
)
