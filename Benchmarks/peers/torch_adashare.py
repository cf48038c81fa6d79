"""Times AdaShare's steps in PyTorch: as published, every block computed for every task, one pass per task; or, with
`--style strong`, only selected blocks, shared by tasks that have gone the same way.

    python Benchmarks/peers/torch_adashare.py --backbone resnet34 --head light --size 224x224 --batch 4 \
        --policy configs/published/nyu_v2_3task.policy.json --open 4,16 --json torch.json

Rows and the way memory is measured: README.md beside this file.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile

import measure
import torch
from published_network import (
    BACKBONES, PublishedNetwork, gumbel_gates, random_label, regulariser, task_loss)

STEPS = ("inference", "retrain", "weights", "logits")
ALIASES = {"seg": "segmentation"}
WEIGHTS = {"segmentation": 1.0, "normals": 20.0, "depth": 3.0}
TEMPERATURE, SPARSITY, SHARING = 5.0, 0.001, 0.05


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", choices=BACKBONES, default="resnet34")
    parser.add_argument("--head", choices=("light", "four_rate"), default="light")
    parser.add_argument("--tasks", default="seg:40,normals:3,depth:1", help="NAME:CHANNELS, separated by commas")
    parser.add_argument("--size", default="224x224", help="HEIGHTxWIDTH in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--policy", action="append", default=[],
                        help="policy.json for inference and retrain, repeatable; without one all blocks are selected")
    parser.add_argument("--all-selected", action="store_true", help="also time all_selected beside the policies")
    parser.add_argument("--hard-sharing", action="store_true", help="also time all blocks in one pass for all tasks")
    parser.add_argument("--style", choices=("published", "strong"), default="published",
                        help="strong: skips blocks, shares what tasks have in common, folds batch norms in inference")
    parser.add_argument("--runtime", choices=("eager", "compile", "onnxruntime"), default="eager",
                        help="what runs the network: PyTorch, what torch.compile makes of it, or ONNX Runtime, which "
                             "only infers, in the strong style")
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--open", help="blocks with a free policy in weights and logits; default L/4,L")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", choices=("float32", "tf32", "bfloat16"), default="float32",
                        help="what convolutions multiply; bfloat16: by autocast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="file for the rows")
    options = parser.parse_args()
    blocks = sum(BACKBONES[options.backbone][1])

    def fail(key, found, expected):
        parser.error(f"{key}: found {found}, expected {expected}")

    def integers(key, text, separator, accepted, expected):
        try:
            values = [int(item) for item in text.split(separator)]
        except ValueError:
            fail(key, text, expected)
        if not all(accepted(value) for value in values):
            fail(key, text, expected)
        return values

    tasks = []
    for item in options.tasks.split(","):
        name, _, channels = item.partition(":")
        if not name or not channels.isdecimal() or int(channels) < 1:
            fail("--tasks", item, "NAME:CHANNELS, such as seg:40")
        tasks.append((ALIASES.get(name, name), int(channels)))
    options.tasks = tasks
    options.size = integers("--size", options.size, "x", lambda v: v > 0, "HEIGHTxWIDTH, such as 224x224")
    if len(options.size) != 2:
        fail("--size", "x".join(map(str, options.size)), "HEIGHTxWIDTH, such as 224x224")
    default_open = f"{blocks // 4},{blocks}"
    options.open = integers("--open", options.open or default_open, ",", lambda v: 1 <= v <= blocks,
                            f"numbers from 1 to {blocks}, the blocks of {options.backbone}")
    options.steps = options.steps.split(",")
    for step in options.steps:
        if step not in STEPS:
            fail("--steps", step, "some of " + ", ".join(STEPS))
    for key, value, least in (("--batch", options.batch, 1), ("--repeats", options.repeats, 1),
                              ("--warm-up", options.warm_up, 1), ("--threads", options.threads, 1)):
        if value < least:
            fail(key, value, f"at least {least}")
    if options.runtime == "onnxruntime":
        for key, value, expected in (("--style", options.style, "strong"), ("--device", options.device, "cpu"),
                                     ("--precision", options.precision, "float32"),
                                     ("--steps", ",".join(options.steps), "inference")):
            if value != expected:
                fail(key, value, f"{expected} with --runtime onnxruntime")
    if options.device != "cpu" and not torch.cuda.is_available():
        fail("--device", options.device, "cpu, as this PyTorch sees no CUDA device")
    options.policies = [read_policy(path, tasks, blocks, parser) for path in options.policy]
    if options.all_selected or not options.policies:
        options.policies.insert(0, ("all_selected", [[1] * blocks for _ in tasks]))
    if options.hard_sharing:
        options.policies.append(("hard_sharing", None))
    return options, blocks


def read_policy(path, tasks, blocks, parser):
    """(name, one list of L decisions per task) of a `policy.json`; tasks under their full names."""
    try:
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)["tasks"]
        rows = {ALIASES.get(name, name): row for name, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        parser.error(f'{path}: found {type(error).__name__}: {error}, expected {{"tasks": {{NAME: [1, 0, …]}}}}')
    decisions = []
    for name, _ in tasks:
        row = rows.get(name)
        if not isinstance(row, list) or len(row) != blocks or any(v not in (0, 1) for v in row):
            found = f"{len(row)} values" if isinstance(row, list) else "no list"
            parser.error(f"{path}: tasks.{name}: found {found}, expected {blocks} values 0 or 1, one per block")
        decisions.append(row)
    return os.path.basename(path).removesuffix(".json").removesuffix(".policy"), decisions


class Setting:
    """One row's network, data, gates and optimiser; `step()` runs one step."""

    def __init__(self, options, blocks, step, decisions, opened):
        torch.manual_seed(options.seed)
        device, (height, width) = torch.device(options.device), options.size
        network = PublishedNetwork(options.backbone, options.head, [c for _, c in options.tasks])
        self.is_strong = options.style == "strong"
        if self.is_strong and step == "inference":
            network.eval().fuse()
        self.network = network.to(device, memory_format=torch.channels_last)
        generator = torch.Generator().manual_seed(options.seed)
        image = torch.randn(options.batch, 3, height, width, generator=generator) * 60
        self.image = image.to(device, memory_format=torch.channels_last)
        self.labels = [
            random_label(name, channels, options.batch, height, width, generator).to(device)
            for name, channels in options.tasks]
        self.names = [name for name, _ in options.tasks]
        self.is_narrow = options.precision == "bfloat16"
        self.opened, self.optimiser, self.trained = opened, None, []
        self.closed = torch.tensor([1.0, 0.0], device=device).repeat(blocks - (opened or 0), 1)
        if self.is_strong:
            self.gates = decisions and [[bool(decision) for decision in row] for row in decisions]
            self.closed = [True] * len(self.closed)
        else:
            self.gates = decisions and [
                torch.tensor([[d, 1 - d] for d in row], dtype=torch.float32, device=device) for row in decisions]
        forward = self.network.selected if self.is_strong else self.network.forward
        self.forward, self.shared = forward, self.network.shared
        if options.runtime == "compile":
            self.forward, self.shared = torch.compile(self.forward), torch.compile(self.shared)
        self.logits = [torch.zeros(blocks, 2, device=device, requires_grad=step == "logits") for _ in self.names]
        self.step = getattr(self, f"run_{step}")
        self.network.train(step != "inference")
        if options.runtime == "onnxruntime":
            self.step = onnx_step(self.network, self.image, self.gates, options.threads)
        parameters = list(self.network.parameters())
        if step == "retrain":
            self.trained = parameters
            self.optimiser = torch.optim.Adam(parameters, lr=1e-3, betas=(0.5, 0.999), weight_decay=1e-4)
        elif step == "weights":
            self.trained = parameters
            self.optimiser = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, weight_decay=1e-4)
        elif step == "logits":
            self.network.requires_grad_(False)
            self.trained = self.logits
            self.optimiser = torch.optim.Adam(self.logits, lr=0.01, weight_decay=5e-4)

    def predict(self, gates):
        """Predictions in float32, whatever the network computes in."""
        with torch.autocast(self.image.device.type, dtype=torch.bfloat16, enabled=self.is_narrow):
            predictions = self.shared(self.image) if gates is None else self.forward(self.image, gates)
        return [prediction.float() for prediction in predictions]

    def mixed_gates(self):
        """The closed blocks' (1, 0) below the open blocks' soft gates, L of shape [2] per task.

        Closed gates stay apart from the open ones: joined in one tensor they would ask autograd for a gradient each,
        and the logit step would descend to the first block whatever is open.
        """
        return [[*self.closed, *gumbel_gates(z[-self.opened:], TEMPERATURE).unbind()] for z in self.logits]

    def update(self, gates, extra=0):
        self.optimiser.zero_grad(set_to_none=True)
        terms = zip(self.names, self.predict(gates), self.labels, strict=True)
        loss = sum(WEIGHTS.get(name, 1.0) * task_loss(name, y, label) for name, y, label in terms) + extra
        loss.backward()
        self.optimiser.step()

    def run_inference(self):
        with torch.no_grad():
            self.predict(self.gates)

    def run_retrain(self):
        self.update(self.gates)

    def run_weights(self):
        with torch.no_grad():
            gates = self.mixed_gates()
        self.update(gates)

    def run_logits(self):
        self.update(self.mixed_gates(), regulariser(self.logits, self.opened, SPARSITY, SHARING))

    def clear_gradients(self):
        if self.optimiser:
            self.optimiser.zero_grad(set_to_none=True)


