"""Metrics of every task kind in NumPy, over whole arrays in float64: what `Tests/Golden/metrics.json` holds.

    python tools/golden/golden_metrics.py --output Tests/Golden
    python tools/golden/golden_metrics.py --check Tests/Golden

Inputs come from the formula, salt `metrics`, so the file holds results alone: case -> convention -> metric -> number,
null where nothing can be measured. `Tests/TrainingTests/GoldenMetricsTests.swift` has the same cases.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import formula

SALT = "metrics"
# Of each image the label's size and the prediction's.
SIZES = [((17, 23), (3, 5)), ((8, 8), (8, 8)), ((9, 5), (1, 1)), ((6, 7), (12, 14))]
# The image that has no label at all.
EMPTY = 1
CLASSES = 7
# Never in a label, though predicted.
ABSENT = 3


def enlarged(values, size):
    """Nearest neighbour, source index floor(i * in / out)."""
    rows = np.arange(size[0]) * values.shape[0] // size[0]
    columns = np.arange(size[1]) * values.shape[1] // size[1]
    return values[rows][:, columns]


def prediction(case, image, size, channels, scale=1.0):
    name = f"{case}/{image}/prediction"
    return formula.symmetric(SALT, name, (*size, channels), scale).astype(np.float64)


def draws(case, image, what, shape):
    return formula.uniform(SALT, f"{case}/{image}/{what}", shape)


def mean(values):
    values = np.concatenate([np.ravel(v) for v in values]) if len(values) else np.array([])
    return float(np.mean(values)) if values.size else None


def root(value):
    return None if value is None else value ** 0.5


def percent(value):
    return None if value is None else 100 * value


# MARK: - Segmentation

def segmentation(case, ignored, is_empty=False):
    pairs, per_image = [], []
    for image, (size, small) in enumerate(SIZES):
        label = np.floor(draws(case, image, "label", size) * (CLASSES + 1)).astype(np.int64)
        label[(label == CLASSES) | (label == ABSENT)] = ignored
        if image == EMPTY or is_empty:
            label[:] = ignored
        predicted = enlarged(prediction(case, image, small, CLASSES), size).argmax(-1)
        valid = label != ignored
        pairs.append((label[valid], predicted[valid]))
        # Published Cityscapes counts pixels labelled -1, and counts them as wrong.
        counted = np.ones_like(valid) if ignored < 0 else valid
        if counted.any():
            per_image.append((label == predicted)[counted & valid].sum() / counted.sum())
    label, predicted = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    present, hit = [], []
    for c in range(CLASSES):
        if not (label == c).any():
            continue
        both, either = ((label == c) & (predicted == c)).sum(), ((label == c) | (predicted == c)).sum()
        present.append(both / either)
        if both:
            hit.append(both / either)
    published = mean([hit]) if hit else (0.0 if present else None)
    return {
        "published": {"miou": percent(published), "pixel_accuracy": percent(mean([per_image]))},
        "exact": {"miou": percent(mean([present])), "pixel_accuracy": percent(mean([label == predicted]))},
    }


# MARK: - Normals

def unit(vectors):
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 0, vectors / np.where(length > 0, length, 1), vectors)


def angles(left, right):
    cosine = np.clip((unit(left) * unit(right)).sum(-1), -1, 1)
    degrees = np.degrees(np.arccos(cosine))
    within = {f"within_{limit:g}": percent(float(np.mean(degrees <= limit))) for limit in (11.25, 22.5, 30)}
    return {
        "angle_mean": float(degrees.mean()), "angle_median": float(np.median(degrees)),
        "angle_rmse": float(np.sqrt((degrees ** 2).mean())), **within, "cosine": float(cosine.mean()),
    }


def normals(case, is_published):
    outputs, colours = [], []
    for image, (size, small) in enumerate(SIZES):
        colour = np.floor(draws(case, image, "label", (*size, 3)) * 256)
        if image == EMPTY:
            colour[..., 1] = 255
        output = prediction(case, image, small, 3)
        output[0, 0] = 0
        output = enlarged(output, size)
        valid = colour.max(-1) < 255
        outputs.append(output[valid])
        colours.append(colour[valid])
    output, colour = np.concatenate(outputs), np.concatenate(colours)
    # Heads of published networks give B, G, R.
    direction = output[:, ::-1] if is_published else unit(output)
    return {
        "published": angles(direction if is_published else direction + 1, colour),
        "exact": angles(direction, colour / 127.5 - 1),
    }


# MARK: - Depth

def depth(case):
    errors, relatives, ratios, signs, logs, images = [], [], [], [], [], []
    for image, (size, small) in enumerate(SIZES):
        label = (0.5 + 4 * draws(case, image, "label", size)).astype(np.float32).astype(np.float64)
        label[draws(case, image, "holes", size) < 0.25] = 0
        if image == EMPTY:
            label[:] = 0
        guess = prediction(case, image, small, 1, 6.0)[..., 0]
        guess[0, 0] = 0
        guess = enlarged(guess, size)
        valid = label > 3e-5
        g, p = label[valid], guess[valid]
        if not g.size:
            continue
        error = np.abs(p - g)
        errors.append(error)
        relatives.append(error / g)
        images.append((error.mean(), (error / g).mean()))
        with np.errstate(divide="ignore"):
            ratios.append(np.maximum(p / g, g / p))
        signs.append(p > 0)
        logs.append((np.log10(p[p > 0]) - np.log10(g[p > 0])) ** 2)
    ratio, positive = np.concatenate(ratios), np.concatenate(signs)

    def results(absolute, relative, counts):
        deltas = {
            f"delta_1.25{'' if n == 1 else f'^{n}'}": percent(float(np.mean((ratio < 1.25 ** n) & counts)))
            for n in (1, 2, 3)
        }
        return {
            "absolute_error": absolute, "relative_error": relative, **deltas,
            "rmse": root(mean([e ** 2 for e in errors])), "log10_rmse": root(mean(logs)),
        }

    return {
        "published": results(float(np.mean([i[0] for i in images])), float(np.mean([i[1] for i in images])), True),
        "exact": results(mean(errors), mean(relatives), positive),
    }


def never_positive(case):
    """Depth of a network that has only negative outputs: no logarithm."""
    label = (0.5 + 4 * draws(case, 0, "label", (6, 7))).astype(np.float32).astype(np.float64)
    guess = -1.0
    error = np.abs(guess - label)
    ratio = np.maximum(guess / label, label / guess)

    def results(counts):
        deltas = {
            f"delta_1.25{'' if n == 1 else f'^{n}'}": percent(float(np.mean((ratio < 1.25 ** n) & counts)))
            for n in (1, 2, 3)
        }
        return {
            "absolute_error": float(error.mean()), "relative_error": float((error / label).mean()), **deltas,
            "rmse": float(np.sqrt((error ** 2).mean())), "log10_rmse": None,
        }

    return {"published": results(True), "exact": results(False)}


# MARK: - Strengths, classes of images

def keypoints(case):
    errors, images = [], []
    for image, (size, small) in enumerate(SIZES):
        label = formula.symmetric(SALT, f"{case}/{image}/label", size, 1.0).astype(np.float64)
        label[draws(case, image, "holes", size) < 0.25] = 255
        if image == EMPTY:
            label[:] = 255
        guess = enlarged(prediction(case, image, small, 1)[..., 0], size)
        error = np.abs(guess - label)[label != 255]
        if error.size:
            errors.append(error)
            images.append(error.mean())
    return {
        "published": {"absolute_error": float(np.mean(images))}, "exact": {"absolute_error": mean(errors)},
    }


def classification(case):
    ranks = []
    for image in range(24):
        scores = prediction(case, image, (1, 1), 12)[0, 0]
        label = int(draws(case, image, "label", (1,))[0] * 13)
        if label == 12:
            continue
        # An equal score counts as better.
        if image == 5:
            scores[(label + 1) % 12] = scores[label]
        ranks.append((scores >= scores[label]).sum() - 1)
    ranks = np.array(ranks)
    top = {"top_1": percent(float(np.mean(ranks < 1))), "top_5": percent(float(np.mean(ranks < 5)))}
    return {"published": top, "exact": top}


def build():
    return {
        "segmentation": segmentation("segmentation", 255),
        "segmentation_negative": segmentation("segmentation_negative", -1),
        "segmentation_empty": segmentation("segmentation_empty", 255, is_empty=True),
        "normals_exact": normals("normals_exact", False),
        "normals_published": normals("normals_published", True),
        "depth": depth("depth"),
        "depth_negative": never_positive("depth_negative"),
        "keypoints": keypoints("keypoints"),
        "classification": classification("classification"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", type=Path)
    place.add_argument("--check", type=Path)
    options = parser.parse_args()
    text = json.dumps(build(), indent=1) + "\n"
    if options.output:
        (options.output / "metrics.json").write_text(text)
    elif (options.check / "metrics.json").read_text() != text:
        sys.exit("golden_metrics: metrics.json differs from a fresh run")


if __name__ == "__main__":
    main()
