"""AdaShare's network and losses in two styles, the peers the engine is timed against.

`forward`, the published style: every residual block is computed for every task and mixed with its residual path by two
gates, also where a gate is 0; the backbone, stem included, runs once per task. `selected`, what a user who wants speed
would write: blocks that a task skips are not computed for it, and tasks that have gone the same way share what they
have computed. Written from the method's definitions with the layers PyTorch offers.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BACKBONES = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
}
WIDTHS, STRIDES, DILATIONS = (64, 128, 256, 512), (1, 2, 1, 1), (1, 1, 2, 4)
RATES, HIDDEN = (6, 12, 18, 24), 1024


def convolution_norm(inputs, outputs, size, stride=1, dilation=1):
    """A convolution that keeps the size at stride 1, without bias, and its batch norm."""
    pad = dilation * (size // 2)
    return nn.Conv2d(inputs, outputs, size, stride, pad, dilation, bias=False), nn.BatchNorm2d(outputs)


def residual_branch(bottleneck, inputs, planes, stride, dilation):
    """F(x) of a block, [N, inputs, H, W] -> [N, planes · expansion, H/stride, W/stride], without the final ReLU."""
    if bottleneck:
        return nn.Sequential(
            *convolution_norm(inputs, planes, 1, stride), nn.ReLU(inplace=True),
            *convolution_norm(planes, planes, 3, 1, dilation), nn.ReLU(inplace=True),
            *convolution_norm(planes, planes * 4, 1))
    return nn.Sequential(
        *convolution_norm(inputs, planes, 3, stride, dilation), nn.ReLU(inplace=True),
        *convolution_norm(planes, planes, 3, 1, dilation))


class FourRateHead(nn.Module):
    """Four dilated branches, summed; dropout 0.5 in training."""

    def __init__(self, features, outputs):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(features, HIDDEN, 3, 1, rate, rate), nn.ReLU(inplace=True), nn.Dropout(0.5),
                nn.Conv2d(HIDDEN, HIDDEN, 1), nn.ReLU(inplace=True), nn.Dropout(0.5),
                nn.Conv2d(HIDDEN, outputs, 1))
            for rate in RATES)

    def forward(self, x):
        return sum(branch(x) for branch in self.branches)


class PublishedNetwork(nn.Module):
    """Stem, gated dilated ResNet and one head per task.

    `outputs` lists the channels per task; `head` is `light` (one 1×1 convolution) or `four_rate`.
    """

    def __init__(self, backbone, head, outputs):
        super().__init__()
        bottleneck, counts = BACKBONES[backbone]
        expansion = 4 if bottleneck else 1
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1, ceil_mode=True))
        self.blocks, self.projections, channels = nn.ModuleList(), nn.ModuleList(), 64
        for planes, count, stride, dilation in zip(WIDTHS, counts, STRIDES, DILATIONS, strict=True):
            for block in range(count):
                first, out = block == 0, planes * expansion
                projects = first and (stride != 1 or channels != out or dilation > 1)
                self.blocks.append(residual_branch(bottleneck, channels, planes, stride if first else 1, dilation))
                self.projections.append(
                    nn.Sequential(*convolution_norm(channels, out, 1, stride)) if projects else nn.Identity())
                channels = out
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
        self.heads = nn.ModuleList(
            nn.Conv2d(channels, count, 1) if head == "light" else FourRateHead(channels, count) for count in outputs)

    def features(self, image, gates):
        """One task's pass; `gates`: L pairs (select, skip)."""
        x = self.stem(image)
        for block, projection, gate in zip(self.blocks, self.projections, gates, strict=True):
            residual = projection(x)
            x = gate[0] * F.relu(residual + block(x), inplace=True) + gate[1] * residual
        return x

    def forward(self, image, gates):
        """`image`: [N, 3, H, W]; `gates`: L pairs per task. Returns one [N, outputs, h, w] per task."""
        features = [self.features(image, task) for task in gates]
        return [head(x) for head, x in zip(self.heads, features, strict=True)]

    def selected(self, image, gates):
        """The same predictions with only the work that they need.

        `gates`: L per task, each True, False, or a pair of soft gates as for `forward`. Tasks part where their gates
        differ.
        """
        groups = [(range(len(gates)), self.stem(image))]
        for block, projection, gate in zip(self.blocks, self.projections, zip(*gates, strict=True), strict=True):
            parted = []
            for tasks, x in groups:
                selecting, skipping = ([task for task in tasks if gate[task] is value] for value in (True, False))
                residual = projection(x)
                if len(skipping) < len(tasks):
                    full = F.relu(residual + block(x), inplace=True)
                mixed = [([task], gate[task][0] * full + gate[task][1] * residual)
                         for task in tasks if not isinstance(gate[task], bool)]
                parted += mixed
                parted += [(selecting, full)] if selecting else []
                parted += [(skipping, residual)] if skipping else []
            groups = parted
        features = {task: x for tasks, x in groups for task in tasks}
        return [head(features[task]) for task, head in enumerate(self.heads)]

    def fuse(self):
        """Folds every batch norm into the convolution before it, for inference."""
        for module in self.modules():
            if isinstance(module, nn.Sequential):
                for index, norm in enumerate(module):
                    if isinstance(norm, nn.BatchNorm2d):
                        module[index - 1] = fuse_conv_bn_eval(module[index - 1], norm)
                        module[index] = nn.Identity()

    def shared(self, image):
        """Hard sharing in one backbone pass, as the published warm-up runs it."""
        x = self.stem(image)
        for block, projection in zip(self.blocks, self.projections, strict=True):
            x = F.relu(projection(x) + block(x), inplace=True)
        return [head(x) for head in self.heads]


