import Foundation
import TestSupport
import Testing

@testable import AdaShareConfiguration

extension CommandLineTests {
    /// The quickstart's command, with empty caches as on a newcomer's machine: every line it prints is one of ours.
    @Suite(.needsDevice) struct SilenceTests {
        /// Short phases, all of them; few images, of the quickstart's size.
        private static let short = [
            "dataset.count=100", "training.batch=2", "training.log_every=1", "training.warmup.iterations=2",
            "training.policy.iterations=4", "training.retrain.iterations=2", "policy.alternation.weights=1",
            "policy.alternation.logits=1",
        ]

        /// Gives every program a warning, by a macro that the prelude defines too: which other warnings there are
        /// depends on the processor, and with AVX-512 there are none. Drivers other than pocl do not know the variable.
        private static let warning = ("POCL_EXTRA_BUILD_FLAGS", "-DFOR_RANGE=1")

        /// All phases, after a search, which compiles programs that nothing else needs; two images have convolutions
        /// that are large enough for one.
        @Test func quickstartPrintsNoLineThatIsNotOurs() throws {
            let folder = try TemporaryFolder()
            let caches = try ["POCL_CACHE_DIR", "XDG_CACHE_HOME"].map { name -> (String, String) in
                try FileManager.default.createDirectory(at: folder.file(name), withIntermediateDirectories: false)
                return (name, folder.file(name).path)
            }
            let configuration = Program.repository.appendingPathComponent("configs/quickstart.yml")
            let outcome = try Program.run(
                ["train", "--config", configuration.path, "--output", "runs/quickstart"]
                    + Self.short.flatMap { ["--set", $0] },
                in: folder.url, environment: Dictionary(uniqueKeysWithValues: caches + [Self.warning]))
            #expect(outcome.status == 0)
            try Lines.remarks.expect(outcome.errors)
            try Lines.answer.expect(outcome.output)
        }

        /// The patterns would let nothing else through.
        @Test(arguments: [
            "15 warnings generated.", "warning: unused variable 'x'", "note: expanded from macro 'FOR_RANGE'",
            "pocl error", "device", "Error: no", "note: ", "  ",
        ])
        func foreignLinesAreNoticed(line: String) throws {
            #expect(try Lines.remarks.name(of: line) == nil)
            #expect(try Lines.answer.name(of: line) == nil)
        }
    }
}

/// The lines one of the two outputs may have.
private struct Lines {
    /// A name for what a person would call the line, and its pattern; a line has to match a whole one.
    let patterns: [(name: String, pattern: String)]

    private static let number = #"(?:-?\d+(?:\.\d+)?(?:e-\d+)?|–)"#
    private static let time = #"(?:\d+ h \d+ min|\d+ min \d+ s|\d+ s)"#
    private static let phase = "(?:warmup|policy|retrain|baseline)"
    private static let task = "(?:segmentation|normals|depth)"

