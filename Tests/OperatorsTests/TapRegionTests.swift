import Testing

@testable import AdaShareOperators

/// Regions of the GPU family's convolutions, against the definition.
@Suite struct TapRegionTests {
    /// Each pixel is in one part, and of its taps those that read the inside of the source are among the part's.
    private func check(
        _ regions: TapRegions, extent: Int, taps: Int, isInside: (_ pixel: Int, _ tap: Int) -> Bool, _ what: String
    ) {
        var seen = [Int](repeating: 0, count: extent)
        for part in regions.parts {
            let counting = (0..<Int(part.w)).map { Int(part.z) + regions.tapStep * $0 }
            #expect(counting.allSatisfy { $0 < taps }, "\(what)")
            for index in 0..<Int(part.y) {
                let pixel = Int(part.x) + regions.step * index
                guard pixel < extent else {
                    Issue.record("\(what): pixel \(pixel)")
                    continue
                }
                seen[pixel] += 1
                let missing = (0..<taps).filter { isInside(pixel, $0) && !counting.contains($0) }
                #expect(missing.isEmpty, "\(what): pixel \(pixel) misses \(missing)")
            }
        }
        #expect(seen.allSatisfy { $0 == 1 }, "\(what): \(seen)")
        #expect(regions.parts.count <= 3, "\(what)")
    }

    @Test func thirdsCoverDilatedConvolutions() throws {
        for extent in 1...14 {
            for dilation in 1...16 {
                let regions = try #require(
                    TapRegions.thirds(extent, source: extent, taps: 3, dilation: dilation, padding: dilation))
                check(
                    regions, extent: extent, taps: 3,
                    isInside: { 0..<extent ~= $0 + ($1 - 1) * dilation }, "\(extent), dilation \(dilation)")
                // Taps of a part are never all outside: the middle one is inside.
                let products = regions.parts.reduce(0) { $0 + Int($1.y * $1.w) }
                let inside = (0..<extent).reduce(0) { sum, pixel in
                    sum + (0..<3).count { 0..<extent ~= pixel + ($0 - 1) * dilation }
                }
                #expect(products == inside, "nothing is multiplied by padding: \(extent), \(dilation)")
            }
        }
        #expect(TapRegions.thirds(9, source: 9, taps: 3, dilation: 2, padding: 1) == nil)
        #expect(TapRegions.thirds(9, source: 8, taps: 3, dilation: 2, padding: 2) == nil)
        #expect(TapRegions.thirds(9, source: 9, taps: 1, dilation: 1, padding: 0) == nil)
    }

    @Test func paritiesCoverStridedInputGradients() throws {
        for (extent, divisor) in (1...9).flatMap({ extent in [2, 3].map { (extent, $0) } }) {
            for (taps, dilation) in [1, 3, 7].flatMap({ taps in (1...4).map { (taps, $0) } }) {
                for padding in 0..<(taps * dilation) {
                    let regions = try #require(
                        TapRegions.parities(
                            extent, taps: taps, dilation: dilation, padding: padding, divisor: divisor))
                    check(
                        regions, extent: extent, taps: taps,
                        isInside: { ($0 + $1 * dilation - padding) % divisor == 0 },
                        "\(extent), \(taps) taps, dilation \(dilation), padding \(padding), stride \(divisor)")
                }
            }
        }
        #expect(TapRegions.parities(9, taps: 3, dilation: 1, padding: 1, divisor: 1) == nil)
        #expect(TapRegions.parities(9, taps: 3, dilation: 1, padding: 1, divisor: 4) == nil)
    }

    @Test func tilesSuitTheShape() {
        // Many groups: the largest; few columns: a narrow one; few pixels: the smallest.
        #expect(WorkGroupTile.suiting(rows: 1 << 20, columns: 512).columns == 128)
        #expect(WorkGroupTile.suiting(rows: 1 << 20, columns: 48).columns == 64)
        #expect(WorkGroupTile.suiting(rows: 1 << 20, columns: 16).columns == 32)
        #expect(WorkGroupTile.suiting(rows: 64, columns: 512).rows == 32)
        for tile in WorkGroupTile.all {
            #expect(tile.items <= KernelLibrary.gpuWorkGroup)
            #expect(WorkGroupTile(.direct(.block(rows: tile.rows, columns: tile.columns))) == tile)
        }
        for operands in MatrixOperands.allCases {
            for tile in WorkGroupTile.onMatrixUnits(operands) {
                #expect(tile.localBytes(.instruction) <= 48 << 10)
                #expect(
                    tile.items == 128
                        && WorkGroupTile(.matrixUnits(operands, rows: tile.rows, columns: tile.columns)) == tile)
            }
        }
        #expect(WorkGroupTile(.direct(.block(rows: 48, columns: 48))) == nil && WorkGroupTile(.direct()) == nil)
    }
}
