import AdaShareDeviceLayer
import TestSupport
import Testing

@testable import AdaShareGraph
@testable import AdaShareOperators

/// Something that a trial exercises, of one pass on some kernels.
///
/// A convolution's kernels take extents, stride, dilation and padding as arguments, tiles as options of the compiler.
/// So there are three kinds: that an algorithm is used; a kernel as it is compiled, with the sides of its tile's
/// boundaries on which the shape lies; and the shape, or all other boundaries' sides on which it lies, for each
/// algorithm whose code knows of them.
enum ConvolutionProperty: Hashable, Sendable {
    case algorithm(String)
    case kernel(String, tile: [String])
    case shape([String], algorithm: String)
}

extension ConvolutionTrial {
    /// The algorithm's name; of tiles that are chosen by measuring, that they are.
    var algorithmClass: String { if case .direct(.pixels) = algorithm { "direct_n" } else { algorithm.description } }

    /// The algorithms among which it does not matter by which a shape is computed: tiles of a CPU's registers; tiles of
    /// a GPU's direct sums, and Winograd's, where a CPU computes them; and all of them where a device is simulated or
    /// emulates matrix units, which takes long.
    private var shapeClass: String {
        get throws {
            if try TestDevice.isSimulated || kernels.isEmulated { return "any" }
            if try kernels.isOnCPU {
                return algorithm.isExact ? "direct" : algorithm.isWinograd ? "winograd" : algorithm.description
            }
            return kernels.family == .cpu && algorithm.isExact ? "direct" : algorithm.description
        }
    }

    /// Whether every algorithm of that kind gives the same bits: direct sums, on matrix units too.
    var givesCommonBits: Bool { algorithm.isExact || algorithm.operands != nil }

    /// All that the trial exercises.
    func properties(_ requests: [LaunchRequest]) throws -> Set<ConvolutionProperty> {
        // Shapes on the same side of everything are one where there are other kernels that take all of them.
        let takesAll = try !(kernels.isForeign || kernels.isEmulated || TestDevice.isSimulated)
        let shape = takesAll ? [a.testDescription] : boundaries
        var found: Set = [ConvolutionProperty.algorithm(algorithmClass), .shape(shape, algorithm: try shapeClass)]
        for request in requests {
            let boundaries = tileBoundaries(request, a.problem(pass))
            for part in try kernels.compiled(request) {
                found.insert(.kernel(part.text, tile: boundaries.filter(part.knows)))
            }
        }
        return found
    }

    /// On which side of each boundary the shape lies.
    private var boundaries: [String] {
        let problem = a.problem(pass)
        let (source, target, reach) = (problem.source, problem.target, a.dilation * (a.kernel / 2))
        var found = ["kernel \(a.kernel)", "stride \(a.stride)"]
        func note(_ name: String, _ holds: Bool) { if holds { found.append(name) } }
        note("batch", a.n > 1)
        note("one row", target.height == 1)
        note("one column", target.width == 1)
        note("source pads", source.channels != source.storedChannels)
        note("target pads", target.channels != target.storedChannels)
        note("compact", a.compact)
        note("bias", a.bias)
        note("dilated", a.dilation > 1)
        note("dilated beyond rows", a.dilation > 1 && reach >= a.h)
        note("dilated beyond columns", a.dilation > 1 && reach >= a.w)
        note("no padding", a.kernel > 1 && a.padding == 0)
        note("pixels of padding alone", a.padding >= a.dilation * (a.kernel - 1) + 1)
        return found
    }

