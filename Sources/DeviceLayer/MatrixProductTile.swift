/// A tile of CLBlast's products: rows and columns that a work-group computes together.
///
/// The library's own table knows few devices; these are chosen by measurement instead, and are the same whatever its
/// version knows.
/// They hold for all products of a process on a device: a change makes the library compile again. Its other kernel, for
/// products that are too small for tiles, is not used: our own tiles are there for those.
public enum MatrixProductTile: String, Sendable, CaseIterable, Codable {
    /// 32 rows, 32 columns.
    case tile32x32 = "32x32"
    /// 64 rows, 64 columns.
    case tile64x64 = "64x64"
    /// 64 rows, 128 columns.
    case tile64x128 = "64x128"
    /// 128 rows, 64 columns.
    case tile128x64 = "128x64"
    /// 128 rows, 128 columns.
    case tile128x128 = "128x128"
    /// Operands come from global memory each time, for caches that serve them as fast.
    case unstaged64x64 = "64x64_unstaged"

    /// - Throws: `DecodingError` for a name that is not known.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let known = Self(rawValue: name) else {
            let names = Self.allCases.map(\.rawValue).joined(separator: ", ")
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no tile \(name) among \(names)")
        }
        self = known
    }

    /// Where nothing has been measured.
    public static let initial = tile64x64

    /// From which size on, in each dimension, the library takes the kernel that has tiles.
    static let always: KeyValuePairs = ["XGEMM_MIN_INDIRECT_SIZE": 1]

    /// The kernel's parameters by the library's names, which wants all of them.
    ///
    /// The library requires: MWG a multiple of MDIMC VWM and of MDIMA VWM, NWG of NDIMC VWN and of NDIMB VWN, KWG of
    /// KWI and of MDIMC NDIMC / MDIMA and / NDIMB.
    var parameters: KeyValuePairs<String, Int> {
        let (rows, columns, items, staged) =
            switch self {
            case .tile32x32: (32, 32, 8, 1)
            case .tile64x64: (64, 64, 16, 1)
            case .tile64x128: (64, 128, 16, 1)
            case .tile128x64: (128, 64, 16, 1)
            case .tile128x128: (128, 128, 16, 1)
            case .unstaged64x64: (64, 64, 8, 0)
            }
        return [
            // The kernel with work-group tiles, without those in registers alone.
            "GEMMK": 0, "KREG": 1,
            "MWG": rows, "NWG": columns, "KWG": 16, "KWI": 2,
            // Items of a group, computing and loading.
            "MDIMC": items, "NDIMC": items, "MDIMA": items, "NDIMB": items,
            // Through local memory; values side by side.
            "SA": staged, "SB": staged, "STRM": 0, "STRN": 0, "VWM": 4, "VWN": 4,
        ]
    }
}