def random_label(task, channels, batch, height, width, generator):
    """A label at image size: classes, 8-bit normals (3 channels) or a positive map (1 channel)."""
    if task == "segmentation":
        return torch.randint(channels, (batch, height, width), generator=generator)
    if task == "normals":
        return torch.randint(255, (batch, 3, height, width), generator=generator).float()
    return torch.rand(batch, channels, height, width, generator=generator) + 0.1


def task_loss(task, prediction, label):
    """Cross-entropy, 1 - mean cosine, or mean absolute error over valid pixels; label resized by nearest neighbour."""
    height, width = prediction.shape[-2:]
    rows = torch.arange(height, device=label.device) * label.shape[-2] // height
    columns = torch.arange(width, device=label.device) * label.shape[-1] // width
    label = label[..., rows[:, None], columns[None, :]]
    if task == "segmentation":
        return F.cross_entropy(prediction, label, ignore_index=255)
    if task == "normals":
        valid = (label.amax(1) < 255).to(prediction.dtype)
        return 1 - (F.cosine_similarity(prediction, label, 1) * valid).sum() / valid.sum()
    valid = (label > 3e-5).to(prediction.dtype)
    return ((prediction - label).abs() * valid).sum() / valid.sum()


def gumbel_gates(logits, temperature):
    """Soft gates softmax((log α + G)/τ), [L, 2], from 23-bit uniforms."""
    bits = torch.randint(1 << 23, logits.shape, device=logits.device)
    gumbel = -torch.log(-torch.log((bits.to(logits.dtype) + 0.5) / (1 << 23)))
    return F.softmax((F.log_softmax(logits, -1) + gumbel) / temperature, -1)


def regulariser(logits, opened, sparsity, sharing):
    """Bounded sparsity over the last `opened` blocks plus the paper's sharing term."""
    skip = sum(-F.log_softmax(z[-opened:], -1)[:, 1].mean() for z in logits)
    total, blocks = sparsity * skip, len(logits[0])
    weight = torch.arange(blocks - 1, -1, -1, device=logits[0].device) / blocks
    select = [F.softmax(z, -1)[:, 0] for z in logits]
    for index, first in enumerate(select):
        for second in select[index + 1:]:
            total = total + sharing * (weight * (first - second).abs()).sum()
    return total
