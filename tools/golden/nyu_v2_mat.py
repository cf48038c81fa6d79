#!/usr/bin/env python3
"""Writes the small files of MATLAB 7.3 and 5 that Tests/DatasetsTests/NYUv2MatTests.swift reads.

    python -m pip install h5py==3.16.0 scipy==1.17.1
    python tools/golden/nyu_v2_mat.py --output Tests/Golden

They are laid out as nyu_depth_v2_labeled.mat is: a MATLAB header before the HDF5 file, axes from the other end, arrays
in compressed chunks, names as references. Every value is a formula of its place, which the test repeats. h5py 3.16.0
writes the same bytes on every run. nyu_v2_splits.mat is as splits.mat and classMapping40.mat are, of MATLAB 5.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np
import scipy.io

IMAGES, WIDTH, HEIGHT, LABELS = 3, 4, 2, 6


def write(path, arrays):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, chunks=(2, *values.shape[1:]), compression="gzip", track_times=False)
        words = [
            file.create_dataset(f"#refs#/{index}", data=np.array([[ord(letter)] for letter in word], np.uint16),
                                track_times=False)
            for index, word in enumerate(["wall", "floor", "bed", "lamp", "cup", "door"])
        ]
        names = file.create_dataset("names", (1, LABELS), dtype=h5py.ref_dtype, track_times=False)
        names[0, :] = [word.ref for word in words]
    header = b"MATLAB 7.3 MAT-file, written by tools/golden/nyu_v2_mat.py".ljust(124) + b"\x00\x02IM"
    with open(path, "r+b") as file:
        file.write(header)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder")
    folder = parser.parse_args().output
    n, c, x, y = np.indices((IMAGES, 3, WIDTH, HEIGHT))
    images = (100 * n + 50 * c + 10 * x + y).astype(np.uint8)
    n, x, y = np.indices((IMAGES, WIDTH, HEIGHT))
    depths = (1 + n + x / 4 + y / 8).astype(np.float32)
    labels = ((n + 2 * x + y) % (LABELS + 1)).astype(np.uint16)
    write(folder / "nyu_v2_mat.mat", {"images": images, "depths": depths, "labels": labels})
    # Depths as if somebody had turned them round, labels of another type.
    wrong = {"images": images, "depths": depths.transpose(0, 2, 1).copy(), "labels": labels.astype(np.float64)}
    write(folder / "nyu_v2_mat_wrong.mat", wrong)
    splits = folder / "nyu_v2_splits.mat"
    scipy.io.savemat(splits, {
        "trainNdxs": np.array([[3], [1]], np.float64), "testNdxs": np.array([[2]], np.uint16),
        "mapClass": np.array([[2, 1, 0, 2, 1, 3]], np.float64), "className": np.array(["wall", "floor"], object),
        "signed": np.array([[-1, 2], [300, -70000]], np.int32), "single": np.array([[0.5]], np.float32),
    }, do_compression=True)
    with open(splits, "r+b") as file:
        # scipy writes the date.
        file.write(b"MATLAB 5.0 MAT-file, written by tools/golden/nyu_v2_mat.py".ljust(116))


if __name__ == "__main__":
    main()
