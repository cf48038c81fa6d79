import AdaShareDatasets

extension [any Dataset] {
    /// For each split the images of the data set that has most: what epochs are counted by.
    package var longestSplits: DatasetSplits {
        func longest(_ split: KeyPath<DatasetSplits, [Int]>) -> [Int] {
            reduce([]) { $1.splits[keyPath: split].count > $0.count ? $1.splits[keyPath: split] : $0 }
        }
        return DatasetSplits(
            train: longest(\.train), train1: longest(\.train1), train2: longest(\.train2),
            validation: longest(\.validation), test: longest(\.test), notices: [])
    }

    /// A split of every data set; nil where one of them has no images there.
    package func all(_ split: KeyPath<DatasetSplits, [Int]>) -> [[Int]]? {
        let images = map { $0.splits[keyPath: split] }
        return images.contains(where: \.isEmpty) ? nil : images
    }

    /// The images that results are scored on: of the first of test, validation and train that every data set has.
    ///
    /// - Returns: the split, its images in each data set, and what to say where it is not test.
    package var scored: (split: String, images: [[Int]], remark: String?) {
        let subject = count == 1 ? "the data set has" : "one of the data sets has"
        if let test = all(\.test) { return ("test", test, nil) }
        if let validation = all(\.validation) {
            return (
                "validation", validation,
                "\(subject) no test images: scoring on validation, which also chooses the best"
            )
        }
        return (
            "train", map(\.splits.train),
            "\(subject) neither test nor validation images: scoring on the training images"
        )
    }

    /// Their names, for messages.
    package var names: String { map(\.name).joined(separator: ", ") }
}
