import AdaShareConfiguration
import AdaShareDatasets
import AdaShareDeviceLayer
import AdaShareFiles
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareRanks
import AdaShareSupport
import AdaShareTasks
import AdaShareTuning
import Foundation

/// A configuration turned into the objects it speaks of.
public struct Experiment: Sendable {
    /// What the file and `--set` ask for, with every default in place.
    public let configuration: ExperimentConfiguration
    /// The network: backbone, blocks and tasks.
    public let architecture: NetworkArchitecture
    /// Every tensor of a checkpoint: of the network, and of what the objective learns.
    public let catalog: ParameterCatalog
    /// Losses, labels and weights of the tasks, in the order of the architecture.
    public let tasks: [TaskSettings]
    /// Algorithms of convolutions that were measured or recorded; the others are chosen by shape.
    public package(set) var algorithms: [ConvolutionProblem: ConvolutionAlgorithm] = [:]
    /// How convolutions may round: as the configuration wants, once `settle` has said that the device can.
    public package(set) var arithmetic: ConvolutionArithmetic
    /// What the parts of a step take on the device that it is for, where budgets are counted in time.
    public var partTimes: PartTimes?

    /// The processes that train it together, each with its part of the images; nil for this one alone.
    public var ranks: RankGroup?

    /// The data sets, each with its tasks.
    public let sources: [ImageSource]
    /// Labels that tasks need, each once of every data set.
    public var labels: [LabelRequest] { sources.flatMap(\.labels) }
    /// How the network is trained.
    public var method: any Method { configuration.method.chosen }
    /// What its method knows of it before a run.
    public let methodSettings: MethodSettings

    /// - Throws: `InputError` if the network cannot be built, or tasks read one label differently.
    public init(_ configuration: ExperimentConfiguration) throws {
        self.configuration = configuration
        arithmetic = configuration.arithmetic
        methodSettings = try configuration.methodSettings()
        architecture = methodSettings.architecture
        sources = try configuration.imageSources()
        let scale = configuration.policy.initialScale
        let initial: PolicyInitial =
            switch configuration.policy.initial {
            case .equal: .equal(scale)
            case .normal: .normal(std: scale)
            case .allChosen: .allChosen(skip: -scale)
            }
        let method = configuration.method.chosen
        let (learned, isOwn) = (method.parameters(architecture), method.hasOwnNetwork(methodSettings))
        catalog = ParameterCatalog(
            architecture, policyInitial: initial,
            besides: methodSettings.objective.parameters(architecture) + (isOwn ? [] : learned),
            own: isOwn ? learned : [], joinsTasks: method.joinsTasks)
        tasks = configuration.tasks.map(TaskSettings.init)
    }

    /// Keeps to what a device can compute: a session does, before it makes networks.
    ///
    /// - Returns: a line for people where that is not what the configuration wants.
    /// - Throws: `DeviceError` if the device could not be asked.
    mutating func settle(on library: KernelLibrary) throws -> String? {
        arithmetic = try library.arithmetic(configuration.arithmetic)
        return arithmetic == configuration.arithmetic ? nil : try library.fallback(from: configuration.model.precision)
    }

    /// Keeps to what a kernel family can compute on any device.
    ///
    /// - Returns: a line for people where that is not what the configuration wants.
    public mutating func settle(for family: KernelFamily) -> String? {
        guard family == .cpu, configuration.arithmetic.operands != nil else { return nil }
        arithmetic = .float32
        return configuration.model.precision.fallback(on: "the \(family.rawValue) kernels", because: nil)
    }

    /// Computes convolutions as a list says from here on, and its products in the tile it was measured with.
    mutating func adopt(_ recorded: RecordedAlgorithms, on library: KernelLibrary) {
        algorithms = recorded.algorithms
        if let tile = recorded.tile { library.productTile = tile }
    }

