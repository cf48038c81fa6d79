"""Golden training steps of networks whose tasks share features, from the formulas of the papers.

Cross-stitch (Misra et al. 2016), sluice (Ruder et al. 2019), NDDR-CNN (Gao et al. 2019), MTAN (Liu et al. 2019).
Concatenations are concatenated here and convolved once; every task passes through everything in its own turn.
"""

from collections import OrderedDict

import torch

import formula
import golden_networks
from adashare_reference import Network, Spec, parameter_table

STEPS = 5
# The learning rate of what joins backbones over that of the rest.
FUSION = 10
TASKS = range(1, len(golden_networks.OUTPUTS) + 1)
PLACES = ["stem"] + [f"stages.{stage}" for stage in range(4)]


def spec(width):
    return Spec("resnet18", width, golden_networks.OUTPUTS, "light")


def channels(spec, place):
    return spec.stem_channels if place == "stem" else spec.planes(int(place[-1])) * spec.expansion


def norm(table, name, count):
    table[f"{name}.weight"], table[f"{name}.bias"] = ((count,), "bn_weight"), ((count,), "bn_bias")


def conv(table, name, out, inp, size):
    table[f"{name}.weight"] = ((out, inp, size, size), "conv_weight")


class Joined(Network):
    """A backbone for each task, joined behind the stem and behind each stage."""

    width = 0.125

    def __init__(self, initial, dtype):
        table = parameter_table(spec(self.width))
        for k in TASKS[1:]:
            table |= {f"task{k}.{name}": v for name, v in table.items() if name.startswith("backbone.")}
        for place in PLACES:
            for k in TASKS:
                self.declare(table, k, place, channels(spec(self.width), place))
        super().__init__(spec(self.width), initial, dtype, table)

    def stem(self, image, prefix=""):
        name = f"{prefix}backbone"
        return self._pool(self._relu(self._norm(self._conv(image, f"{name}.conv1", 2), f"{name}.bn1")))

    def block(self, x, stage, block, prefix=""):
        name, dilation = f"{prefix}backbone.blocks.{stage}.{block}", self.spec.dilations[stage]
        stride, res = self.spec.strides[stage] if block == 0 else 1, x
        if block == 0 and self.spec.has_projection(stage):
            res = self._norm(self._conv(x, f"{prefix}backbone.ds.{stage}.0", stride), f"{prefix}backbone.ds.{stage}.1")
        x = self._relu(self._norm(self._conv(x, f"{name}.conv1", stride, dilation), f"{name}.bn1"))
        return self._relu(res + self._norm(self._conv(x, f"{name}.conv2", 1, dilation), f"{name}.bn2"))

    def outputs(self, image):
        prefixes = ["" if k == 1 else f"task{k}." for k in TASKS]
        paths, last = self.join([self.stem(image, prefix) for prefix in prefixes], "stem"), []
        for stage, block in self.spec.blocks:
            paths = [self.block(x, stage, block, prefix) for x, prefix in zip(paths, prefixes)]
            if (stage, block + 1) not in self.spec.blocks:
                paths = self.join(paths, f"stages.{stage}")
            if stage == 3:
                last.append(paths)
        return [self.head(x, k) for k, x in zip(TASKS, self.last(last))]

    def last(self, outputs):
        """What the heads are given, from the outputs of the last stage's blocks."""
        return outputs[-1]

    def penalty(self):
        return 0.0

    def fusion(self):
        """Parameters that have the units' learning rate."""
        return [p for name, p in self.parameters.items() if name.split(".")[0].endswith(self.unit)]


class CrossStitch(Joined):
    unit = "_stitch"

    def declare(self, table, k, place, count):
        table[f"task{k}_stitch.{place}.weight"] = ((len(TASKS), count), "logits")

    def join(self, features, place):
        stacked = torch.stack(features)
        weights = [self.parameters[f"task{k}_stitch.{place}.weight"] for k in TASKS]
        return [torch.einsum("tc,tnchw->nchw", w, stacked) for w in weights]


