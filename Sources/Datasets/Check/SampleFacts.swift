import AdaShareSupport

/// What is kept of a decoded sample: no pixels.
struct SampleFacts: Sendable {
    let name: String
    let height, width: Int
    /// Of size and colours: equal images have equal ones.
    let hash: UInt64
    /// Counts of the labels it carries.
    private(set) var labels: [String: LabelCount] = [:]
    /// What training would stop at.
    private(set) var faults: [InputError] = []

    /// Looks at one sample.
    ///
    /// - Parameters:
    ///   - requests: the labels that are counted.
    ///   - dataset: its name, for messages.
    init(_ sample: Sample, _ requests: [LabelRequest], dataset: String) {
        name = sample.name
        (height, width) = (sample.height, sample.width)
        hash = sample.imageHash
        let pixels = height * width
        func fail(_ place: String, _ found: String, _ expected: String) {
            faults.append(
                InputError(file: dataset, place: "\(sample.name), \(place)", found: found, expected: expected))
        }
        if sample.image.count != 3 * pixels {
            fail(
                "image", "\(sample.image.count) values",
                "\(3 * pixels) for \(dimensions(height: height, width: width)) pixels")
        }
        for request in requests {
            guard let map = sample.labels[request.name] else { continue }
            let format = request.format
            let wanted = format.channels * (format.extent == .pixels ? pixels : 1)
            guard map.channels == format.channels, map.count == wanted else {
                fail(
                    "label \(request.name)", "\(map.count) values of \(map.channels) channels",
                    "\(wanted) of \(format.channels), as in the image")
                continue
            }
            var count = LabelCount(request)
            if let fault = count.add(map, request) {
                let spot =
                    format.extent == .pixels ? ", row \(fault.place / width), column \(fault.place % width)" : ""
                fail("label \(request.name)\(spot)", fault.found, fault.expected)
            }
            labels[request.name] = count
        }
    }
}

extension Sample {
    /// A hash of size and colours.
    fileprivate var imageHash: UInt64 {
        var hash = FNV1a()
        hash.add(UInt64(height))
        hash.add(UInt64(width))
        image.withUnsafeBytes { bytes in
            let words = bytes.count / 8
            for word in 0..<words { hash.add(bytes.loadUnaligned(fromByteOffset: 8 * word, as: UInt64.self)) }
            for byte in bytes.dropFirst(8 * words) { hash.add(UInt64(byte)) }
        }
        return hash.hash
    }
}