    /// Takes over what was settled and chosen for another experiment on the same device.
    mutating func takeAlgorithms(of other: Experiment) {
        (arithmetic, algorithms) = (other.arithmetic, other.algorithms)
        partTimes = nil
    }

    /// Multiply-accumulates at the size of a training crop.
    public var trainingCost: CostModel {
        cost(height: configuration.dataset.crop.height, width: configuration.dataset.crop.width)
    }

    /// Multiply-accumulates and parameters at an image size, of the network that the method trains.
    ///
    /// - Parameters:
    ///   - height: rows of an image, in pixels.
    ///   - width: columns of an image, in pixels.
    public func cost(height: Int, width: Int) -> CostModel {
        var model = CostModel(architecture, height: height, width: width)
        model.network = method.cost(model)
        model.isMost = method.routing != nil
        return model
    }

    /// What budgets are counted in: measured times once they are known, else multiply-accumulates.
    public var budgetCosts: PartCosts { partTimes?.costs ?? trainingCost.parts }

    /// The same in this process alone: other processes do not take part in what is measured.
    package var alone: Experiment {
        var alone = self
        alone.ranks = nil
        return alone
    }

    /// Refuses batches that `training.shards` does not divide.
    ///
    /// - Throws: `InputError`.
    package func checkShards(of batch: Int) throws {
        let shards = configuration.training.shards / (ranks?.count ?? 1)
        guard batch % shards != 0 else { return }
        throw InputError(
            file: "batch", found: "\(batch) images", expected: "a multiple of \(shards), the shards of training.shards")
    }

    /// The step graphs under the configuration's optimiser.
    public var stepGraphs: StepGraphs {
        let training = configuration.training
        var graphs = StepGraphs(
            architecture: architecture, catalog: catalog, tasks: tasks, dropout: configuration.model.dropout,
            rule: .adam(
                beta1: training.adam.beta1, beta2: training.adam.beta2, epsilon: training.adam.epsilon,
                weightDecay: training.weightDecay))
        graphs.objective = methodSettings.objective
        graphs.inference = { [method] in method.inference($0) }
        graphs.routing = method.routing
        graphs.recomputesBranches = training.recompute
        graphs.shards = training.shards
        if let ranks { graphs.rank = (ranks.index, ranks.count) }
        graphs.choices = AlgorithmChoices(arithmetic, measured: algorithms)
        return graphs
    }

    /// Opens the data sets the configuration names, in the order of `sources`.
    ///
    /// - Throws: `InputError` naming the file or key.
    public func makeDatasets() throws -> [any Dataset] { try makeDatasets(reading: nil) }

    /// The same for those who read only some splits.
    ///
    /// - Parameter splits: whose files have to be there; nil for all.
    /// - Throws: `InputError` naming the file or key.
    public func makeDatasets(reading splits: Set<String>?) throws -> [any Dataset] {
        // Decoded samples may take an eighth of the host's memory.
        let cacheBytes = Int(min(ProcessInfo.processInfo.physicalMemory / 8, 1 << 32)) / sources.count / hostShare
        return try sources.map { try open($0, cacheBytes: cacheBytes, splits: splits) }
    }

    /// Opens one of the data sets.
    ///
    /// - Parameters:
    ///   - source: which one.
    ///   - cacheBytes: of decoded samples that may be kept.
    ///   - splits: whose files have to be there; nil for all.
    /// - Throws: `InputError` naming the file or key.
    package func open(
        _ source: ImageSource, cacheBytes: Int = 0, splits: Set<String>? = nil
    ) throws -> any Dataset {
        try source.reader.open(
            DatasetRequest(
                labels: source.labels, seed: UInt64(configuration.training.seed),
                validation: configuration.dataset.validation, cacheBytes: cacheBytes, splits: splits),
            place: source.place)
    }

