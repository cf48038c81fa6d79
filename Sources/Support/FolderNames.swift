import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What lies in a folder, by names: the system's are bytes, and those that are no UTF-8 name nothing as a text.
package struct FolderNames: Sendable {
    /// The names, sorted.
    package let names: [String]
    /// Those that are no UTF-8, spelled out and sorted, and whether they lead to folders.
    package let others: [(name: String, isFolder: Bool)]

    /// - Parameter path: of the folder.
    /// - Returns: nil for one that cannot be read.
    package init?(_ path: String) {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var (names, others): ([String], [(name: String, isFolder: Bool)]) = ([], [])
        while let entry = readdir(folder) {
            withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                let name = bytes.prefix { $0 != 0 }
                if let text = String(validating: name, as: UTF8.self) {
                    if text != ".", text != ".." { names.append(text) }
                    return
                }
                var status = stat()
                let isKnown = bytes.baseAddress.map {
                    fstatat(dirfd(folder), $0.assumingMemoryBound(to: CChar.self), &status, 0) == 0
                }
                others.append((spelled(name), isKnown == true && status.st_mode & S_IFMT == S_IFDIR))
            }
        }
        self.names = names.sorted()
        self.others = others.sorted { $0.name < $1.name }
    }
}
