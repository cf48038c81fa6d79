"""Time, memory and multiply-accumulates of one PyTorch step. Needs nothing from the process but the step itself."""

import ctypes
import gc
import json
import os
import resource
import statistics
import sys
import tempfile
import time

import torch


def synchronise(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_ms(step, device, warm_up, repeats):
    """Median ms of `repeats` runs after `warm_up` unmeasured ones, and their spread (max - min) / median."""
    for _ in range(warm_up):
        step()
    times = []
    for _ in range(repeats):
        synchronise(device)
        start = time.perf_counter()
        step()
        synchronise(device)
        times.append((time.perf_counter() - start) * 1e3)
    median = statistics.median(times)
    return median, (max(times) - min(times)) / median


def tensor_bytes(tensors):
    """Bytes of the distinct storages behind `tensors`."""
    storages = (t.untyped_storage() for t in tensors if t is not None)
    return sum({s.data_ptr(): s.nbytes() for s in storages}.values())


def optimiser_bytes(optimiser):
    if optimiser is None:
        return 0
    return tensor_bytes(v for state in optimiser.state.values() for v in state.values() if torch.is_tensor(v))


def saved_bytes(step, excluded):
    """Bytes of the distinct storages autograd keeps for the backward pass of one step.

    Parameters, buffers and inputs (`excluded`) are not counted again. Kept storages live until the backward pass, so
    an address stands for one storage.
    """
    known, kept = {t.untyped_storage().data_ptr() for t in excluded}, {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step()
    return sum(kept.values())


def allocated_peak(step, device):
    """Peak bytes a step allocates beyond what lives before it, from the allocator's own events.

    On a CPU every allocation and release of the tensor allocator is read from PyTorch's profiler; scratch memory a
    library allocates for itself (oneDNN) is not among them. On CUDA the caching allocator's peak is read.
    """
    gc.collect()
    if device.type == "cuda":
        synchronise(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        synchronise(device)
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.json")
        profile.export_chrome_trace(path)
        with open(path, encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
    changes = sorted(
        (event["ts"], index, event["args"]["Bytes"])
        for index, event in enumerate(events)
        if event.get("name") == "[memory]" and event["args"]["Device Type"] == 0)
    live = peak = 0
    for _, _, change in changes:
        live += change
        peak = max(peak, live)
    return peak


def release_free_memory():
    """Collects garbage and, with glibc, returns free heap pages to the system."""
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (AttributeError, OSError):
            pass  # Another C library: the resident figure is then an upper bound.


def resident_peak(step=None):
    """Peak resident bytes of the process during `step`; without one, what is resident now.

    Linux resets the mark first (`/proc/self/clear_refs`). Elsewhere the process's highest mark so far stands
    (`getrusage`), which earlier rows may have set.
    """
    release_free_memory()
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        if step:
            step()
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except OSError:
        if step:
            step()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def convolution_macs(network, step):
    """Multiply-accumulates of every convolution in one step, backward included.

    A convolution counts once forward, once more if its input needs a gradient, once more if its weight does.
    """
    total = 0

    def count(module, inputs, output):
        nonlocal total
        passes = 1
        if torch.is_grad_enabled():
            passes += int(inputs[0].requires_grad) + int(module.weight.requires_grad)
        total += passes * output.numel() * module.weight[0].numel()

    handles = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    try:
        step()
    finally:
        for handle in handles:
            handle.remove()
    return total