class Sluice(Joined):
    """Subspaces are halves of the channels, which the engine wants to be multiples of 16."""

    unit, width, orthogonality = "_sluice", 0.5, 0.01

    def declare(self, table, k, place, count):
        table[f"task{k}_sluice.{place}.weight"] = ((2, 2 * len(TASKS)), "logits")
        if place == PLACES[-1]:
            table[f"task{k}_sluice.last.weight"] = ((1, 2), "logits")

    def join(self, features, place):
        count, channels, height, width = features[0].shape
        halves = torch.cat(features, 1).view(count, 2 * len(TASKS), channels // 2, height, width)
        weights = [self.parameters[f"task{k}_sluice.{place}.weight"] for k in TASKS]
        return [torch.einsum("gk,nkchw->ngchw", w, halves).reshape(features[0].shape) for w in weights]

    def last(self, outputs):
        weights = [self.parameters[f"task{k}_sluice.last.weight"][0] for k in TASKS]
        return [sum(w * x for w, x in zip(weight, blocks)) for weight, blocks in zip(weights, zip(*outputs))]

    def penalty(self):
        total = 0.0
        for prefix in ["" if k == 1 else f"task{k}." for k in TASKS]:
            for name in ["conv1"] + [f"blocks.{stage}.1.conv2" for stage in range(4)]:
                weight = self.parameters[f"{prefix}backbone.{name}.weight"].flatten(1)
                first, second = weight.chunk(2)
                total = total + (first @ second.T).square().sum()
        return self.orthogonality * total


class NDDR(Joined):
    unit = "_nddr"

    def declare(self, table, k, place, count):
        for other in TASKS:
            conv(table, f"task{k}_nddr.{place}.of_task{other}", count, count, 1)
        norm(table, f"task{k}_nddr.{place}.bn", count)

    def join(self, features, place):
        together, results = torch.cat(features, 1), []
        for k in TASKS:
            name = f"task{k}_nddr.{place}"
            weight = torch.cat([self.parameters[f"{name}.of_task{other}.weight"] for other in TASKS], 1)
            results.append(self._relu(self._norm(torch.conv2d(together, weight), f"{name}.bn")))
        return results


class MTAN(Joined):
    def __init__(self, initial, dtype):
        own = spec(self.width)
        table = parameter_table(own)
        for stage in range(4):
            count = channels(own, f"stages.{stage}")
            for k in TASKS:
                name = f"task{k}_attention.stages.{stage}"
                conv(table, f"{name}.conv1", count // 4, count, 1)
                if stage > 0:
                    conv(table, f"{name}.conv1_below", count // 4, count, 1)
                norm(table, f"{name}.bn1", count // 4)
                conv(table, f"{name}.conv2", count, count // 4, 1)
                norm(table, f"{name}.bn2", count)
            if stage > 0:
                conv(table, f"attention.stages.{stage - 1}.conv", count, channels(own, f"stages.{stage - 1}"), 3)
                norm(table, f"attention.stages.{stage - 1}.bn", count)
        Network.__init__(self, own, initial, dtype, table)

    def fusion(self):
        return []

    def outputs(self, image):
        x, attended = self.stem(image), None
        for stage in range(4):
            last = max(block for s, block in self.spec.blocks if s == stage)
            for block in range(last):
                x = self.block(x, stage, block)
            inner, x = x, self.block(x, stage, last)
            if attended:
                below = f"attention.stages.{stage - 1}"
                attended = [self._relu(self._norm(self._conv(a, f"{below}.conv"), f"{below}.bn")) for a in attended]
                if self.spec.strides[stage] == 2:
                    attended = [self._pool_floor(a) for a in attended]
            attended = [self.attend(inner, x, attended[k - 1] if attended else None, k, stage) for k in TASKS]
        return [self.head(a, k) for k, a in zip(TASKS, attended)]

    def attend(self, inner, outer, below, k, stage):
        name, given = f"task{k}_attention.stages.{stage}", inner
        weight = self.parameters[f"{name}.conv1.weight"]
        if below is not None:
            given = torch.cat([inner, below], 1)
            weight = torch.cat([weight, self.parameters[f"{name}.conv1_below.weight"]], 1)
        hidden = self._relu(self._norm(torch.conv2d(given, weight), f"{name}.bn1"))
        return torch.sigmoid(self._norm(self._conv(hidden, f"{name}.conv2"), f"{name}.bn2")) * outer

    def _pool_floor(self, x):
        windows = torch.nn.functional.unfold(
            torch.nn.functional.pad(x.detach(), (1, 1, 1, 1)), 3, stride=2).view(*x.shape[:2], 9, -1)
        first, second = windows.topk(2, 2).values.unbind(2)
        self.margin = min(self.margin, (first - second)[first > 0].min().item())
        return torch.nn.functional.max_pool2d(x, 3, 2, 1)


class Run(golden_networks.Run):
    """One such network with its data."""

    digest_limit = 128

    def __init__(self, network, salt, dtype):
        super().__init__(spec(network.width), salt, dtype)
        self.network = network(lambda *a: torch.from_numpy(formula.initial_value(salt, *a)), dtype)


    def penalty(self):
        return self.network.penalty()


def case(network, rate):
    """Builder of a file's results from (salt, dtype)."""
    def build(salt, dtype, steps=STEPS):
        run = Run(network, salt, dtype)
        joins = run.network.fusion()
        known = {id(p) for p in joins}
        others = [p for p in run.network.parameters.values() if id(p) not in known]
        groups = [{"params": others}] + ([{"params": joins, "lr": FUSION * rate}] if joins else [])
        optimiser = torch.optim.Adam(groups, lr=rate, betas=(0.5, 0.999), weight_decay=1e-4)
        golden_networks.weight_steps(run, lambda run, step: run.network.outputs(run.image), optimiser, steps)
        # The change of the weights says more than they.
        for name in [name for name in run.results if name.startswith(("final", "bn_final"))]:
            del run.results[name]
        return run
    return build


# How far float32 and float64 may part: three backbones that mix what they compute have more kinks than one.
LIMITS = {"grad": 4e-5, "outputs": 2e-5, "delta": 3e-2}
SETTINGS = {"optimiser": "adam", "learning_rate": "1e-5", "fusion_rate": str(FUSION)}
# File name -> (salt found by search_salt.py, builder, settings kept in the file's metadata).
NETWORKS = OrderedDict(
    network_cross_stitch=("13", case(CrossStitch, 1e-5), SETTINGS),
    network_sluice=("5", case(Sluice, 1e-5), SETTINGS),
    network_nddr=("58", case(NDDR, 1e-5), SETTINGS),
    network_mtan=("84", case(MTAN, 1e-5), SETTINGS),
)
