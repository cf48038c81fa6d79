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

    /// Their names, for messages.
    package var names: String { map(\.name).joined(separator: ", ") }
}