    static let remarks = Lines(patterns: [
        ("initial weights", #"note: initial weights \S+: \d+ of \d+ tensors are taken"#),
        ("device", #"device .+ \(\d+:\d+\), run folder runs/quickstart"#),
        ("side run", #"note: training policy at 0\.[64](, \d of \d)?, run folder runs/quickstart/retrain/0\.[64]"#),
        ("timing", "note: timing steps beside hard sharing"),
        (
            "disturbed timing",
            "note: other work disturbed the timing"
        ),
        ("choices", #"note: \d+ convolutions, \d+ of them measured: \w+ \d+(?:, \w+ \d+)*"#),
        ("search", "note: measuring the convolutions' algorithms, once for this device and these shapes"),
        (
            "memory",
            "note: \(phase) plans at most \(number) MB on the device for its training steps: \(number) of activations "
                + "and gradients, \(number) of parameters, optimiser state and inputs"
        ),
        (
            "step",
            #"\#(phase)  \d+/\d+(?:  \#(task) \#(number))+  total \#(number)  \#(number) images/s  "#
                + #"(?:waiting for data \#(number) %  )?\#(time) left(?:, of the run about \#(time))?"#
        ),
        (
            "phase",
            #"phase (?:\d of \d, )?\#(phase): (?:weights, with every block shared by all tasks|weights and the policy in turn|weights, under the policy|hard sharing, to compare with), \d+ steps"#
        ),
        (
            "curriculum",
            #"note: policy learning opens only the last \d+ of 8 blocks in \d+ iterations; the others stay selected "#
                + #"by every task\. All open needs training\.policy\.iterations >= 16 "#
                + #"\(or a smaller policy\.curriculum_speed\)"#
        ),
        (
            "policy against",
            #"note: policy for 0\.[64]: \d+ of \d+ decisions go against their probability, to stay within \d+ % of hard "#
                + "sharing"
        ),
        (
            "policy beyond",
            #"note: policy for 0\.[64]: no policy is within the budget of \d+ % of hard sharing: this one costs \#(number) %, "#
                + #"the cheapest \#(number) %"#
        ),
        (
            "policy foreseen",
            #"note: policy learning will end over the budget of \d+ % of hard sharing: what every task selects "#
                + #"costs \#(number) %"#
        ),
        ("one policy", "note: policy at 0.4 is the policy at 0.6, which is trained once"),
        (
            "end",
            #"results in runs/quickstart; next: adashare show runs/quickstart, adashare report runs/quickstart, "#
                + #"adashare predict --run runs/quickstart(?:/retrain/0\.[64])? --output FOLDER IMAGE\.\.\."#
        ),
        ("evaluation", #"\#(phase)  evaluating \d+/\d+"#),
        ("compiling", #"compiling kernels \d+/\d+"#),
        ("measuring", #"measuring convolutions \d+/\d+"#),
    ])

    static let answer = Lines(patterns: [
        ("empty", ""),
        ("rule", "─+"),
        (
            "policy title",
            #"Policy at (?:0\.[64]|0\.6 and 0\.4)(?:, over (?:the budget of 0\.[64]|its budgets?))? \(block × task, in brackets the probability of selecting\)"#
        ),
        ("policy header", "block +segmentation +normals +depth"),
        ("policy row", #"\d+ backbone\.blocks\.\d\.\d(?: +(?:select|skip) \(\#(number)\)(?: !)?){3} *"#),
        ("shared row", #"\d+ backbone\.blocks\.\d\.\d(?: +select){3}"#),
        ("shared", "select without a probability: not learned, every task selects the block"),
        ("policy mark", "! against its probability"),
        (
            "comparison title",
            "Accuracy against time, ms for steps of 2 images of 96×96 on .+"
        ),
        ("comparison gains", "gains over hard sharing on split test, exact convention"),
        ("comparison header", " *MACs +inference +training +segmentation +normals +depth +all tasks"),
        (
            "comparison row",
            #"(?:hard sharing|policy at 0\.[64](?: !)?) +\d+ %(?: +\#(number) +\d+ %){2}(?: +(?:[+−]\#(number) %|–)){4}"#
        ),
        (
            "verdict",
            #"policy at 0\.[64]: \#(number) × fewer multiply-accumulates"#
                + #"(?:, inference \#(number) × (?:faster|slower), training \#(number) × (?:faster|slower))?"#
        ),
        (
            "verdict on accuracy",
            #"  \#(task) [+−]\#(number) %(?:, \#(task) [+−]\#(number) %){2}; all tasks [+−]\#(number) % against hard sharing"#
        ),
        ("verdict on budget", "  planned over its budget"),
        (
            "disturbed timing",
            #"Other work disturbed these times, and they may be far off\. `train --resume` measures again once "#
                + #"tradeoff\.json is removed\."#
        ),
        ("one policy", "policy at 0.4 is the policy at 0.6, which was trained once(?:; over its budget)?"),
        ("over", "! over its budget"),
        ("seconds title", "Seconds per phase"),
        ("seconds header", "phase +seconds +waiting for data"),
        (
            "seconds row",
            #"(?:\#(phase)|retraining at 0\.[64]|\(compiling, since the last start\)) +\#(number) +(?:\#(number) %|–)"#
        ),
    ])

    func name(of line: String) throws -> String? {
        try patterns.first { try Regex($0.pattern).wholeMatch(in: line) != nil }?.name
    }

    /// Expects lines with names only, and every name.
    func expect(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        // What is still to come may be there or not, short evaluations are not told, and a policy may need no remark.
        let optional: Set = [
            "evaluation", "disturbed timing", "compiling", "measuring", "policy against", "policy beyond",
            "policy mark", "one policy", "over", "verdict on budget", "policy foreseen",
        ]
        var names: Set<String> = []
        var foreign: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) {
            if let name = try name(of: line) { names.insert(name) } else { foreign.append(line) }
        }
        #expect(foreign == [], sourceLocation: sourceLocation)
        #expect(text.isEmpty || text.hasSuffix("\n"), sourceLocation: sourceLocation)
        let expected = Set(patterns.map(\.name)).subtracting(optional)
        #expect(names.subtracting(optional) == expected, sourceLocation: sourceLocation)
    }
}
