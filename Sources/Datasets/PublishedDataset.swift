/// What the published code's configurations call a data set, and what that code does with it unsaid.
///
/// - Source: github.com/sunxm2357/AdaShare, the code published with Sun, Panda, Feris, Saenko 2020.
public struct PublishedDataset: Sendable {
    /// The word in `dataload.dataset`.
    public let name: String
    /// The class that is no label there.
    public var ignoredClass: Int
    /// Whether directions are trained as the colours they are stored as.
    public var trainsColours: Bool
    /// Where every task has a part of the data set to itself, which its name names: the reader's key for that name, and
    /// the label that all of them learn; nil where tasks share their images.
    public var parts: (key: String, label: String)?
    /// Whether images are brought to the size of a crop as they are read, not cropped out of the file's.
    public var isResized: Bool
    /// The file below the data set's folder with a weight for each class; nil where classes weigh the same.
    public var classWeights: String?
    /// What is otherwise there than here, one clause each, with the key that comes nearer where there is one.
    public var remarks: [String]

    /// Creates a description.
    ///
    /// - Parameters:
    ///   - name: the word in `dataload.dataset`.
    ///   - ignoredClass: the class that is no label there.
    ///   - trainsColours: whether directions are trained as the colours they are stored as.
    ///   - parts: the reader's key for the part that a task has to itself, and the label; nil where tasks share images.
    ///   - isResized: whether images are brought to the size of a crop as they are read.
    ///   - classWeights: the file below the data set's folder with a weight for each class; nil for equal ones.
    ///   - remarks: what is otherwise there than here.
    public init(
        name: String, ignoredClass: Int = 255, trainsColours: Bool = true, parts: (key: String, label: String)? = nil,
        isResized: Bool = false, classWeights: String? = nil, remarks: [String] = []
    ) {
        self.name = name
        self.ignoredClass = ignoredClass
        self.trainsColours = trainsColours
        self.parts = parts
        self.isResized = isResized
        self.classWeights = classWeights
        self.remarks = remarks
    }
}
