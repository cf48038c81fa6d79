// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "GatedResidual",
    dependencies: [.package(name: "adashare", path: "../..")],
    targets: [
        .executableTarget(
            name: "GatedResidual", dependencies: [.product(name: "AdaShareEngine", package: "adashare")])
    ]
)
