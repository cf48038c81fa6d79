"""Golden training steps of networks in which each image takes a path of its own, from the formulas of the papers.

BlockDrop's network (Wu et al. 2018) for images and for tasks, AdaShare's losses of each image's probabilities, and
SpotTune (Guo et al. 2019); decisions drawn by Gumbel-Softmax of two classes, one-hot forward with the soft gradient.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F

import formula
import golden_networks
from adashare_reference import parameter_table
from golden_fusion import STEPS, TASKS, Joined, Run as FusionRun, conv, norm, spec

# The learning rate of the policy network over that of the rest.
GATES = 10
POLICY_WIDTH, MULTIPLES = 16, (1, 1, 2, 4)
BLOCK_USE, SPARSITY, SHARING = 0.5, 0.05, 0.05


class Gated(Joined):
    """The backbone, each block of each image chosen by a gate between ReLU(res + F) and res."""

    width = 0.125

    def __init__(self, rows, initial, dtype):
        self.rows = rows
        super(Joined, self).__init__(spec(self.width), initial, dtype, self.table())

    def table(self):
        table, before = parameter_table(spec(self.width)), 3
        for stage, multiple in enumerate(MULTIPLES):
            conv(table, f"gates.stages.{stage}.conv", multiple * POLICY_WIDTH, before, 3)
            before = multiple * POLICY_WIDTH
            norm(table, f"gates.stages.{stage}.bn", before)
        for row in self.rows:
            table[f"{row}gates.linear.weight"] = ((golden_networks.BLOCKS, before), "conv_weight")
            table[f"{row}gates.linear.bias"] = ((golden_networks.BLOCKS,), "conv_bias")
        return table

    def fusion(self):
        return [p for name, p in self.parameters.items() if name.split(".")[0].endswith("gates")]

    def decide(self, image, uniforms, temperature):
        """Logits and gates [N, L] of each row."""
        x = image
        for stage in range(len(MULTIPLES)):
            x = self._relu(self._norm(self._conv(x, f"gates.stages.{stage}.conv", 2), f"gates.stages.{stage}.bn"))
        seen = x.mean((2, 3))
        self.logits = [F.linear(seen, self.parameters[f"{row}gates.linear.weight"],
                                self.parameters[f"{row}gates.linear.bias"]) for row in self.rows]
        self.gates = []
        for z, u in zip(self.logits, uniforms):
            # Gumbel-Softmax of two classes: of their noises the difference alone counts, which is logistic.
            noisy = z + torch.log(u) - torch.log(1 - u)
            self.margin = min(self.margin, noisy.detach().abs().min().item())
            soft = torch.sigmoid(noisy / temperature)
            self.gates.append((noisy >= 0).to(soft.dtype) + (soft - soft.detach()))

    def outputs(self, image, uniforms, temperature):
        self.decide(image, uniforms, temperature)
        x = self.stem(image)
        paths = [x] * len(self.rows)
        for index, (stage, block) in enumerate(self.spec.blocks):
            # Before paths part they are one, and so are the statistics' moves.
            together = all(path is paths[0] for path in paths)
            ways = [self.ways(path, stage, block) for path in (paths[:1] if together else paths)]
            ways = ways * len(paths) if together else ways
            gates = [g[:, index].view(-1, 1, 1, 1) for g in self.gates]
            paths = [gate * a + (1 - gate) * b for gate, (a, b) in zip(gates, ways)]
        features = paths if len(paths) > 1 else paths * len(TASKS)
        return [self.head(x, k) for k, x in zip(TASKS, features)]

    def ways(self, x, stage, block):
        """What a block makes of images whose gate is 1, and of those whose gate is 0."""
        name, dilation = f"backbone.blocks.{stage}.{block}", self.spec.dilations[stage]
        stride, res = self.spec.strides[stage] if block == 0 else 1, x
        if block == 0 and self.spec.has_projection(stage):
            res = self._norm(self._conv(x, f"backbone.ds.{stage}.0", stride), f"backbone.ds.{stage}.1")
        h = self._relu(self._norm(self._conv(x, f"{name}.conv1", stride, dilation), f"{name}.bn1"))
        return self._relu(res + self._norm(self._conv(h, f"{name}.conv2", 1, dilation), f"{name}.bn2")), res


class BlockDrop(Gated):
    def penalty(self):
        return BLOCK_USE * sum(g.mean(1).square().mean() for g in self.gates) / len(self.gates)


class AdaShareInstance(Gated):
    """Published sparsity and the paper's sharing, the engine's defaults."""

    def penalty(self):
        blocks = golden_networks.BLOCKS
        alphas = [torch.sigmoid(z) for z in self.logits]
        sparsity = sum(-torch.log(1 - a).mean() for a in alphas)
        weights = (blocks - torch.arange(1, blocks + 1, dtype=alphas[0].dtype)) / blocks
        pairs = [(a, b) for i, a in enumerate(alphas) for b in alphas[i + 1:]]
        sharing = sum((weights * (a - b).abs()).sum(1).mean() for a, b in pairs)
        return SPARSITY * sparsity + SHARING * sharing


class SpotTune(Gated):
    """Each block as it is trained, or as it was at first, from running statistics."""

    def table(self):
        table = super().table()
        kept = {n: v for n, v in table.items() if n.startswith(("backbone.blocks.", "backbone.ds."))}
        return table | {f"frozen.{name}": v for name, v in kept.items()}

    def __init__(self, rows, initial, dtype):
        super().__init__(rows, initial, dtype)
        self.frozen = {n: p.requires_grad_(False) for n, p in self.parameters.items() if n.startswith("frozen.")}
        for name in self.frozen:
            del self.parameters[name]
        # Nothing counts the batches of what stays as it is.
        for name in [n for n in self.buffers if n.startswith("frozen.") and n.endswith("num_batches_tracked")]:
            del self.buffers[name]

    def ways(self, x, stage, block):
        tuned, _ = super().ways(x, stage, block)
        return tuned, self.frozen_block(x, stage, block)

    def frozen_block(self, x, stage, block):
        def layer(x, place, bn, stride=1, dilation=1):
            weight = self.frozen[f"frozen.{place}.weight"]
            h = F.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation)
            values = self.buffers | self.frozen
            keys = ("running_mean", "running_var", "weight", "bias")
            return F.batch_norm(h, *(values[f"frozen.{bn}.{key}"] for key in keys), False, 0, 1e-5)

        name, dilation = f"backbone.blocks.{stage}.{block}", self.spec.dilations[stage]
        stride, res = self.spec.strides[stage] if block == 0 else 1, x
        if block == 0 and self.spec.has_projection(stage):
            res = layer(x, f"backbone.ds.{stage}.0", f"backbone.ds.{stage}.1", stride)
        h = self._relu(layer(x, f"{name}.conv1", f"{name}.bn1", stride, dilation))
        return self._relu(res + layer(h, f"{name}.conv2", f"{name}.bn2", 1, dilation))

    def penalty(self):
        return 0.0


class Run(FusionRun):
    """One such network with its data."""

    def __init__(self, network, rows, salt, dtype):
        golden_networks.Run.__init__(self, spec(network.width), salt, dtype)
        self.network = network(rows, lambda *a: torch.from_numpy(formula.initial_value(salt, *a)), dtype)

    def uniforms(self, step):
        return [
            torch.from_numpy(formula.noise(self.salt, f"noise/{step}/{row.rstrip('_') or 'all'}_gates",
                                           (self.image.shape[0], golden_networks.BLOCKS))).to(self.dtype)
            for row in self.network.rows]


def case(network, rows, rate):
    """Builder of a file's results from (salt, dtype)."""
    def build(salt, dtype, steps=STEPS):
        run = Run(network, rows, salt, dtype)
        gates = run.network.fusion()
        known = {id(p) for p in gates}
        others = [p for p in run.network.parameters.values() if id(p) not in known]
        groups = [{"params": others}, {"params": gates, "lr": GATES * rate}]
        optimiser = torch.optim.Adam(groups, lr=rate, betas=(0.5, 0.999), weight_decay=1e-4)

        def forward(run, step):
            outputs = run.network.outputs(run.image, run.uniforms(step), golden_networks.TEMPERATURE)
            if step == 0:
                for k in TASKS:
                    run.put("v", f"task{k}", run.network.gates[k - 1 if len(rows) > 1 else 0])
            return outputs

        golden_networks.weight_steps(run, forward, optimiser, steps)
        for name in [name for name in run.results if name.startswith(("final", "bn_final"))]:
            del run.results[name]
        return run
    return build


ALL, EACH = ("",), tuple(f"task{k}_" for k in TASKS)
LIMITS = {"grad": 4e-5, "outputs": 2e-5, "delta": 3e-2}
SETTINGS = {"optimiser": "adam", "learning_rate": "1e-5", "policy_rate": str(GATES)}
# File name -> (salt found by search_salt.py, builder, settings kept in the file's metadata).
NETWORKS = OrderedDict(
    network_block_drop=("1", case(BlockDrop, ALL, 1e-5), SETTINGS),
    network_block_drop_tasks=("74", case(BlockDrop, EACH, 1e-5), SETTINGS),
    network_adashare_instance=("74", case(AdaShareInstance, EACH, 1e-5), SETTINGS),
    network_spot_tune=("165", case(SpotTune, ALL, 1e-5), SETTINGS),
)
