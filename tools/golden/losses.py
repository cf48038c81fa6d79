"""Task losses and policy regularisers in both named forms (`paper`/`published`, `exact`/`published`)."""

import torch
import torch.nn.functional as F

NORMALISE_EPS = 1e-12
DEPTH_FLOOR = 3e-5


def resize_nearest(labels, height, width):
    """Nearest neighbour, source index floor(i * in / out); the last two axes are spatial."""
    rows = torch.arange(height) * labels.shape[-2] // height
    columns = torch.arange(width) * labels.shape[-1] // width
    return labels[..., rows[:, None], columns[None, :]]


def cross_entropy(logits, labels, weights=None, ignore=255):
    """Softmax cross-entropy, mean over pixels whose label is not `ignore`; with class weights, the weighted mean."""
    return F.cross_entropy(logits, labels, weight=weights, ignore_index=ignore)


def cosine(prediction, colours, form):
    """1 - mean cosine over pixels whose largest channel is below 255. `colours`: [N,3,H,W], 0..255, R,G,B.

    exact: colours decoded to v/127.5 - 1 and compared with outputs (n_x, n_y, n_z). published: raw colours, outputs in
    B,G,R order. Both vectors are divided by max(norm, 1e-12).
    """
    valid = (colours.amax(1) < 255).to(prediction.dtype)
    target = colours / 127.5 - 1 if form == "exact" else colours.flip(1)
    dot = (F.normalize(prediction, dim=1, eps=NORMALISE_EPS) * F.normalize(target, dim=1, eps=NORMALISE_EPS)).sum(1)
    return 1 - (dot * valid).sum() / valid.sum()


def masked_l1(prediction, target, mask):
    """Mean absolute error over pixels where `mask` is 1."""
    return ((prediction - target).abs() * mask).sum() / mask.sum()


def depth_mask(target):
    return (target > DEPTH_FLOOR).to(target.dtype)


def sparsity(logits, form, opened, weighted=False):
    """Logits [K,L,2]; only the last `opened` blocks count.

    paper: Σ_k Σ_l log α. published: Σ_k mean_l -log(1 - α), with `weighted` each block times 2l/L, l from 1 at the
    bottom of the network.
    """
    K, L, _ = logits.shape
    log_probabilities = F.log_softmax(logits, -1)[:, L - opened:]
    if form == "paper":
        return log_probabilities[..., 0].sum()
    penalty = -log_probabilities[..., 1]
    if weighted:
        penalty = penalty * (2.0 * torch.arange(L - opened + 1, L + 1, dtype=logits.dtype) / L)
    return penalty.mean(1).sum()


def sharing(logits, form):
    """Logits [K,L,2], all L blocks, all pairs k1 < k2.

    paper: Σ ((L-l)/L) |α1 - α2|. published: Σ (l/L) |z1 - z2| on the raw select logits. l = 1 ... L from bottom to top.
    """
    K, L, _ = logits.shape
    l = torch.arange(1, L + 1, dtype=logits.dtype)
    values = F.softmax(logits, -1)[..., 0] if form == "paper" else logits[..., 0]
    weights = (L - l) / L if form == "paper" else l / L
    return sum((weights * (values[a] - values[b]).abs()).sum() for a in range(K) for b in range(a + 1, K))