    private func tileBoundaries(_ request: LaunchRequest, _ problem: ConvolutionProblem) -> [String] {
        let (source, target) = (problem.source, problem.target)
        var found: [String] = []
        func along(_ name: String, _ extent: Int, _ tile: Int) {
            found.append(name + (extent % tile == 0 ? " whole" : " cut") + (extent > tile ? ", several" : ", one"))
        }
        switch (request.file, request.kernel) {
        case ("convolution_cpu", _):
            let tile = request.option("PT") ?? 1
            along("pixels", problem.geometry.isPointwise ? target.rows : target.width, tile)
        case ("convolution_cpu_panels", _):
            let width = 16 * (request.option("KV") ?? 1)
            let panel = PixelPanel(
                pixels: target.rows, tiles: target.storedChannels / width, width: width, depth: source.channels,
                hasOneTap: problem.geometry.isPointwise, accumulators: 6)
            along("pixels", target.rows, panel.span)
            along("tiles", target.storedChannels / width, panel.group)
            along("depth", source.channels, 4096 / width)
        case ("convolution_gpu", "convolution_gather"):
            along("rows", target.rows, request.option("TM") ?? 1)
            along("columns", target.storedChannels, request.option("TN") ?? 1)
            along("depth", source.channels, request.option("TK") ?? 1)
            // What a region counts: pixels and taps.
            let regions = request.arguments.compactMap { if case .int4(let part) = $0 { part } else { nil } }
            found.append("regions " + regions.map { $0.y == 0 ? "-" : $0.w == 0 ? "0" : "t" }.joined())
        case ("convolution_gpu", _):
            along("rows", source.channels, request.option("TM") ?? 1)
            along("columns", target.storedChannels, request.option("TN") ?? 1)
            along("depth", target.rows, request.option("TK") ?? 1)
            let taps = problem.geometry.kernelHeight * problem.geometry.kernelWidth
            found.append(request.size.global[2] > taps ? "split" : "whole")
        default: break
        }
        return found
    }
}

extension ConvolutionKernels {
    /// What has to be compiled of a kernel: every one as it is, but for registers that the device has not, on
    /// simulators, and where a CPU runs what is written for GPUs.
    func compiled(_ request: LaunchRequest) throws -> [CompiledPart] {
        if try isForeign || TestDevice.isSimulated { return [CompiledPart(text: request.programClass)] }
        return try isOnCPU ? request.parts : [CompiledPart(text: request.program)]
    }
}

/// A kernel as it is compiled, or what is compiled of it that others have too.
struct CompiledPart: Hashable {
    /// What of the kernel it is.
    enum Kind { case whole, tile, rest }

    let text: String
    var kind = Kind.whole

    /// Whether its code tells the sides of a tile's boundary apart: a tile has rows and columns and goes along the
    /// depth, all else of a kernel chooses what is summed.
    func knows(_ boundary: String) -> Bool {
        func isOf(_ extents: String...) -> Bool { extents.contains { boundary.hasPrefix($0 + " ") } }
        return switch kind {
        case .whole: true
        case .tile: isOf("rows", "columns", "depth")
        case .rest: !isOf("rows", "columns")
        }
    }
}

extension LaunchRequest {
    /// The kernel as it is compiled.
    var program: String { "\(file) \(kernel) " + options.joined(separator: " ") }

    /// A number among the options.
    func option(_ name: String) -> Int? {
        options.compactMap { $0.hasPrefix("-D\(name)=") ? Int($0.dropFirst(name.count + 3)) : nil }.first
    }

    /// Of a kernel for GPUs what CPUs, which compile each for seconds, look at: its tile with what is brought into it,
    /// and all else that it is; and where it is what training uses most, the whole of it, with every tile. Winograd's
    /// transforms go along one axis and then the other.
    fileprivate var parts: [CompiledPart] {
        switch file {
        case "convolution_gpu":
            let loads = kernel == "convolution_weights" ? ["-DX16", "-DY16"] : ["-DX16"]
            func some(_ names: [String]) -> [String] {
                options.filter { option in names.contains { option.hasPrefix($0 + "=") } }
            }
            let (tile, whole) = (some(Self.tile + loads), Set(some(["-DROW", "-DCOMPACT", "-DDIVISOR", "-DPLAIN"])))
            let rest = options.filter { option in !Self.tile.contains { option.hasPrefix($0 + "=") } }
            let isUsual =
                whole == ["-DDIVISOR=1", "-DPLAIN=1"] || whole == ["-DDIVISOR=1"] && !options.contains("-DMMA=2")
            func part(_ options: [String], _ kind: CompiledPart.Kind) -> CompiledPart {
                CompiledPart(text: "\(file) \(kernel) " + options.joined(separator: " "), kind: kind)
            }
            return [part(tile, .tile), part(rest, .rest)]
                + (isUsual ? [CompiledPart(text: program)] : [])
        case "convolution_winograd": return options.map { CompiledPart(text: "\(file) \(kernel) \($0)") }
        default: return [CompiledPart(text: program)]
        }
    }

