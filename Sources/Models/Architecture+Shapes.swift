/// Spatial sizes along the network.
extension NetworkArchitecture {
    /// Size after the stem's convolution, before its max pool.
    public func stemSize(height: Int, width: Int) -> (height: Int, width: Int) {
        stem.outputSize(height: height, width: width)
    }

    /// Size that enters the first residual block: after stem and max pool.
    public func pooledSize(height: Int, width: Int) -> (height: Int, width: Int) {
        let stem = stemSize(height: height, width: width)
        return (
            Self.pooledLength(stem.height, ceilMode: poolCeilMode),
            Self.pooledLength(stem.width, ceilMode: poolCeilMode)
        )
    }

    /// Output size of every residual block, bottom to top, for an image of the given size.
    public func blockOutputSizes(height: Int, width: Int) -> [(height: Int, width: Int)] {
        var size = pooledSize(height: height, width: width)
        return blocks.map { block in
            size = block.outputSize(height: size.height, width: size.width)
            return size
        }
    }

    /// Output length of the 3-wide max pool with stride 2 and padding 1.
    ///
    /// In ceil mode a last window that would start beyond the input and its left padding is dropped, as in PyTorch.
    static func pooledLength(_ length: Int, ceilMode: Bool) -> Int {
        let room = length + 2 - 3
        guard ceilMode else { return room / 2 + 1 }
        let rounded = (room + 1) / 2 + 1
        return (rounded - 1) * 2 >= length + 1 ? rounded - 1 : rounded
    }
}
