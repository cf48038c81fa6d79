import AdaShareDeviceLayer

extension KernelLibrary {
    /// Work size of a `FOR_RANGE` loop over `count` items; a function of the count and family alone.
    func range(_ count: Int) -> WorkSize {
        switch family {
        case .cpu: WorkSize(global: [min(64, (count + 255) / 256)], local: [1])
        // As many as a large GPU holds at once (132 multiprocessors × 2048); not measured.
        case .gpu: WorkSize(global: [roundUp(min(count, 1 << 18), to: 64)], local: [64])
        }
    }

    /// A `FOR_RANGE` loop that leaves partial results, one for each group.
    func partialRange(_ count: Int) -> (size: WorkSize, groups: Int) {
        let size = family == .gpu && count > Self.mostPartials * 64 ? groups(Self.mostPartials) : range(count)
        return (size, size.global[0] / (size.local?[0] ?? 1))
    }

    /// Partial results at most: one group adds them up.
    static let mostPartials = 1024

    /// So many groups of items that add up partial results: `GROUP_ITEMS` in the kernels.
    func groups(_ count: Int) -> WorkSize {
        family == .cpu
            ? WorkSize(global: [count], local: [1]) : WorkSize(global: [count * 64], local: [64])
    }

    /// Vectors of a tensor that one of such groups takes, where a launch is for several tensors: `TENSOR_SPAN` in the
    /// kernels.
    var tensorSpan: Int { family == .cpu ? 256 : 64 }

    /// One work-item per grid point. Groups are stated: drivers choose them by what divides the extents, perhaps one
    /// item, perhaps a whole row.
    func grid(_ extents: Int...) -> WorkSize {
        var room = family == .cpu ? 1 : Self.groupItems
        let local = extents.map { extent in
            let side = Self.largestDivisor(of: extent, upTo: room)
            room /= side
            return side
        }
        return WorkSize(global: extents, local: local)
    }

    /// One work-item per vector of a row and chunk of rows; on GPUs groups may reach beyond the last chunk.
    func columns(_ vectors: Int, chunks: Int) -> WorkSize {
        guard family == .gpu else { return grid(vectors, chunks) }
        let across = Self.largestDivisor(of: vectors, upTo: Self.groupItems)
        let down = Self.groupItems / across
        return WorkSize(global: [vectors, roundUp(chunks, to: down)], local: [across, down])
    }

    /// One work-item per pixel; on GPUs groups may reach beyond the end of a row.
    func pixels(_ width: Int, _ height: Int, _ batch: Int) -> WorkSize {
        guard family == .gpu else { return grid(width, height, batch) }
        return WorkSize(
            global: [roundUp(width, to: Self.groupItems), height, batch], local: [Self.groupItems, 1, 1])
    }

    /// A loop over `count` items in each row of a grid: one work-item per row on CPUs; on GPUs one per item, and some
    /// beyond the last one.
    func rows(_ count: Int, _ height: Int, _ batch: Int) -> WorkSize {
        family == .cpu ? grid(1, height, batch) : pixels(count, height, batch)
    }

    /// Work-items of a GPU's group where nothing else decides.
    private static let groupItems = 64

    private static func largestDivisor(of extent: Int, upTo most: Int) -> Int {
        (1...min(most, extent)).last { extent % $0 == 0 } ?? 1
    }
}
