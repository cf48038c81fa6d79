"""Runs small enough to be disturbed a thousand times, and what tools that disturb them have in common."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What differs between two runs of the same bits.
TIMES = {"time", "seconds", "images_per_second", "data_wait"}

TASKS = """tasks:
  - { name: segmentation, kind: segmentation, channels: 6 }
  - { name: depth, kind: depth }
dataset: { kind: scenes, count: 12, size: [32, 32], crop: [32, 32] }
model: { backbone: resnet18, width: 0.0625, head: light, dropout: 0 }
"""
TRAINING = """training:
  seed: 7
  batch: 2
  log_every: 1
  checkpoint_every: 2
  evaluate_every: 3
  warmup: { iterations: 1 }
  policy: { iterations: 3 }
  retrain: { iterations: 3 }
"""
POLICY = "policy: { curriculum_speed: 1, alternation: { weights: 1, logits: 1 }, samples: 2 }\n"
# About a second each: all phases, also with the baseline, and with several budgets in folders of their own; methods
# with one phase, with a phase for each task, and with networks of other shapes.
RUNS = {
    "adashare": TASKS + TRAINING + POLICY,
    "baseline": TASKS + TRAINING + "  hard_sharing_baseline: true\n" + POLICY,
    "budgets": TASKS + TRAINING + POLICY.replace(" }, samples", " }, budgets: [0.5, 1.0], samples"),
    "trials": TASKS + TRAINING + "  trials: { iterations: 28 }\n" + POLICY,
    "hard_sharing": TASKS + "method: hard_sharing\n" + TRAINING,
    "single_task": TASKS + "method: single_task\n" + TRAINING,
    "cross_stitch": TASKS + "method: cross_stitch\n" + TRAINING,
    "adashare_instance": TASKS + "method: adashare_instance\n" + TRAINING,
}


def find_binary(given):
    """The program to test: the one given, else the one built here."""
    if given:
        return str(pathlib.Path(given).resolve())
    for kind in ("release", "debug"):
        path = ROOT / ".build" / kind / "adashare"
        if path.exists():
            return str(path)
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: no built adashare: run `swift build -c release`, or pass --adashare")


def compiled(name, folder):
    """A library of Tests/Faults."""
    library = folder / f"{name}.so"
    compiler = shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")
    if not compiler:
        sys.exit("found no C compiler, expected cc, clang or gcc on the PATH")
    source = ROOT / "Tests" / "Faults" / f"{name}.c"
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return library


def scratch_folder(name):
    """In memory where the system has such a place: thousands of runs are written."""
    memory = pathlib.Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place)).resolve()


def finished(command, timeout=120, environment=None):
    """Exit code of a command, None after so many seconds, and the lines of standard error."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, "ADASHARE_LEAST_MEASURING": "1", **(environment or {})})
    # Second by second: a machine that was paused in between is no command that hangs.
    for _ in range(timeout):
        try:
            errors = process.communicate(timeout=1)[1]
            return process.returncode, errors.decode(errors="replace").splitlines()
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return None, process.communicate()[1].decode(errors="replace").splitlines()


class Bench:
    """A configuration, the undisturbed run of it, and the folder of disturbed ones."""

    def __init__(self, name, binary, folder, device=None):
        self.name, self.binary, self.device = name, binary, device
        self.folder = folder / name
        self.folder.mkdir()
        self.configuration = self.folder / "config.yml"
        self.configuration.write_text(RUNS[name])
        # Both have the same path while they are trained: nothing can differ by it.
        self.run, self.clean = self.folder / "run", self.folder / "clean"

    def train(self, resume=False, timeout=120, **environment):
        """Exit code, None after a timeout, and the lines of standard error."""
        command = [self.binary, "train", "--config", str(self.configuration), "--no-search", "--output", str(self.run)]
        command += ["--resume"] if resume else []
        command += ["--device", self.device] if self.device else []
        return finished(command, timeout, environment)

    def clear(self):
        shutil.rmtree(self.run, ignore_errors=True)

    def make_clean(self, warm=False, **environment):
        """The undisturbed run; of a warm one another has compiled the kernels."""
        for more in ([{}] if warm else []) + [environment]:
            self.clear()
            code, lines = self.train(**more)
            if code != 0:
                sys.exit(f"the undisturbed run of {self.name} failed: " + "\n".join(lines[-3:]))
        shutil.copytree(self.run, self.clean, symlinks=True)

    def differences(self, pairs_may_stay=False):
        """What a run has come to that the undisturbed one has not."""
        return list(compare(self.clean, self.run, pairs_may_stay))

    def check_resumed(self, pairs_may_stay=False):
        """Goes on with a run, without faults, and compares its end."""
        code, lines = self.train(resume=True)
        if code != 0:
            return [f"cannot be resumed ({code}): " + " / ".join(lines[-2:])]
        return self.differences(pairs_may_stay)