def onnx_step(network, image, gates, threads):
    """One inference of a strong network in ONNX Runtime, on as many threads."""
    import onnxruntime

    class Inference(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, image):
            return tuple(self.network.shared(image) if gates is None else self.network.selected(image, gates))

    image = image.contiguous()
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "network.onnx")
        with contextlib.redirect_stdout(sys.stderr):
            torch.onnx.export(Inference().eval(), (image,), path, input_names=["image"], dynamo=True)
        session = onnxruntime.InferenceSession(path, session_options, providers=["CPUExecutionProvider"])
    pixels = {"image": image.numpy()}
    with torch.no_grad():
        wanted = Inference()(image)
    for ours, theirs in zip(wanted, session.run(None, pixels), strict=True):
        # Another network, or another input, would be as fast.
        torch.testing.assert_close(torch.from_numpy(theirs), ours, rtol=1e-3, atol=1e-3 * ours.abs().max().item())
    return lambda: session.run(None, pixels)


def count_macs(options, blocks, step, decisions, opened):
    """What the step computes in PyTorch, whatever runs it here."""
    eager = argparse.Namespace(**{**vars(options), "runtime": "eager"})
    setting = Setting(eager, blocks, step, decisions, opened)
    return measure.convolution_macs(setting.network, setting.step)


