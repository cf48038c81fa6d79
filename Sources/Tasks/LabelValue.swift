import AdaShareDatasets

/// The label of one pixel, or of a whole image.
public enum LabelValue {
    /// A class.
    case aClass(Int32)
    /// Numbers, one for each channel.
    case numbers(ArraySlice<Float>)
}

extension BatchLabels {
    /// Σ of what the labels of some images count, at the pixels that are read where labels are brought to the size of a
    /// prediction (`NearestResize`).
    ///
    /// - Parameters:
    ///   - images: which ones.
    ///   - size: of the labels, in pixels.
    ///   - read: of the prediction.
    ///   - weight: what one counts.
    package func sum(
        of images: Range<Int>, size: (height: Int, width: Int), read: (height: Int, width: Int),
        weight: (LabelValue) -> Double
    ) -> Double {
        let isMap = format.extent == .pixels
        let size = isMap ? size : (height: 1, width: 1)
        let read = isMap ? read : (height: 1, width: 1)
        let channels = format.channels
        var sum = 0.0
        for image in images {
            for row in 0..<read.height {
                let first = (image * size.height + row * size.height / read.height) * size.width
                for column in 0..<read.width {
                    let at = first + column * size.width / read.width
                    switch format.element {
                    case .classes: sum += weight(.aClass(classes[at]))
                    case .numbers: sum += weight(.numbers(numbers[at * channels..<(at + 1) * channels]))
                    }
                }
            }
        }
        return sum
    }
}