    private static let tile = ["-DTM", "-DTN", "-DTK", "-DRM", "-DRN", "-DSTAGES"]

    /// The kernel as it is compiled, but for two things. How many pixels a CPU's tile has: those whose tiles are cut in
    /// as many chunks, all of one length or not, differ in the length of unrolled loops; kernel rows as taps know no
    /// chunks, and in which order work-items are numbered (`WEIGHTS_OUTER`) has nothing to do with either. And the tile
    /// of emulated matrix units where x has no channel padding, which is brought there by the functions that all other
    /// tiles of GPUs use, with every tile of theirs.
    var programClass: String {
        if options.contains("-DMMA=2"), options.contains(where: { $0.hasPrefix("-DROW") || $0.hasPrefix("-DCOMPACT") })
        {
            return "\(file) \(kernel) "
                + options.filter { option in !Self.tile.contains { option.hasPrefix($0) } }.joined(separator: " ")
        }
        guard file == "convolution_cpu", let pixels = option("PT") else { return program }
        let chunks = (pixels + 4) / 5
        let isChunked = !options.contains { $0.hasPrefix("-DWS") || $0.hasPrefix("-DWEIGHTS_OUTER") }
        let tile = pixels == 1 ? "1" : isChunked ? "in \(chunks) \(pixels % chunks == 0 ? "equal" : "unequal")" : "many"
        return "\(file) \(kernel) " + options.map { $0.hasPrefix("-DPT") ? "PT \(tile)" : $0 }.joined(separator: " ")
    }
}

/// Which trials are run, of all there are: enough that nothing any of them exercises is missing, with few programs to
/// compile.
struct ConvolutionSelection {
    /// One trial with what it exercises.
    struct Entry {
        let trial: ConvolutionTrial
        let requests: [LaunchRequest]
        let properties: Set<ConvolutionProperty>
        let programs: Set<String>

        init(_ trial: ConvolutionTrial) throws {
            self.trial = trial
            requests = try trial.requests()
            properties = try trial.properties(requests)
            programs = Set(requests.map { "\(trial.kernels.family) \($0.program)" })
        }
    }

    /// Which trials are looked at together.
    struct Key: Hashable, Sendable, CustomTestStringConvertible {
        let kernels: ConvolutionKernels
        let pass: ConvolutionProblem.Pass
        var testDescription: String { "\(kernels), \(pass.rawValue)" }

        static var all: [Key] {
            ConvolutionKernels.all.flatMap { kernels in
                ConvolutionProblem.Pass.all.map { Key(kernels: kernels, pass: $0) }
            }
        }
    }

    let all: [Key: [Entry]]
    let kept: [Key: [Entry]]

    private static let made = Result<ConvolutionSelection, any Error> { try ConvolutionSelection() }

    static func get() throws -> ConvolutionSelection { try made.get() }

    private init() throws {
        var all: [Key: [Entry]] = [:]
        for key in Key.all {
            all[key] = try ConvolutionCase.all.flatMap { a in
                try ConvolutionTrial.all(a, key.kernels, key.pass).map(Entry.init)
            }
        }
        self.all = all
        kept = Self.select(all, onCPU: Set(try ConvolutionKernels.all.filter { try $0.isOnCPU }))
    }