def measure_row(options, blocks, step, policy, decisions, opened, resident):
    """One row of the table; `resident` is the process's resident bytes before anything was built."""
    macs = count_macs(options, blocks, step, decisions, opened)
    setting = Setting(options, blocks, step, decisions, opened)
    device = setting.image.device
    ms, spread = measure.median_ms(setting.step, device, options.warm_up, options.repeats)
    fixed = [*setting.network.parameters(), *setting.network.buffers(), *setting.logits]
    data = [setting.image, *setting.labels]
    gradients = measure.tensor_bytes(p.grad for p in setting.trained)
    saved = measure.saved_bytes(setting.step, [*fixed, *data])
    parameters, optimiser = measure.tensor_bytes(fixed), measure.optimiser_bytes(setting.optimiser)
    setting.clear_gradients()
    # ONNX Runtime's memory does not come from PyTorch's allocator, and PyTorch's network is beside it.
    is_counted = options.runtime != "onnxruntime"
    transient = measure.allocated_peak(setting.step, device) if is_counted else None
    setting.clear_gradients()
    process = measure.resident_peak(setting.step) - resident if device.type == "cpu" and is_counted else None
    kept = [d for row in decisions or [] for d in row]
    return {
        "step": step, "policy": policy, "density": sum(kept) / len(kept) if kept else None, "open": opened,
        "ms": ms, "spread": spread, "macs": macs,
        "bytes": parameters + optimiser + transient if is_counted else None,
        "parameter_bytes": parameters, "gradient_bytes": gradients, "optimiser_bytes": optimiser,
        "saved_bytes": saved, "transient_peak_bytes": transient, "input_bytes": measure.tensor_bytes(data),
        "resident_bytes": process,
    }


def used_precision(options):
    """Only CUDA multiplies in TF32."""
    return "float32" if options.precision == "tf32" and options.device == "cpu" else options.precision


def main():
    options, blocks = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
    torch.backends.cudnn.benchmark = options.device != "cpu"
    resident = measure.resident_peak()
    device = torch.cuda.get_device_name() if options.device != "cpu" else platform.processor() or platform.machine()
    environment = {
        "torch": torch.__version__, "device": device, "threads": options.threads, "precision": used_precision(options),
        "backbone": options.backbone, "head": options.head, "tasks": dict(options.tasks),
        "style": options.style, "runtime": options.runtime, "size": options.size,
        "batch": options.batch, "repeats": options.repeats, "seed": options.seed,
    }
    print(" ".join(f"{key}={value}" for key, value in environment.items()), file=sys.stderr)
    print(f"{'step':<10}{'policy':<20}{'open':>5}{'ms':>11}{'spread':>8}{'GMAC':>9}{'MB':>9}{'saved MB':>10}"
          f"{'resident MB':>13}")
    rows = []
    for step in options.steps:
        if step in ("inference", "retrain"):
            cases = [(name, decisions, None) for name, decisions in options.policies]
        else:
            cases = [("soft", None, opened) for opened in options.open]
        for policy, decisions, opened in cases:
            row = measure_row(options, blocks, step, policy, decisions, opened, resident)
            rows.append(row)
            process, total = ("-" if row[key] is None else f"{row[key] / 1e6:.1f}"
                              for key in ("resident_bytes", "bytes"))
            print(f"{step:<10}{policy:<20}{opened or '-':>5}{row['ms']:>11.2f}{row['spread']:>8.3f}"
                  f"{row['macs'] / 1e9:>9.2f}{total:>9}{row['saved_bytes'] / 1e6:>10.1f}{process:>13}",
                  flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"environment": environment, "rows": rows}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
