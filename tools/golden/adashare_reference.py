"""AdaShare in plain PyTorch: the network, its decisions, its losses, written from the method's definitions.

One pass per task, no sharing of computation: what the engine must equal, not how it should work. Everything is a
function of two dictionaries (parameters and buffers) under the published checkpoint names, so any dtype can be run.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F

BACKBONES = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
}
# Of the stages: where pixels are predicted, and where whole images are classified.
STRIDES = {False: (1, 2, 1, 1), True: (1, 2, 2, 2)}
DILATIONS = {False: (1, 1, 2, 4), True: (1, 1, 1, 1)}
RATES = (6, 12, 18, 24)
BN_MOMENTUM = 0.1
BN_EPS = 1e-5


def scaled(channels, width):
    """`channels * width`, rounded to a multiple of 16 and at least 16."""
    return max(16, int(math.floor(channels * width / 16 + 0.5)) * 16)


@dataclass(frozen=True)
class Spec:
    """Architecture: backbone name, width multiplier, output channels per task, head kind.

    Heads `light` and `four_rate` are for pixels; `linear`, on pooled features, is for whole images and makes the
    network the ordinary, not dilated one. `task_norms`: every task has batch norms of its own.
    """

    backbone: str
    width: float
    outputs: tuple
    head: str
    head_hidden: int | None = None
    task_norms: bool = False

    @property
    def pooled(self):
        return self.head == "linear"

    @property
    def strides(self):
        return STRIDES[self.pooled]

    @property
    def dilations(self):
        return DILATIONS[self.pooled]

    def norm_prefix(self, task):
        """What names of the batch norms of task `task` (from 1) begin with; counted from 0 as published."""
        return f"task{task - 1}_" if self.task_norms else ""

    @property
    def norm_prefixes(self):
        return [self.norm_prefix(k) for k in range(1, len(self.outputs) + 1)] if self.task_norms else [""]

    @property
    def kind(self):
        return BACKBONES[self.backbone][0]

    @property
    def expansion(self):
        return 4 if self.kind == "bottleneck" else 1

    @property
    def blocks(self):
        """(stage, block) in order from bottom to top; its length is L."""
        return [(s, b) for s, count in enumerate(BACKBONES[self.backbone][1]) for b in range(count)]

    @property
    def stem_channels(self):
        return scaled(64, self.width)

    def planes(self, stage):
        return scaled(64 << stage, self.width)

    @property
    def hidden(self):
        return self.head_hidden or scaled(1024, self.width)

    def stage_input(self, stage):
        return self.stem_channels if stage == 0 else self.planes(stage - 1) * self.expansion

    def has_projection(self, stage):
        changes = self.stage_input(stage) != self.planes(stage) * self.expansion
        return self.strides[stage] != 1 or self.dilations[stage] > 1 or changes


def parameter_table(spec):
    """Published name -> (shape, kind); kinds conv_weight, conv_bias, bn_weight, bn_bias. Buffers are not listed."""
    table = OrderedDict()

    def conv(name, out, inp, size, bias=False):
        table[f"{name}.weight"] = ((out, inp, size, size), "conv_weight")
        if bias:
            table[f"{name}.bias"] = ((out,), "conv_bias")

    def norm(place, name, channels):
        for prefix in spec.norm_prefixes:
            table[f"{place}.{prefix}{name}.weight"] = ((channels,), "bn_weight")
            table[f"{place}.{prefix}{name}.bias"] = ((channels,), "bn_bias")

    conv("backbone.conv1", spec.stem_channels, 3, 7)
    norm("backbone", "bn1", spec.stem_channels)
    for stage, block in spec.blocks:
        name, planes = f"backbone.blocks.{stage}.{block}", spec.planes(stage)
        inp = spec.stage_input(stage) if block == 0 else planes * spec.expansion
        sizes = (3, 3) if spec.kind == "basic" else (1, 3, 1)
        for index, size in enumerate(sizes, start=1):
            out = planes * spec.expansion if index == len(sizes) else planes
            conv(f"{name}.conv{index}", out, inp, size)
            norm(name, f"bn{index}", out)
            inp = out
    for stage in range(4):
        if spec.has_projection(stage):
            out = spec.planes(stage) * spec.expansion
            conv(f"backbone.ds.{stage}.0", out, spec.stage_input(stage), 1)
            norm("backbone", f"ds.{stage}.1", out)
    features = spec.planes(3) * spec.expansion
    for task, outputs in enumerate(spec.outputs, start=1):
        if spec.head == "light":
            conv(f"task{task}_head", outputs, features, 1, bias=True)
            continue
        if spec.head == "linear":
            table[f"task{task}_linear.weight"] = ((outputs, features), "conv_weight")
            table[f"task{task}_linear.bias"] = ((outputs,), "conv_bias")
            continue
        for branch in range(len(RATES)):
            name = f"task{task}_fc1_c{branch}"
            conv(f"{name}.conv1", spec.hidden, features, 3, bias=True)
            conv(f"{name}.conv2", spec.hidden, spec.hidden, 1, bias=True)
            conv(f"{name}.conv3", outputs, spec.hidden, 1, bias=True)
    return table


class Network:
    """Parameters, batch norm buffers and the forward pass.

    `margin` keeps the distance to the nearest kink seen: the smallest |ReLU input| and the smallest lead of a pooling
    window's maximum over its runner-up. Rounding below it cannot change which gradient flows.
    """

    def __init__(self, spec, initial, dtype=torch.float32, table=None):
        """`initial(name, shape, kind)` returns a float32 tensor; running means start at 0 and variances at 1.

        `table`: of a network with other parameters than `parameter_table` lists.
        """
        self.spec, self.training, self.momentum, self.margin = spec, True, BN_MOMENTUM, math.inf
        self.parameters, self.buffers = OrderedDict(), OrderedDict()
        for name, (shape, kind) in (table or parameter_table(spec)).items():
            self.parameters[name] = initial(name, shape, kind).to(dtype).requires_grad_(True)
            if kind == "bn_weight":
                stem = name.removesuffix("weight")
                self.buffers[f"{stem}running_mean"] = torch.zeros(shape, dtype=dtype)
                self.buffers[f"{stem}running_var"] = torch.ones(shape, dtype=dtype)
                self.buffers[f"{stem}num_batches_tracked"] = torch.zeros((), dtype=torch.int64)

    def _conv(self, x, name, stride=1, dilation=1):
        weight = self.parameters[f"{name}.weight"]
        pad = dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, self.parameters.get(f"{name}.bias"), stride, pad, dilation)

    def _norm(self, x, name):
        if self.training:
            self.buffers[f"{name}.num_batches_tracked"] += 1
        return F.batch_norm(
            x, self.buffers[f"{name}.running_mean"], self.buffers[f"{name}.running_var"],
            self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"],
            self.training, self.momentum, BN_EPS)

    def _relu(self, x):
        self.margin = min(self.margin, x.detach().abs().min().item())
        return F.relu(x)

    def _pool(self, x):
        ceil = not self.spec.pooled
        windows = F.unfold(F.pad(x.detach(), (1, 1, 1, 1)), 3, stride=2).view(*x.shape[:2], 9, -1)
        first, second = windows.topk(2, 2).values.unbind(2)
        if (first > 0).any():
            self.margin = min(self.margin, (first - second)[first > 0].min().item())
        return F.max_pool2d(x, 3, 2, 1, ceil_mode=ceil)

    def _branch(self, x, stage, block, norms):
        """F(x) of a block, without the final ReLU."""
        name, dilation = f"backbone.blocks.{stage}.{block}", self.spec.dilations[stage]
        stride = self.spec.strides[stage] if block == 0 else 1
        if self.spec.kind == "basic":
            x = self._relu(self._norm(self._conv(x, f"{name}.conv1", stride, dilation), f"{name}.{norms}bn1"))
            return self._norm(self._conv(x, f"{name}.conv2", 1, dilation), f"{name}.{norms}bn2")
        x = self._relu(self._norm(self._conv(x, f"{name}.conv1", stride), f"{name}.{norms}bn1"))
        x = self._relu(self._norm(self._conv(x, f"{name}.conv2", 1, dilation), f"{name}.{norms}bn2"))
        return self._norm(self._conv(x, f"{name}.conv3"), f"{name}.{norms}bn3")

    def features(self, image, decisions, task=1):
        """Backbone of one task. A decision is 1 (select), 0 (skip) or a tensor [2] = (v_select, v_skip)."""
        norms = self.spec.norm_prefix(task)
        x = self._relu(self._norm(self._conv(image, "backbone.conv1", 2), f"backbone.{norms}bn1"))
        x = self._pool(x)
        for (stage, block), decision in zip(self.spec.blocks, decisions, strict=True):
            res = x
            if block == 0 and self.spec.has_projection(stage):
                res = self._conv(x, f"backbone.ds.{stage}.0", self.spec.strides[stage])
                res = self._norm(res, f"backbone.{norms}ds.{stage}.1")
            if isinstance(decision, torch.Tensor):
                selected = self._relu(res + self._branch(x, stage, block, norms))
                x = decision[0] * selected + decision[1] * res
            else:
                x = self._relu(res + self._branch(x, stage, block, norms)) if decision else res
        return x

    def head(self, features, task):
        """Output of task `task` (from 1); the dropout of four_rate heads is left out (probability 0 or evaluation)."""
        if self.spec.head == "light":
            return self._conv(features, f"task{task}_head")
        if self.spec.head == "linear":
            name = f"task{task}_linear"
            return F.linear(features.mean((2, 3)), self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"])
        total = 0
        for branch, rate in enumerate(RATES):
            name = f"task{task}_fc1_c{branch}"
            x = self._relu(self._conv(features, f"{name}.conv1", 1, rate))
            x = self._relu(self._conv(x, f"{name}.conv2"))
            total = total + self._conv(x, f"{name}.conv3")
        return total

    def hard_sharing(self, image):
        """All blocks selected, one pass for all tasks."""
        features = self.features(image, [1] * len(self.spec.blocks))
        return [self.head(features, k) for k in range(1, len(self.spec.outputs) + 1)]

    def per_task(self, image, decisions):
        """One pass per task, in task order, so batch norm statistics move once per task and visit."""
        return self.per_image([image] * len(decisions), decisions)

    def per_image(self, images, decisions):
        """The same with an image of its own for every task."""
        pairs = enumerate(zip(images, decisions), start=1)
        return [self.head(self.features(image, d, k), k) for k, (image, d) in pairs]


def gumbel_softmax(logits, uniforms, temperature, hard=False):
    """v = softmax((log α + G)/τ) over the last axis, G = -log(-log U). Hard: one-hot forward, soft gradient."""
    gumbel = -torch.log(-torch.log(uniforms))
    soft = F.softmax((F.log_softmax(logits, -1) + gumbel) / temperature, -1)
    if not hard:
        return soft
    one_hot = F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return one_hot + (soft - soft.detach())
