"""Writes a full-size random checkpoint and its raw outputs on real pictures, for `compare_predict.py`.

    python tools/golden/predict_reference.py --output DIR [--policy FILE] [--seed 1] IMAGE...

Network: resnet34, width 1, four-rate heads, tasks segmentation 40, normals 3, depth 1. Weights are random with a scale
that keeps signals alive; running statistics are those of the first picture, so the evaluation mode sees plausible ones.
Writes `checkpoint.safetensors`, `hard_sharing/<stem>.safetensors` and, with a policy, `policy/<stem>.safetensors`.
"""

import argparse
import json
import math
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from adashare_reference import Network, Spec

TASKS = (("segmentation", 40), ("normals", 3), ("depth", 1))
SPEC = Spec("resnet34", 1.0, tuple(channels for _, channels in TASKS), "four_rate")
BGR_MEAN = (104.00698793, 116.66876762, 122.67891434)


def read_png(path):
    """8-bit RGB, not interlaced -> uint8 [H,W,3]; any other kind is a ValueError that names the file."""
    data = Path(path).read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path}: no PNG signature")
    position, compressed, header = 8, b"", None
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position:position + 8])
        body = data[position + 8:position + 8 + length]
        position += 12 + length
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            compressed += body
    width, height, depth, colour, _, _, interlace = header
    if (depth, colour, interlace) != (8, 2, 0):
        raise ValueError(f"{path}: bit depth {depth}, colour type {colour}, interlace {interlace}; expected 8, 2, 0")
    rows = np.frombuffer(zlib.decompress(compressed), np.uint8).reshape(height, 1 + 3 * width)
    image, above = np.zeros((height, width, 3), np.uint8), np.zeros((width, 3), np.int64)
    for y, row in enumerate(rows):
        line = unfilter(int(row[0]), row[1:].reshape(width, 3).astype(np.int64), above)
        image[y], above = line, line
    return image


def unfilter(kind, line, above):
    """Undoes one of PNG's five row filters; pixels are vectors of three channels."""
    if kind == 0:
        return line
    if kind == 1:
        return np.cumsum(line, axis=0) & 255
    if kind == 2:
        return (line + above) & 255
    left = corner = np.zeros(3, np.int64)
    out = np.empty_like(line)
    for x in range(len(line)):
        up = above[x]
        if kind == 3:
            guess = (left + up) // 2
        else:
            estimate = left + up - corner
            a, b, c = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
            guess = np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
        out[x] = (line[x] + guess) & 255
        left, corner = out[x], up
    return out


def network_input(path):
    """Picture -> [1,3,H,W] float32 in B,G,R order, 0..255 minus the mean."""
    bgr = torch.from_numpy(read_png(path)[..., ::-1].copy()).float() - torch.tensor(BGR_MEAN)
    return bgr.permute(2, 0, 1)[None].contiguous()


def random_network(seed, picture):
    """Kaiming-like random weights; running statistics measured on `picture`; evaluation mode."""
    generator = torch.Generator().manual_seed(seed)

    def initial(name, shape, kind):
        if kind == "conv_weight":
            return torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        if kind == "bn_weight":
            return 0.5 + torch.rand(shape, generator=generator)
        return 0.1 * torch.randn(shape, generator=generator)

    network = Network(SPEC, initial)
    network.momentum = 1.0
    with torch.no_grad():
        network.features(network_input(picture), [1] * len(SPEC.blocks))
    network.training = False
    return network


def checkpoint(network):
    """Every tensor under its published name, equal logits included."""
    tensors = {name: value.detach().contiguous() for name, value in (network.parameters | network.buffers).items()}
    for task in range(1, len(TASKS) + 1):
        tensors[f"task{task}_logits"] = torch.full((len(SPEC.blocks), 2), 0.5)
    return tensors


def read_policy(path):
    """Rows of 1 (select) and 0 (skip) in task order."""
    rows = json.loads(Path(path).read_text())["tasks"]
    for name, _ in TASKS:
        if len(rows.get(name, [])) != len(SPEC.blocks):
            raise ValueError(f"{path}: task {name} has {len(rows.get(name, []))} blocks, expected {len(SPEC.blocks)}")
    return [rows[name] for name, _ in TASKS]


def write_reference(folder, images, policy, seed):
    """Writes the checkpoint and the raw outputs below `folder`."""
    folder = Path(folder)
    network = random_network(seed, images[0])
    for name in ["hard_sharing"] + (["policy"] if policy else []):
        (folder / name).mkdir(parents=True, exist_ok=True)
    save_file(checkpoint(network), folder / "checkpoint.safetensors", metadata={"seed": str(seed)})
    decisions = read_policy(policy) if policy else None
    with torch.no_grad():
        for path in images:
            picture, stem = network_input(path), Path(path).stem
            write_outputs(folder / "hard_sharing" / f"{stem}.safetensors", network.hard_sharing(picture))
            if decisions:
                write_outputs(folder / "policy" / f"{stem}.safetensors", network.per_task(picture, decisions))


def write_outputs(path, outputs):
    save_file({name: output[0].contiguous() for (name, _), output in zip(TASKS, outputs)}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--policy", type=Path, help='{"tasks": {NAME: [1, 0, ...]}}, 1 = select')
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    arguments = parser.parse_args()
    write_reference(arguments.output, arguments.images, arguments.policy, arguments.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