    /// Properties of one program first; those that leave a choice take what is compiled already, then what exercises
    /// most.
    ///
    /// - Parameter onCPU: kernels for GPUs, where the device is none.
    private static func select(_ all: [Key: [Entry]], onCPU: Set<ConvolutionKernels>) -> [Key: [Entry]] {
        var needs: [(key: Key, property: ConvolutionProperty, entries: [Int], programs: Int)] = []
        for key in Key.all {
            var having: [ConvolutionProperty: [Int]] = [:]
            let entries = all[key] ?? []
            for (index, entry) in entries.enumerated() {
                for property in entry.properties { having[property, default: []].append(index) }
            }
            needs += having.map { property, having in
                (key, property, having, Set(having.map { entries[$0].programs }).count)
            }
        }
        // An order that does not depend on hashes.
        needs.sort { ($0.programs, $0.entries.count, $0.entries[0]) < ($1.programs, $1.entries.count, $1.entries[0]) }
        var (compiled, chosen) = (Set<String>(), [Key: Set<Int>]())
        var covered: [Key: Set<ConvolutionProperty>] = [:]
        for (key, property, candidates, _) in needs where !covered[key, default: []].contains(property) {
            let entries = all[key] ?? []
            func worth(_ index: Int) -> (Int, Int, Int) {
                let (entry, known) = (entries[index], covered[key, default: []])
                return (
                    entry.programs.count { !compiled.contains($0) }, -entry.properties.count { !known.contains($0) },
                    entry.trial.a.multiplyAccumulates
                )
            }
            guard let best = candidates.map({ ($0, worth($0)) }).min(by: { $0.1 < $1.1 })?.0 else { continue }
            compiled.formUnion(entries[best].programs)
            covered[key, default: []].formUnion(entries[best].properties)
            chosen[key, default: []].insert(best)
        }
        // Whatever tile, the same bits: each is compared with another one of its case.
        for key in Key.all {
            let entries = all[key] ?? []
            for index in chosen[key, default: []].sorted() where entries[index].trial.givesCommonBits {
                let others = entries.indices.filter {
                    $0 != index && entries[$0].trial.a == entries[index].trial.a && entries[$0].trial.givesCommonBits
                }
                guard chosen[key, default: []].isDisjoint(with: others) else { continue }
                func news(_ other: Int) -> Int { entries[other].programs.count { !compiled.contains($0) } }
                guard let best = others.min(by: { news($0) < news($1) }) else { continue }
                // Tiles of what training uses most are all compiled.
                if onCPU.contains(key.kernels), news(best) > 0 { continue }
                compiled.formUnion(entries[best].programs)
                chosen[key, default: []].insert(best)
            }
        }
        return all.reduce(into: [:]) { kept, pair in
            let (key, entries) = pair
            kept[key] = chosen[key, default: []].sorted().map { entries[$0] }
        }
    }

    /// Trials of a key that exercise something that is not among what is covered.
    func missing(_ key: Key, covered: Set<ConvolutionProperty>) -> [Entry] {
        (all[key] ?? []).filter { !$0.properties.isSubset(of: covered) }
    }

    /// What is run of what there is, as `run/all`: trials by algorithm and kernels' programs by file.
    func table() -> String {
        func row(_ title: String, _ counts: [(String, Int, Int)]) -> String {
            "  \(title): " + counts.map { "\($0.0) \($0.1)/\($0.2)" }.joined(separator: ", ") + "\n"
        }
        func tally<Item: Hashable>(_ key: Key, _ items: (Entry) -> [(String, Item)]) -> [(String, Int, Int)] {
            func sets(_ entries: [Entry]?) -> [String: Set<Item>] {
                (entries ?? []).flatMap(items).reduce(into: [:]) { $0[$1.0, default: []].insert($1.1) }
            }
            let (run, every) = (sets(kept[key]), sets(all[key]))
            return every.keys.sorted().map { ($0, run[$0]?.count ?? 0, every[$0]?.count ?? 0) }
        }
        var text = ""
        for key in Key.all {
            text += "\(key.testDescription)\n"
            text += row("trials", tally(key) { [($0.trial.algorithmClass, $0.trial)] })
            text += row("compiled kernels", tally(key) { $0.requests.map { ($0.file, $0.program) } })
        }
        func programs(_ entries: [Key: [Entry]]) -> Int {
            Set(
                entries.flatMap { key, list in
                    list.flatMap(\.requests).map { "\(key.kernels.family) \($0.file) \($0.options)" }
                }
            ).count
        }
        func functions(_ entries: [Key: [Entry]]) -> Int { Set(entries.values.joined().flatMap(\.programs)).count }
        let trials = (kept.values.reduce(0) { $0 + $1.count }, all.values.reduce(0) { $0 + $1.count })
        text += "together: trials \(trials.0)/\(trials.1), programs \(programs(kept))/\(programs(all)), "
        return text + "compiled kernels \(functions(kept))/\(functions(all))"
    }
}