def problems_of_end(code, lines):
    """What is wrong with how a process ended that met with a fault."""
    if code is None:
        return ["it hung"]
    errors = [line for line in lines if line.startswith("Error: ")]
    if code < 0 or code >= 128:
        return [f"it ended with {code}: " + " / ".join(lines[-3:])]
    if code == 0:
        return [f"exit code 0 with {errors[0]}"] if errors else []
    return [] if len(errors) == 1 else [f"exit code {code} with {len(errors)} lines of error: {lines[-3:]}"]


def events(run):
    """The whole lines of a log."""
    try:
        lines = (run / "metrics.jsonl").read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def is_temporary(name):
    return name.startswith(".") and ".partial-" in name


def half_written(run):
    return sorted(str(path.relative_to(run)) for path in run.rglob(".*partial-*"))


def is_pair(name):
    """Whether a checkpoint is one to resume from, such as policy-0000300-open."""
    stem = name.removesuffix(".safetensors").removesuffix("-open")
    return stem.rpartition("-")[2].isdigit()


def folders(run):
    """The run's and those of runs that belong to it; of links, where they lead."""
    return [pathlib.Path(".")] + sorted(
        path.parent.relative_to(run) for path in run.glob("*/*/config.yml"))


def compare(clean, other, pairs_may_stay=False):
    """Differences of weights, policies, log and results."""
    if folders(clean) != folders(other):
        yield f"runs in {[str(path) for path in folders(clean)]} and {[str(path) for path in folders(other)]}"
    for part in folders(clean):
        yield from compare_one(clean / part, other / part, pairs_may_stay)
    left = half_written(other)
    if left:
        yield f"left behind: {left}"


def compare_one(clean, other, pairs_may_stay):
    def checkpoints(run):
        names = {path.name for path in (run / "checkpoints").glob("*.safetensors")}
        return {name for name in names if not is_pair(name)} if pairs_may_stay else names

    names = checkpoints(clean)
    if names != checkpoints(other):
        yield f"checkpoints {sorted(names)} and {sorted(checkpoints(other))}"
    files = [f"checkpoints/{name}" for name in sorted(names)] + ["policy.json", "algorithms.json"]
    files += [str(path.relative_to(clean)) for path in sorted(clean.glob("policies/*.json"))]
    files += [str(path.relative_to(clean)) for path in sorted(clean.glob("pictures/*.png"))]
    for name in files:
        mine, theirs = clean / name, other / name
        if mine.exists() != theirs.exists() or mine.exists() and mine.read_bytes() != theirs.read_bytes():
            yield f"{name} differs"
    logs = [
        [
            {name: value for name, value in event.items() if name not in TIMES}
            for event in events(run) if event["event"] != "resume"
        ]
        for run in (clean, other)
    ]
    if logs[0] != logs[1]:
        yield f"metrics.jsonl differs ({len(logs[0])} and {len(logs[1])} lines)"
    try:
        summaries = [json.loads((run / "summary.json").read_text()) for run in (clean, other)]
    except FileNotFoundError as error:
        yield f"{error.filename} is missing"
        return
    for name in ("metrics", "constant_guess", "hard_sharing", "policy", "cost"):
        if summaries[0].get(name) != summaries[1].get(name):
            yield f"summary.json, {name} differs"
