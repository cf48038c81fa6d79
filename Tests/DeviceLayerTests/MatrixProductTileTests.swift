import Testing

@testable import AdaShareDeviceLayer

@Suite struct MatrixProductTileTests {
    /// What CLBlast requires of its kernel's parameters; it checks their names only.
    @Test(arguments: MatrixProductTile.allCases)
    func parametersFitTogether(tile: MatrixProductTile) throws {
        let p = Dictionary(uniqueKeysWithValues: tile.parameters.map { ($0.key, $0.value) })
        func value(_ name: String) throws -> Int { try #require(p[name], "\(name)") }
        #expect(p.count == 16)
        let items = try value("MDIMC") * value("NDIMC")
        #expect(items <= 256)
        for (extent, lanes, vector) in [
            ("MWG", "MDIMC", "VWM"), ("MWG", "MDIMA", "VWM"), ("NWG", "NDIMC", "VWN"), ("NWG", "NDIMB", "VWN"),
        ] {
            #expect(try value(extent) % (value(lanes) * value(vector)) == 0, "\(extent), \(lanes), \(vector)")
        }
        #expect(try value("KWG") % value("KWI") == 0)
        for loading in ["MDIMA", "NDIMB"] {
            #expect(try items % value(loading) == 0 && value("KWG") % (items / value(loading)) == 0, "\(loading)")
        }
        // Both sides' part of local memory; memory for copies is planned for tiles up to 128.
        let local = try 4 * value("KWG") * (value("SA") * value("MWG") + value("SB") * value("NWG"))
        #expect(local <= 32 << 10)
        #expect(try value("MWG") <= 128 && value("NWG") <= 128)
        #expect(try tile.rawValue.hasPrefix("\(value("MWG"))x\(value("NWG"))"))
    }
}