    /// Opens the data set of an experiment that has one.
    ///
    /// - Throws: `InputError` naming the file or key.
    public func makeDataset() throws -> any Dataset {
        guard sources.count == 1 else {
            throw InputError(
                file: "configuration", place: sources.first { $0.place != "dataset" }?.place,
                found: "\(sources.count) data sets", expected: "one: only a single data set is read here")
        }
        return try makeDatasets()[0]
    }

    /// Training batches over a split of every data set.
    ///
    /// - Parameter datasets: in the order of `sources`.
    package func loaders(
        _ datasets: [any Dataset], split: TrainingSplit, phase: String, startStep: Int
    ) throws -> BatchLoaders {
        BatchLoaders(
            try datasets.enumerated().map { index, dataset in
                try loader(
                    dataset, split: dataset.splits[split], phase: loaderName(phase, source: index),
                    startStep: startStep, source: index)
            })
    }

    /// Training batches over some images of one data set.
    ///
    /// - Parameter source: which one it is.
    package func loader(
        _ dataset: any Dataset, split: [Int], phase: String, startStep: Int, source: Int = 0
    ) throws -> BatchLoader {
        try BatchLoader(
            dataset: dataset, indices: split, batch: configuration.training.batch,
            crop: (configuration.dataset.crop.height, configuration.dataset.crop.width),
            augmentation: configuration.dataset.augmentation, shuffle: configuration.dataset.shuffle,
            labels: sources[source].labels, seed: UInt64(configuration.training.seed), phase: phase,
            part: ranks.map { ($0.index, $0.count) } ?? (0, 1),
            onError: configuration.dataset.onError, startStep: startStep, threads: loaderThreads)
    }

    /// Processes that share this host.
    package var hostShare: Int { ranks?.local.count ?? 1 }

    /// Threads that make the batches of one data set.
    package var loaderThreads: Int {
        max(2, min(16, ProcessInfo.processInfo.activeProcessorCount - 1) / sources.count / hostShare)
    }

    /// What names the order and augmentation of a data set's images in a phase: data sets of equal length are not
    /// shuffled alike. A part of the tasks keeps the names as long as it has several data sets, and of each the first
    /// task.
    package func loaderName(_ phase: String, source: Int) -> String {
        sources.count == 1 ? phase : "\(phase)/task\(architecture.number(task: sources[source].tasks[0]))"
    }

    /// Class weights of a task, nil if all are equal.
    ///
    /// - Throws: `InputError` if the file cannot be read or has another length.
    package func classWeights(_ task: TaskConfiguration) throws -> [Float]? {
        switch task.classWeights {
        case .equal: return nil
        case .values(let values): return values.map { Float($0) }
        case .file(let path): return try Self.classWeights(in: path, classes: task.channels)
        }
    }

    /// The class weights in a file, which are held to what the same numbers in a configuration are.
    ///
    /// - Parameters:
    ///   - path: of the file.
    ///   - classes: how many there have to be.
    /// - Throws: `InputError` naming the file, and the element that is wrong.
    package static func classWeights(in path: String, classes: Int) throws -> [Float] {
        let values = try NPYArray.read(URL(fileURLWithPath: path)).values
        guard values.count == classes else {
            throw InputError(file: path, found: "\(values.count) class weights", expected: "\(classes)")
        }
        if let index = values.firstIndex(where: { !($0 >= 0 && $0.isFinite) }) {
            throw InputError(
                file: path, found: "\(values[index]) as element \(index) of \(classes), from 0",
                expected: "numbers of at least 0")
        }
        guard values.contains(where: { $0 > 0 }) else {
            throw InputError(file: path, found: "only zeros", expected: "a weight above 0")
        }
        return values
    }
}

extension Experiment {
    /// A network on a device, with memory for its parameters and the class weights of its losses.
    ///
    /// - Parameter infersOnly: it needs no class weights, so their files are not read, and no memory for parameters
    ///   that are only read transformed.
    /// - Throws: `DeviceError`, or what reading class weights throws.
    func makeNetwork(library: KernelLibrary, infersOnly: Bool = false) throws -> NetworkRuntime {
        var weights: [String: [Float]] = [:]
        for task in configuration.tasks where !infersOnly { weights[task.name] = try classWeights(task) }
        return try NetworkRuntime(
            library: library, graphs: stepGraphs, classWeights: weights, infersOnly: infersOnly, ranks: ranks)
    }

