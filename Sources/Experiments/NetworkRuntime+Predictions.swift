import AdaShareDatasets
import AdaShareGraph
import AdaShareMethods
import AdaShareModels
import AdaShareOperators
import AdaShareTasks

extension NetworkRuntime {
    /// Head outputs for a batch under a policy, inference mode; where each image takes a path of its own, under what is
    /// decided for it.
    ///
    /// - Parameters:
    ///   - batch: images; labels are not read.
    ///   - policy: which task executes which block.
    ///   - tasks: those that are given the images, as indices in order, whosever images they are; nil for all.
    /// - Returns: per task, [N, h, w, channels] row-major.
    public func predict(
        _ batch: Batch, policy: DiscretePolicy, tasks: [Int]? = nil
    ) throws -> [String: Prediction] {
        guard let routing = graphs.routing else { return try infer(graphs.inference(policy), batch, tasks) }
        let decisions = try decisions(batch, by: routing)
        for path in decisions { paths[path, default: 0] += 1 }
        // In the order in which they are first met, so that equal batches give equal plans.
        var groups: [(path: [[Bool]], images: [Int])] = []
        for (image, path) in decisions.enumerated() {
            if let known = groups.firstIndex(where: { $0.path == path }) {
                groups[known].images.append(image)
            } else {
                groups.append((path, [image]))
            }
        }
        func predict(_ path: [[Bool]], _ batch: Batch) throws -> [String: Prediction] {
            try infer(routing.inference(path, graphs.tasks.count), batch, tasks)
        }
        if groups.count == 1 { return try predict(groups[0].path, batch) }
        let parts = try groups.map {
            (images: $0.images, predictions: try predict($0.path, batch.selecting($0.images)))
        }
        return parts[0].predictions.reduce(into: [:]) { whole, entry in
            let (task, first) = entry
            let size = first.height * first.width * first.channels
            var values = [Float](repeating: 0, count: batch.count * size)
            for (images, predictions) in parts {
                guard let part = predictions[task]?.values else { preconditionFailure("a part without \(task)") }
                for (place, image) in images.enumerated() {
                    values.replaceSubrange(
                        image * size..<(image + 1) * size, with: part[place * size..<(place + 1) * size])
                }
            }
            whole[task] = Prediction(
                height: first.height, width: first.width, channels: first.channels, values: values)
        }
    }

    /// Gives back the memory that steps have taken on the device, that of one which failed for want of more included.
    package func forgetSteps() throws {
        try executor.context.queue.finish()
        executor.reset()
        for name in executor.store.names where name.hasPrefix(StepGraphs.imageName) { executor.store.remove(name) }
    }

    /// The paths that images have taken since this was last asked, and how many took each; nil where all take the same.
    public func takePaths() -> [[[Bool]]: Int]? {
        defer { paths = [:] }
        return graphs.routing == nil ? nil : paths
    }

    /// What is decided for each image, by row and block; waits for the device.
    private func decisions(_ batch: Batch, by routing: ImageRouting) throws -> [[[Bool]]] {
        let plan = try run(routing.decision, batch, nil)
        var rows: [[Float]] = []
        while executor.shape(ImageRouting.outputName(rows.count), of: plan) != nil {
            rows.append(try executor.read(ImageRouting.outputName(rows.count), of: plan))
        }
        let blocks = graphs.architecture.blocks.count
        return (0..<batch.count).map { image in
            rows.map { logits in logits[image * blocks..<(image + 1) * blocks].map { $0 >= 0 } }
        }
    }

    private func infer(_ kind: StepKind, _ batch: Batch, _ tasks: [Int]?) throws -> [String: Prediction] {
        let plan = try run(kind, batch, tasks)
        var predictions: [String: Prediction] = [:]
        for task in graphs.tasks {
            let name = StepGraphs.outputName(task.name)
            guard let extents = executor.shape(name, of: plan) else { continue }
            predictions[task.name] = Prediction(
                height: extents[1], width: extents[2], channels: extents[3], values: try executor.read(name, of: plan))
        }
        return predictions
    }

    /// Enqueues a step that infers.
    private func run(_ kind: StepKind, _ batch: Batch, _ tasks: [Int]?) throws -> Plan {
        let shape = BatchShape(count: batch.count, height: batch.height, width: batch.width)
        let plan = try plan(kind, shape, tasks: tasks)
        let given = graphs.tasks.map { _ in batch }
        try upload(given, shape, images: tasks ?? Array(graphs.tasks.indices), labels: [])
        try executor.run(plan)
        return plan
    }
}
