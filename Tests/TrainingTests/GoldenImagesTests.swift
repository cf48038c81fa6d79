import AdaShareOperators
import TestSupport
import Testing

extension TrainingTests {
    /// Training steps of a classifier whose tasks have images of their own, against PyTorch.
    @Suite struct GoldenImagesTests {
        @Test(arguments: TestDevice.families, [false, true])
        func stepsFollowPyTorch(family: KernelFamily, hasTaskBatchNorm: Bool) throws {
            let network = try GoldenImages(family, hasTaskBatchNorm: hasTaskBatchNorm)
            for step in 0..<10 { try network.run(step: step) }
            try network.compareEnd()
            let (first, ten) = (GoldenNetworkTests.firstStep, GoldenNetworkTests.tenSteps)
            network.agreement.expect([
                "outputs": first, "gradients": first, "statistics": first, "loss": first, "losses": ten, "final": ten,
                "delta": GoldenNetworkTests.change(.light), "statistics at the end": ten,
            ])
            network.agreement.report("images, norms per task \(hasTaskBatchNorm), \(family.rawValue)")
            #expect(network.agreement.compared == Set(network.agreement.file.names))
        }

        /// Negative control: the images of another task must not pass.
        @Test(arguments: [false, true]) func theImagesOfOneTaskDiffer(hasTaskBatchNorm: Bool) throws {
            let network = try GoldenImages(
                TestDevice.nativeFamily(), hasTaskBatchNorm: hasTaskBatchNorm, .sameImages)
            try network.run(step: 0)
            for kind in ["outputs", "gradients", "loss", "statistics"] {
                #expect(network.agreement[kind] > 10 * GoldenNetworkTests.firstStep, "\(kind)")
            }
        }

        /// Negative control: the batch norms of another task must not pass.
        @Test func theNormsOfAnotherTaskDiffer() throws {
            let network = try GoldenImages(TestDevice.nativeFamily(), hasTaskBatchNorm: true, .swappedNorms)
            #expect(throws: GoldenImages.Missing.self) { try network.run(step: 0) }
            #expect(network.agreement["outputs"] > 10 * GoldenNetworkTests.firstStep)
            #expect(network.agreement["loss"] > 10 * GoldenNetworkTests.firstStep)
        }

        /// Negative control: twice the learning rate must not pass.
        @Test func anotherLearningRateDiffers() throws {
            let network = try GoldenImages(TestDevice.nativeFamily(), hasTaskBatchNorm: true)
            for step in 0..<10 { try network.run(step: step, learningRate: 2e-5) }
            try network.compareEnd()
            #expect(network.agreement["losses"] > 2 * GoldenNetworkTests.tenSteps)
            #expect(network.agreement["delta"] > 2 * GoldenNetworkTests.change(.light))
        }
    }
}
