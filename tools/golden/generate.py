"""Writes every golden file, or with --check compares the files in a folder with fresh results.

    python tools/golden/generate.py --output Tests/Golden
    python tools/golden/generate.py --check Tests/Golden
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import formula
import golden_fusion
import golden_gates
import golden_images
import golden_networks as networks
import golden_operators

SIZE_LIMIT = 300_000
# How far float32 and float64 may part: a tenth of the engine's tolerance.
STEP_LIMIT = 1e-5
LIMITS = {"losses": 1e-4, "final": 1e-4, "bn_final": 1e-4, "delta": 2e-3}


def formula_file(salt):
    """Samples of the formula and the complete batch, for the other side's implementation of it."""
    tensors = {
        "uniform/example": formula.uniform(salt, "example", (16,)),
        "noise/0/task1": formula.noise(salt, "noise/0/task1", (networks.BLOCKS, 2)),
        "probe/backbone.conv1.weight": formula.symmetric(salt, "probe/backbone.conv1.weight", (16,), 1.0),
    }
    for name, shape, kind in (
        ("backbone.conv1.weight", (16, 3, 7, 7), "conv_weight"), ("backbone.bn1.weight", (16,), "bn_weight"),
        ("backbone.bn1.bias", (16,), "bn_bias"), ("task1_head.weight", (7, 128, 1, 1), "conv_weight"),
        ("task1_head.bias", (7,), "conv_bias"), ("task1_logits", (8, 2), "logits"),
    ):
        tensors[f"init/{name}"] = formula.initial_value(salt, name, shape, kind)
    batch = formula.batch(salt, *networks.INPUTS["light"], networks.OUTPUTS[0])
    for name, value in zip(("image", "segmentation", "normals", "depth"), batch):
        tensors[f"input/{name}"] = value
    return {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}


def stored(value):
    return (value if value.dtype == torch.int64 else value.float()).contiguous().clone()


def build_all(strict):
    """Yields (file name, tensors, metadata); if `strict`, exits when PyTorch parts too far from itself."""
    salt = networks.NETWORKS["network_warmup_light"][0]
    yield "formula", {k: stored(v) for k, v in formula_file(salt).items()}, {"salt": salt}
    yield "operators_convolution", golden_operators.convolutions(), {}
    yield "operators", golden_operators.operators(), {}
    cases = networks.NETWORKS | golden_images.NETWORKS | golden_fusion.NETWORKS | golden_gates.NETWORKS
    for name, (salt, build, settings) in cases.items():
        exact, single = build(salt, torch.float64), build(salt, torch.float32)
        worst = networks.agreement(exact.results, single.results)
        differences = ", ".join(f"{kind} {value:.1e}" for kind, value in worst.items())
        print(f"{name}: nearest kink {exact.first_margin:.1e} in the first step, {exact.margin:.1e} in all; "
              f"float32 against float64: {differences}", flush=True)
        for kind, value in worst.items():
            limit = LIMITS.get(kind, STEP_LIMIT)
            for module in (golden_fusion, golden_gates):
                if name in module.NETWORKS:
                    limit = module.LIMITS.get(kind, limit)
            if strict and value > limit:
                raise SystemExit(f"{name}: {kind} parts by {value:.1e}, expected at most {limit:.0e}; try another salt")
        metadata = {"salt": salt, **settings}
        metadata |= {f"agreement_{kind}": f"{value:.1e}" for kind, value in worst.items()}
        yield name, {k: stored(v) for k, v in exact.results.items()}, metadata


def check(folder):
    failed = False
    for name, tensors, _ in build_all(strict=False):
        found = load_file(folder / f"{name}.safetensors")
        if found.keys() != tensors.keys():
            print(f"{name}: names differ: {sorted(found.keys() ^ tensors.keys())}", file=sys.stderr)
            failed = True
            continue
        for key, value in tensors.items():
            scale = max(value.abs().max().item(), 1e-30)
            if (found[key].double() - value.double()).abs().max().item() > 1e-6 * scale:
                print(f"{name}: {key} differs from a fresh run", file=sys.stderr)
                failed = True
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--output", type=Path, help="folder to write to")
    group.add_argument("--check", type=Path, help="folder to compare with")
    parser.add_argument("--list", action="store_true", help="print every tensor name and shape written")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if arguments.check:
        return check(arguments.check)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, tensors, metadata in build_all(strict=True):
        path = arguments.output / f"{name}.safetensors"
        # One key only: the writer keeps several in no fixed order, and files should repeat byte for byte.
        save_file(tensors, path, metadata={"golden": json.dumps({"torch": torch.__version__, **metadata})})
        path.chmod(0o644)
        size = path.stat().st_size
        print(f"{path.name}: {len(tensors)} tensors, {size} bytes")
        if arguments.list:
            for key, value in tensors.items():
                print(f"  {key} {list(value.shape)}")
        if size > SIZE_LIMIT:
            print(f"{path}: {size} bytes, expected at most {SIZE_LIMIT}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
