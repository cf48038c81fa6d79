"""Times in PyTorch the cases that `adashare benchmark operators --json` has written.

    adashare benchmark operators --json ours.json
    python Benchmarks/peers/torch_operators.py --cases ours.json --json torch.json

Every case in both memory layouts, contiguous (NCHW) and channels-last (NHWC); rows hold both and the better one.
Passes of convolutions are timed one by one through ATen, so that a gradient that is not asked for costs nothing.
"""

import argparse
import json
import os
import sys
import time

import torch
import torch.nn.functional as F

LEAST_MS, MOST_RUNS = 100.0, 40
PRECISIONS = ("float32", "tf32", "bfloat16")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", required=True, help="rows of adashare benchmark operators")
    parser.add_argument("--repeats", type=int, default=5,
                        help="timed runs of each row, at least; short ones run more often")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="what convolutions multiply")
    parser.add_argument("--json", help="file for the rows")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats: found {options.repeats}, expected at least 1")
    return options


def image(shape, layout, device, dtype=torch.float32):
    """Random [N, H, W, C] as a PyTorch tensor [N, C, H, W] in a layout."""
    n, h, w, c = shape
    return torch.randn(n, c, h, w, device=device).to(dtype).contiguous(memory_format=layout)


def convolution(row, layout, device, dtype):
    x = image(row["input"], layout, device, dtype)
    k, size = row["outputs"], row["kernel"]
    w = torch.randn(k, x.shape[1], size, size, device=device).to(dtype).contiguous(memory_format=layout)
    window = ([row["stride"]] * 2, [row["padding"]] * 2, [row["dilation"]] * 2)
    y = F.conv2d(x, w, None, *window)
    if row["pass"] == "forward":
        return lambda: F.conv2d(x, w, None, *window)
    dy = torch.randn_like(y)
    mask = [row["pass"] == "data_gradient", row["pass"] == "weight_gradient", False]
    return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, *window, False, [0, 0], 1, mask)


def batch_norm(row, layout, device, dtype):
    x = image(row["input"], layout, device, dtype)
    gamma, beta = torch.rand(x.shape[1], device=device) + 0.5, torch.rand(x.shape[1], device=device)
    relu = row["kind"] == "batch_norm_relu"

    def forward():
        y = F.batch_norm(x, None, None, gamma, beta, training=True)
        return F.relu_(y) if relu else y

    if row["direction"] == "forward":
        return forward
    y, dy = forward(), torch.randn_like(x)
    mean = x.float().mean((0, 2, 3))
    inverse = 1 / torch.sqrt(x.float().var((0, 2, 3), unbiased=False) + 1e-5)

    def backward():
        d = torch.ops.aten.threshold_backward(dy, y, 0) if relu else dy
        return torch.ops.aten.native_batch_norm_backward(d, x, gamma, None, None, mean, inverse, True, 1e-5, [True] * 3)

    return backward


def max_pool(row, layout, device, dtype):
    x = image(row["input"], layout, device, dtype).requires_grad_()
    window = (row["kernel"], row["stride"], row["padding"])
    if row["direction"] == "forward":
        return lambda: F.max_pool2d(x.detach(), *window, ceil_mode=True)
    y = F.max_pool2d(x, *window, ceil_mode=True)
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, x, dy, retain_graph=True)


def cross_entropy(row, layout, device, _):
    x = image(row["input"], layout, device).requires_grad_()
    labels = torch.zeros(x.shape[0], *x.shape[2:], dtype=torch.long, device=device)
    return lambda: torch.autograd.grad(F.cross_entropy(x, labels, ignore_index=255), x)


def adam(row, layout, device, _):
    r, s, c, k = row["input"]
    weight = torch.randn(k, c, r, s, device=device).requires_grad_()
    weight.grad = torch.randn_like(weight)
    optimiser = torch.optim.Adam([weight], lr=1e-6, weight_decay=1e-4, fused=True)
    return optimiser.step


OTHERS = {"batch_norm": batch_norm, "batch_norm_relu": batch_norm, "max_pool": max_pool, "cross_entropy": cross_entropy,
          "adam": adam}


def least_ms(run, repeats, device):
    def once():
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e3

    once()
    runs = max(repeats, min(MOST_RUNS, int(LEAST_MS / once())))
    return min(once() for _ in range(runs))


def used_precision(options):
    """Only CUDA multiplies in TF32."""
    return "float32" if options.precision == "tf32" and options.device == "cpu" else options.precision


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
    torch.backends.cudnn.benchmark = options.device != "cpu"
    # Activations; weights, statistics and losses stay float32, but convolutions round their weights, ours within the
    # time.
    dtype = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    with open(options.cases, encoding="utf-8") as file:
        cases = json.load(file)["rows"]
    rows = []
    for row in cases:
        build = convolution if row["pass"] != "other" else OTHERS[row["kind"]]
        times = {}
        for name, layout in (("contiguous", torch.contiguous_format), ("channels_last", torch.channels_last)):
            with torch.set_grad_enabled(row["pass"] == "other"):
                times[name] = least_ms(build(row, layout, options.device, dtype), options.repeats, options.device)
            if row["kind"] == "adam":
                break
        best = min(times, key=times.get)
        rows.append({"case": row["case"], "pass": row["pass"], "direction": row["direction"], "torch_ms": times[best],
                     "torch_layout": best, "layouts": times})
        print(f"{row['case']}  {row['pass']}  {times[best]:.3f} ms, {best}", file=sys.stderr)
    report = {"environment": {"torch": torch.__version__, "threads": options.threads, "device": options.device,
                              "precision": used_precision(options)}, "rows": rows}
    if options.json:
        partial = options.json + ".partial"
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
        os.replace(partial, options.json)


if __name__ == "__main__":
    main()