    /// The tasks as a checkpoint says that they were trained; as the configuration says where it records nothing.
    public func tasks(recordedIn file: TensorFile) -> [TaskSettings] {
        configuration.tasks.map { TaskSettings($0.trained(as: file.metadata)) }
    }

    /// The policy a checkpoint was trained with; every block for every task if it records none.
    ///
    /// - Throws: `InputError` if the record does not fit this network.
    public func policy(recordedIn file: TensorFile) throws -> DiscretePolicy {
        let names = tasks.map(\.name)
        guard let text = file.metadata["policy"] else {
            return .hardSharing(tasks: names.count, blocks: architecture.blocks.count)
        }
        let recorded = try SelectionPolicy.parse(
            Data(text.utf8), file: "\(file.file), metadata.policy", tasks: names, blocks: architecture.blocks.count,
            allowsOthers: architecture.isPart)
        return recorded.discrete(tasks: names)
    }

    /// What people should know who have a file's weights work under a policy that they give; nil where it is its own.
    public func remark(onGiven policy: DiscretePolicy, for file: TensorFile) -> String? {
        if let recorded = try? self.policy(recordedIn: file), recorded == policy { return nil }
        return "the policy that is given is not the one that the weights belong to: what it comes to takes a "
            + "training under it"
    }

    /// The weights that a run has come to: those of the best phase that has finished, or where tasks have their own,
    /// those.
    ///
    /// - Parameter isFinished: of phases.
    package func results(where isFinished: (Phase) -> Bool) -> [PhaseResult] {
        let finished = method.results(methodSettings).filter { isFinished($0.phase) }
        if let whole = finished.first(where: { $0.tasks == nil }) { return [whole] }
        return finished
    }

    /// A policy for this network.
    ///
    /// - Throws: `InputError` if a file cannot be read or does not fit, or nothing is published for this network.
    public func policy(_ source: PolicySource) throws -> DiscretePolicy {
        try selection(source).discrete(tasks: tasks.map(\.name))
    }

    /// As `policy(_:)`, with the probabilities that a file has.
    ///
    /// - Throws: also what `requirePolicies` throws.
    public func selection(_ source: PolicySource) throws -> SelectionPolicy {
        try requirePolicies()
        return try source.selection(for: architecture)
    }

    /// Refuses what is about policies where the method has a network of its own, that none has an effect on.
    ///
    /// - Throws: `InputError` naming the method.
    public func requirePolicies() throws {
        guard method.hasOwnNetwork(methodSettings) else { return }
        throw InputError(
            file: "policy", found: "method \(configuration.method.kind), whose network no policy changes",
            expected: "a method whose tasks share one backbone")
    }
}

extension KernelLibrary {
    /// Whether this device has a precision.
    ///
    /// - Throws: `DeviceError` if it could not be asked.
    public func computes(_ precision: ModelPrecision) throws -> Bool {
        try arithmetic(precision.arithmetic) == precision.arithmetic
    }

    /// A line for people where a precision cannot be had.
    ///
    /// - Throws: `DeviceError` if the device could not be asked.
    package func fallback(from precision: ModelPrecision) throws -> String {
        let reason = try precision.arithmetic.operands.flatMap { try whyNoMatrixUnits($0) }
        return precision.fallback(on: "\(context.device.name) (\(family.rawValue) kernels)", because: reason)
    }
}

extension ModelPrecision {
    /// A line for people where it cannot be had.
    fileprivate func fallback(on place: String, because reason: String?) -> String {
        "\(place): no matrix units for \(rawValue)" + (reason.map { " (\($0))" } ?? "") + ", float32 is used"
    }
}
