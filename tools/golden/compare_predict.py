"""Runs `adashare predict --raw` on a full-size random network and compares with PyTorch, element by element.

    python tools/golden/compare_predict.py --adashare PATH --work DIR [--device SEL] IMAGE...

Hard sharing (no policy file) and a policy that skips differently per task must both agree to 1e-4 of the output's range
(max - min of PyTorch's tensor). As a negative control the two settings must *not* agree with each other. Exit code 0 if
both hold.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file

from predict_reference import SPEC, TASKS, write_reference

TOLERANCE = 1e-4
# Published NYU v2 3-task policy plus a stage's first block, so that a bare projection is met too.
SKIPPED = {"segmentation": {7}, "normals": {4, 10, 11, 12}, "depth": {6, 11, 12}}
CONFIG = """tasks:
  - {name: segmentation, kind: segmentation, channels: 40, weight: 1}
  - {name: normals, kind: normals, channels: 3, weight: 20}
  - {name: depth, kind: depth, channels: 1, weight: 3}
model:
  backbone: resnet34
  width: 1.0
  head: four_rate
"""


def largest_difference(expected_folder, found_folder, images):
    """Largest |difference| over range of any tensor, one line printed each; infinity if one is missing or misshapen."""
    worst = 0.0
    for image in images:
        name = f"{Path(image).stem}.safetensors"
        expected, found = load_file(expected_folder / name), load_file(found_folder / name)
        for task, _ in TASKS:
            reference, value = expected[task], found.get(task)
            if value is None or value.shape != reference.shape:
                shape = "no tensor" if value is None else list(value.shape)
                print(f"{found_folder / name}: {task}: {shape}, expected {list(reference.shape)}", file=sys.stderr)
                return float("inf")
            # A NaN must not slip through: max() with it would depend on the order.
            if not value.isfinite().all():
                print(f"{found_folder / name}: {task} has values that are not finite", file=sys.stderr)
                return float("inf")
            gap = ((value - reference).abs().max() / (reference.max() - reference.min())).item()
            print(f"{found_folder.name} {Path(image).stem} {task} {list(reference.shape)}: {gap:.1e} of the range")
            worst = max(worst, gap)
    return worst


def predict(arguments, folder, policy):
    command = [arguments.adashare, "predict", "--config", arguments.work / "config.yml",
               "--checkpoint", arguments.work / "reference" / "checkpoint.safetensors", "--raw", "--output", folder]
    command += ["--policy", policy] if policy else []
    command += ["--device", arguments.device] if arguments.device else []
    subprocess.run([str(part) for part in [*command, *arguments.images]], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adashare", type=Path, required=True, help="the built command line program")
    parser.add_argument("--work", type=Path, required=True, help="folder for files, about 400 MB")
    parser.add_argument("--device", help="passed on to the program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    arguments = parser.parse_args()

    arguments.work.mkdir(parents=True, exist_ok=True)
    policy = arguments.work / "policy.json"
    blocks = range(1, len(SPEC.blocks) + 1)
    policy.write_text(json.dumps({"tasks": {k: [int(b not in v) for b in blocks] for k, v in SKIPPED.items()}}))
    (arguments.work / "config.yml").write_text(CONFIG)
    reference, found = arguments.work / "reference", arguments.work / "adashare"
    write_reference(reference, arguments.images, policy, arguments.seed)
    predict(arguments, found / "hard_sharing", None)
    predict(arguments, found / "policy", policy)

    parts = ("hard_sharing", "policy")
    worst = max(largest_difference(reference / part, found / part, arguments.images) for part in parts)
    print("control, PyTorch's policy against its hard sharing:")
    control = largest_difference(reference / "policy", reference / "hard_sharing", arguments.images)
    print(f"largest difference {worst:.1e} (at most {TOLERANCE:.0e}); control {control:.1e} (must be above)")
    return 0 if worst <= TOLERANCE < control else 1


if __name__ == "__main__":
    sys.exit(main())
