"""Golden training steps of a small three-task network: forward, every gradient, batch norm state, ten steps.

Each case runs twice, in float64 (stored, rounded to float32) and in float32 (only compared), and reports how far
PyTorch parts from itself; settings are chosen so that this stays below a tenth of the engine's tolerance.
"""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F

import formula
import losses
from adashare_reference import BN_EPS, Network, Spec, gumbel_softmax

OUTPUTS = (7, 3, 1)
TASK_WEIGHTS = (1.0, 20.0, 3.0)
# Batch, height, width. Four-rate heads get maps of 7x26 so that every rate has taps inside, pooled in ceil mode.
INPUTS = {"light": (2, 33, 41), "four_rate": (1, 51, 203)}
BLOCKS, TEMPERATURE, STEPS = 8, 5.0, 10
LAMBDA_SPARSITY = LAMBDA_SHARING = 0.05
POLICY = ((1, 1, 1, 0, 1, 0, 1, 1), (1, 1, 0, 1, 1, 0, 1, 1), (1, 1, 1, 0, 0, 0, 1, 0))
DIGEST_LIMIT, STRIDED = 2048, 64

LIGHT = Spec("resnet18", 0.25, OUTPUTS, "light")
FOUR_RATE = Spec("resnet18", 0.25, OUTPUTS, "four_rate", head_hidden=16)


