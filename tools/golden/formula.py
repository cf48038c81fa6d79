"""Numbers that any language can recompute bit for bit from a name and an index.

    h     = splitmix64(fnv1a64(utf8(salt + "/" + name)) + i)       64-bit, wrapping
    u     = (h >> 40) * 2^-24                                      exact in float32
    value = float32(float64(u - 0.5) * 2 * float64(float32(scale)))

Parameters and inputs of the golden networks come from here, so only results need to be stored.
"""

import math

import numpy as np


def fnv1a64(text):
    """64-bit FNV-1a hash of the UTF-8 bytes of `text`."""
    value = 0xCBF29CE484222325
    for byte in text.encode("utf-8"):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def hashes(salt, name, count):
    """splitmix64 of (hash of salt/name) + i for i in 0 ..< count, uint64."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a64(f"{salt}/{name}")) + np.arange(count, dtype=np.uint64)
        z = z + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(salt, name, shape):
    """u in [0, 1) with 24 bits, float64 holding exact float32 values, row-major order."""
    h = hashes(salt, name, math.prod(shape))
    return ((h >> np.uint64(40)).astype(np.float64) * 2.0**-24).reshape(shape)


def symmetric(salt, name, shape, scale):
    """Values in [-scale, scale), rounded once to float32."""
    u = uniform(salt, name, shape)
    return ((u - 0.5) * 2.0 * np.float64(np.float32(scale))).astype(np.float32)


def noise(salt, name, shape):
    """Gumbel uniforms (k + 1/2) * 2^-23 with k the top 23 bits of h; exact in float32, never 0 or 1."""
    h = hashes(salt, name, math.prod(shape))
    return (((h >> np.uint64(41)).astype(np.float64) + 0.5) * 2.0**-23).astype(np.float32).reshape(shape)


def initial_value(salt, name, shape, kind):
    """Initial parameter of a golden network; `kind` as in `adashare_reference.parameter_table`."""
    if kind == "conv_weight":
        return symmetric(salt, name, shape, math.sqrt(6.0 / math.prod(shape[1:])))
    if kind == "bn_weight":
        return (0.5 + uniform(salt, name, shape)).astype(np.float32)
    if kind in ("bn_bias", "conv_bias"):
        return symmetric(salt, name, shape, 0.1)
    if kind == "logits":
        return symmetric(salt, name, shape, 1.0)
    raise ValueError(f"parameter {name}: unknown kind {kind}")


def batch(salt, size, height, width, classes):
    """Network input and labels of the golden networks, NCHW.

    Returns image [N,3,H,W] float32; segmentation [N,H,W] int64 with 255 = ignore; normals [N,3,H,W] float32 colours in
    R,G,B order, invalid pixels 255; depth [N,1,H,W] float32, invalid pixels 0.
    """
    plane = (size, 1, height, width)
    image = symmetric(salt, "input/image", (size, 3, height, width), 2.0)
    segmentation = np.floor(uniform(salt, "input/segmentation", (size, height, width)) * (classes + 1)).astype(np.int64)
    segmentation[segmentation == classes] = 255
    normals = np.floor(uniform(salt, "input/normals", (size, 3, height, width)) * 255.0).astype(np.float32)
    holes = uniform(salt, "input/normals_holes", plane) < 0.125
    normals[np.broadcast_to(holes, normals.shape)] = 255.0
    depth = (0.5 + 4.0 * uniform(salt, "input/depth", plane)).astype(np.float32)
    depth[uniform(salt, "input/depth_holes", plane) < 0.125] = 0.0
    return image, segmentation, normals, depth
