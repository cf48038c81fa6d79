import AdaShareSupport
import CAdaShareHDF5
import Foundation
import Synchronization

/// Arrays in an HDF5 file, which MATLAB's files of version 7.3 are, read by libhdf5 a part at a time, in a process of
/// its own that a damaged file may end.
///
/// MATLAB counts axes from the other end: what it calls H × W × N lies here as [N, W, H].
package final class HDF5File: Sendable {
    /// What the elements of an array are.
    package enum Element: Sendable {
        case uint8, uint16, float32, float64, other
    }

    package let path: String
    /// Its process answers one call at a time.
    private let file: Mutex<adashare_hdf5_file>

    /// Opens a file.
    ///
    /// - Throws: `InputError` if it is missing, or no HDF5 file.
    package init(_ url: URL) throws {
        path = url.path
        try WholeFile.check(url)
        file = Mutex(adashare_hdf5_file())
        // Which opens it.
        try check(nil) { _, _ in true }
    }

    /// The process that reads the file.
    var process: Int32 { file.withLock { $0.process } }

    deinit { file.withLock { adashare_hdf5_close(&$0) } }

    /// What an array holds, and the lengths of its axes, the one that varies slowest first.
    ///
    /// - Throws: `InputError` if the file has no such array, or too few bytes for it.
    package func describe(_ name: String) throws -> (element: Element, shape: [Int]) {
        var array = adashare_hdf5_array()
        try check(name) { adashare_hdf5_describe(&$0, name, &array, &$1) }
        let lengths = withUnsafeBytes(of: array.lengths) { Array($0.bindMemory(to: UInt64.self)) }
        let shape = try lengths.prefix(Int(array.axes)).map { length in
            guard let length = Int(exactly: length) else {
                throw InputError(file: path, place: name, found: "an axis of \(length)", expected: "a whole file")
            }
            return length
        }
        return (Element(array.element), shape)
    }

    /// What one index of an array's first axis holds, row-major. `describe` is to be asked before: it sees that the
    /// file can hold the array.
    ///
    /// - Parameters:
    ///   - name: of the array.
    ///   - index: into its first axis.
    ///   - count: elements that one index holds.
    /// - Throws: `InputError` if the array holds another number, or the file is damaged there.
    package func bytes(_ name: String, at index: Int, count: Int) throws -> [UInt8] {
        try read(name, index, count, ADASHARE_HDF5_UINT8, 0)
    }

    /// The same of 16 bits.
    package func words(_ name: String, at index: Int, count: Int) throws -> [UInt16] {
        try read(name, index, count, ADASHARE_HDF5_UINT16, 0)
    }

    /// The same of numbers, rounded to float32 where the file has more.
    package func floats(_ name: String, at index: Int, count: Int) throws -> [Float] {
        try read(name, index, count, ADASHARE_HDF5_FLOAT32, 0)
    }

    private func read<Value>(
        _ name: String, _ index: Int, _ count: Int, _ element: adashare_hdf5_element, _ zero: Value
    ) throws -> [Value] {
        precondition(index >= 0 && count >= 0, "\(count) elements at \(index)")
        var values = [Value](repeating: zero, count: count)
        guard count > 0 else { return values }
        try check("\(name), index \(index)") { file, message in
            values.withUnsafeMutableBytes {
                adashare_hdf5_read(&file, name, UInt64(index), element, count, $0.baseAddress, &message)
            }
        }
        return values
    }

    /// The one check of every call; a process that an earlier one has ended is followed by another.
    private func check(
        _ place: String?, _ call: (inout adashare_hdf5_file, inout adashare_hdf5_message) -> Bool
    ) throws {
        let complaint: (text: String, lacksLibrary: Bool)? = file.withLock { file in
            var message = adashare_hdf5_message()
            let isOpen = file.process > 0 || adashare_hdf5_open(path, &file, &message)
            return isOpen && call(&file, &message) ? nil : (line(ofCharacters: message.text), message.lacks_library)
        }
        guard let complaint else { return }
        guard !complaint.lacksLibrary else {
            throw InputError(
                file: path, found: complaint.text,
                expected: "libhdf5 1.10.7 or newer, which reads it: Debian's package libhdf5-103-1")
        }
        throw InputError(
            file: path, place: place, found: "what libhdf5 cannot read: \(complaint.text)",
            expected: place == nil ? "an HDF5 file, as MATLAB 7.3 writes" : "that array, whole")
    }
}

extension HDF5File.Element {
    fileprivate init(_ element: adashare_hdf5_element) {
        switch element {
        case ADASHARE_HDF5_UINT8: self = .uint8
        case ADASHARE_HDF5_UINT16: self = .uint16
        case ADASHARE_HDF5_FLOAT32: self = .float32
        case ADASHARE_HDF5_FLOAT64: self = .float64
        default: self = .other
        }
    }
}