class Run:
    """One network with its data in one dtype, and what it has produced so far."""

    # Elements of a tensor that is stored whole.
    digest_limit = DIGEST_LIMIT
    network_class = Network

    def __init__(self, spec, salt, dtype):
        self.salt, self.dtype, self.results = salt, dtype, OrderedDict()
        self.first_margin = self.margin = math.inf
        # Images that carry each task's label; a loss is the mean over the labelled pixels of these.
        self.carriers = [slice(None)] * len(OUTPUTS)
        self.network = self.network_class(spec, lambda *a: torch.from_numpy(formula.initial_value(salt, *a)), dtype)
        self.read_data()

    def read_data(self):
        image, segmentation, normals, depth = (
            torch.from_numpy(v) for v in formula.batch(self.salt, *INPUTS[self.network.spec.head], OUTPUTS[0]))
        self.image, self.segmentation = image.to(self.dtype), segmentation
        self.normals, self.depth = normals.to(self.dtype), depth.to(self.dtype)

    def keep_margin(self, step):
        """Notes how near this step came to a kink and starts afresh."""
        if step == 0:
            self.first_margin = self.network.margin
        self.margin = min(self.margin, self.network.margin)
        self.network.margin = math.inf

    def logits(self):
        values = [formula.initial_value(self.salt, f"task{k}_logits", (BLOCKS, 2), "logits") for k in (1, 2, 3)]
        return [torch.from_numpy(v).to(self.dtype).requires_grad_(True) for v in values]

    def noise(self, step, task):
        return torch.from_numpy(formula.noise(self.salt, f"noise/{step}/task{task}", (BLOCKS, 2))).to(self.dtype)

    def samples(self, logits, step, hard=False):
        return [gumbel_softmax(z, self.noise(step, k), TEMPERATURE, hard) for k, z in enumerate(logits, start=1)]

    def task_losses(self, outputs):
        height, width = outputs[0].shape[-2:]
        segmentation, normals, depth = (
            losses.resize_nearest(v, height, width) for v in (self.segmentation, self.normals, self.depth))
        a, b, c = self.carriers
        return [losses.cross_entropy(outputs[0][a], segmentation[a]), losses.cosine(outputs[1][b], normals[b], "exact"),
                losses.masked_l1(outputs[2][c], depth[c], losses.depth_mask(depth[c]))]

    def penalty(self):
        """What is minimised beside the losses."""
        return 0.0

    def put_batch_norm(self, prefix):
        for name, value in self.network.buffers.items():
            self.results[f"{prefix}/{name}"] = value.clone()

    def put(self, prefix, name, value):
        """The tensor up to `digest_limit` elements, else [probe . t, |t|, 64 strided elements] as `<prefix>_digest`."""
        value = value.detach().clone()
        if value.numel() <= self.digest_limit:
            self.results[f"{prefix}/{name}"] = value
            return
        flat = value.flatten()
        probe = torch.from_numpy(formula.symmetric(self.salt, f"probe/{name}", (flat.numel(),), 1.0))
        dot = (flat.double() * probe.double()).sum()
        strided = flat[torch.arange(STRIDED) * (flat.numel() // STRIDED)].double()
        self.results[f"{prefix}_digest/{name}"] = torch.cat([torch.stack([dot, flat.double().norm()]), strided])


def weighted(task_losses):
    return sum(weight * loss for weight, loss in zip(TASK_WEIGHTS, task_losses))


def weight_steps(run, forward, optimiser, steps=STEPS, logits=None):
    """`steps` updates of the weights; `forward(run, step)` returns outputs. Logits are frozen unless given."""
    network = run.network
    start = {name: p.detach().clone() for name, p in network.parameters.items()}
    history = []
    for step in range(steps):
        outputs = forward(run, step)
        run.keep_margin(step)
        values = run.task_losses(outputs)
        total = weighted(values) + run.penalty()
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        history.append(torch.stack([*values, total]).detach())
        if step == 0:
            for k, output in enumerate(outputs, start=1):
                run.put("outputs", f"task{k}", output)
            for name, parameter in network.parameters.items():
                if parameter.grad is not None:
                    run.put("grad", name, parameter.grad)
            for k, z in enumerate(logits or [], start=1):
                run.put("grad", f"task{k}_logits", z.grad)
            run.put_batch_norm("bn")
        if steps > 1:
            optimiser.step()
    run.results["losses"] = torch.stack(history)
    if steps > 1:
        for name, parameter in network.parameters.items():
            run.put("final", name, parameter)
            run.put("delta", name, parameter.detach() - start[name])
        run.put_batch_norm("bn_final")


def adam(run, rate):
    return torch.optim.Adam(run.network.parameters.values(), lr=rate, betas=(0.5, 0.999), weight_decay=1e-4)


def sgd(run, rate):
    return torch.optim.SGD(run.network.parameters.values(), lr=rate, momentum=0.9, weight_decay=1e-4)


def warmup(run, rate, steps=STEPS):
    weight_steps(run, lambda run, step: run.network.hard_sharing(run.image), adam(run, rate), steps)


def retrain(run, rate, steps=STEPS):
    weight_steps(run, lambda run, step: run.network.per_task(run.image, POLICY), adam(run, rate), steps)


def partial(run, rate, steps=1):
    """First step of a retraining in which the first image has no normals and the second no depth."""
    run.carriers = [slice(None), slice(1, None), slice(0, 1)]
    retrain(run, rate, steps)


class ShardedNetwork(Network):
    """Normalises each shard of a batch by itself; running statistics take those of all shards together."""

    def _norm(self, x, name):
        variance, mean = torch.var_mean(x.detach(), (0, 2, 3))
        self.visits.append((name, mean, variance, x.numel() // x.shape[1]))
        return F.batch_norm(
            x, None, None, self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"], True, 0.0, BN_EPS)

    def shards(self, images, policy):
        """Outputs for the whole batch; one image is a shard."""
        outputs, visits = [], []
        for image in images.split(1):
            self.visits = []
            outputs.append(self.per_task(image, policy))
            visits.append(self.visits)
        for (name, mean_a, variance_a, rows), (_, mean_b, variance_b, _) in zip(*visits):
            squares = (variance_a + variance_b) * (rows - 1) + (mean_b - mean_a) ** 2 * rows / 2
            self.move(f"{name}.running_mean", (mean_a + mean_b) / 2)
            self.move(f"{name}.running_var", squares / (2 * rows - 1))
            self.buffers[f"{name}.num_batches_tracked"] += 1
        return [torch.cat(parts) for parts in zip(*outputs)]

    def move(self, name, value):
        self.buffers[name].mul_(1 - self.momentum).add_(value, alpha=self.momentum)


class ShardedRun(Run):
    network_class = ShardedNetwork


def shards(run, rate, steps=STEPS):
    """Retraining on two shards of one image each; the first has no normals, the second no depth."""
    run.carriers = [slice(None), slice(1, None), slice(0, 1)]
    weight_steps(run, lambda run, step: run.network.shards(run.image, POLICY), adam(run, rate), steps)


def mixed(run, rate, steps=STEPS):
    """All blocks of all tasks mixed softly; fresh noise every step."""
    logits = [z.detach() for z in run.logits()]

    def forward(run, step):
        samples = run.samples(logits, step)
        if step == 0:
            for k, v in enumerate(samples, start=1):
                run.put("v", f"task{k}", v)
        return run.network.per_task(run.image, samples)

    weight_steps(run, forward, sgd(run, rate), steps)


def mixed_hard(run, rate, steps=1):
    """First step of `mixed` with straight-through samples; logit gradients of the task losses too."""
    logits = run.logits()

    def forward(run, step):
        samples = run.samples(logits, step, hard=True)
        for k, v in enumerate(samples, start=1):
            run.put("v", f"task{k}", v)
        return run.network.per_task(run.image, samples)

    weight_steps(run, forward, sgd(run, rate), steps, logits)


def logit_steps(run, opened, sparsity_form, sharing_form, steps=STEPS):
    """Ten Adam steps of the logits, weights frozen, the first 8 - opened blocks selected by every task."""
    prefix = f"{sparsity_form}.{sharing_form}.open{opened}"
    network, logits = run.network, run.logits()
    for parameter in network.parameters.values():
        parameter.requires_grad_(False)
    optimiser = torch.optim.Adam(logits, lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=5e-4)
    start, history = [z.detach().clone() for z in logits], []
    for step in range(steps):
        samples = run.samples(logits, step)
        decisions = [[1] * (BLOCKS - opened) + [*v[BLOCKS - opened:]] for v in samples]
        outputs = network.per_task(run.image, decisions)
        run.keep_margin(step)
        values, stacked = run.task_losses(outputs), torch.stack(logits)
        sparse, shared = losses.sparsity(stacked, sparsity_form, opened), losses.sharing(stacked, sharing_form)
        total = weighted(values) + LAMBDA_SPARSITY * sparse + LAMBDA_SHARING * shared
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        history.append(torch.stack([*values, sparse, shared, total]).detach())
        if step == 0:
            for k, output in enumerate(outputs, start=1):
                run.put(f"open{opened}/outputs", f"task{k}", output)
            run.put_batch_norm(f"open{opened}/bn")
            run.results[f"{prefix}/grad"] = torch.stack([z.grad for z in logits])
        optimiser.step()
    run.results[f"{prefix}/losses"] = torch.stack(history)
    run.results[f"{prefix}/final"] = torch.stack([z.detach() for z in logits])
    run.results[f"{prefix}/delta"] = torch.stack([z.detach() - s for z, s in zip(logits, start)])


def difference(name, exact, single):
    """Largest difference over the largest value; L2 ratio for deltas; the first two of a digest over its norm."""
    exact, single = exact.double(), single.double()
    if "delta/" in name or name.endswith("/delta"):
        tail = slice(2, None) if "_digest/" in name else slice(None)
        norm = exact[tail].norm()
        return ((exact - single)[tail].norm() / norm).item() if norm > 0 else single.norm().item()
    if "losses" in name:
        return ((exact - single).abs() / exact.abs()).max().item()
    if "_digest/" in name:
        norm, gap = exact[1], (exact - single).abs()
        return max(gap[0] / norm, gap[1] / norm, gap[2:].max() / exact[2:].abs().max()).item()
    scale = exact.abs().max()
    gap = (exact - single).abs().max()
    return (gap / scale).item() if scale > 0 else gap.item()


def agreement(exact, single):
    """Worst float32/float64 difference per kind of result."""
    worst = OrderedDict()
    for name, value in exact.items():
        kind = name.split("/")[-1] if name.endswith(("losses", "grad", "final", "delta")) else (
            [p for p in name.split("/") if not p.startswith("open")][0].removesuffix("_digest"))
        worst[kind] = max(worst.get(kind, 0.0), difference(name, value, single[name]))
        if kind == "losses":
            worst["losses_step0"] = max(worst.get("losses_step0", 0.0), difference(name, value[0], single[name][0]))
    return worst


def case(spec, body, rate, run_class=Run):
    """Builder of a file's results from (salt, dtype)."""
    def build(salt, dtype, **keywords):
        run = run_class(spec, salt, dtype)
        body(run, rate, **keywords)
        return run
    return build


def logits(salt, dtype, steps=STEPS):
    """All four pairs of regulariser forms at two frontiers, each from fresh state, gathered in one run."""
    gathered = Run(LIGHT, salt, dtype)
    for opened in (BLOCKS, 3):
        for sparsity_form in ("paper", "published"):
            for sharing_form in ("paper", "published"):
                run = Run(LIGHT, salt, dtype)
                logit_steps(run, opened, sparsity_form, sharing_form, steps)
                gathered.results.update(run.results)
                gathered.first_margin = min(gathered.first_margin, run.first_margin)
                gathered.margin = min(gathered.margin, run.margin)
    return gathered


# File name -> (salt found by search_salt.py, builder, settings kept in the file's metadata).
NETWORKS = OrderedDict(
    network_warmup_light=("79", case(LIGHT, warmup, 1e-5), {"optimiser": "adam", "learning_rate": "1e-5"}),
    network_warmup_four_rate=("776", case(FOUR_RATE, warmup, 1e-5), {"optimiser": "adam", "learning_rate": "1e-5"}),
    network_mixed=("265", case(LIGHT, mixed, 1e-4), {"optimiser": "sgd", "learning_rate": "1e-4"}),
    network_mixed_hard=("128", case(LIGHT, mixed_hard, 1e-4), {}),
    network_retrain=("338", case(LIGHT, retrain, 1e-5), {"optimiser": "adam", "learning_rate": "1e-5"}),
    network_partial=("338", case(LIGHT, partial, 1e-5), {}),
    network_shards=("344", case(LIGHT, shards, 1e-5, ShardedRun), {"optimiser": "adam", "learning_rate": "1e-5"}),
    network_logits=("99", logits, {"optimiser": "adam", "learning_rate": "1e-2"}),
)
