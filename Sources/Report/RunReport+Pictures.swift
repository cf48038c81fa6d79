import AdaShareProfiling
import AdaShareSupport
import AdaShareTraining
import Foundation

extension RunReport {
    /// Bytes of pictures that a page takes: what is beyond stays in the runs' folders.
    private static let mostBytes = 3_000_000

    /// Images of the validation split, what is predicted of them, and their labels.
    var predictions: String? {
        // What is retrained in runs of their own says more than the weights of policy learning.
        let networks = pictures.count > 1 ? Array(pictures.dropFirst()) : pictures
        guard !networks.isEmpty else { return nil }
        var (result, bytes, leftOut) = ("", 0, 0)
        for (title, tasks) in networks {
            if networks.count > 1 { result += "<h3>\(escapedXML(title))</h3>" }
            for (task, png) in tasks {
                guard bytes + png.count <= Self.mostBytes else {
                    leftOut += 1
                    continue
                }
                bytes += png.count
                let alternative = "\(task), \(title): images, predictions and labels side by side"
                result += figure(
                    "<img alt=\"\(escapedXML(alternative))\" src=\"data:image/png;base64,"
                        + "\(png.base64EncodedString())\">", task)
            }
        }
        let rest =
            leftOut == 0 ? "" : " \(leftOut) more pictures lie in the folder <code>pictures</code> of their run."
        return "<section><h2>Predictions</h2><p>Images of the validation split at the end of the last phase. From left "
            + "to right: the image, what is predicted, the label; grey where there is none.\(rest)</p>\(result)"
            + "</section>"
    }

    /// What the kernels of a profiled process took.
    var kernels: String? {
        guard let profile, !profile.kernels.isEmpty else { return nil }
        func number(_ value: Double?) -> String { value.map { readable($0, digits: 3) } ?? "–" }
        let rows = profile.kernels.prefix(12).map { kernel in
            [
                kernel.name, "\(kernel.launches)", number(kernel.milliseconds),
                percent(kernel.milliseconds / max(1e-9, profile.milliseconds)), number(kernel.gigaflops),
                number(kernel.gigabytesPerSecond),
            ]
        }
        let count = profile.kernels.count
        return "<section><h2>Time by kernel</h2><p>\(number(profile.milliseconds)) ms of \(profile.launches) launches, "
            + "of the process that was last profiled; the \(min(12, count)) of \(count) kernels that took longest.</p>"
            + table(["kernel", "launches", "ms", "share", "GFLOP/s", "GB/s"], rows) + "</section>"
    }
}
