"""Golden cases of single operators: float32 inputs, results computed by PyTorch in float64 and rounded once."""

import torch
import torch.nn.functional as F

import adashare_reference as reference
import losses

D = torch.float64


class Cases:
    """Collects tensors by name; inputs are random float32 values from one seeded generator."""

    def __init__(self, seed):
        self.tensors = {}
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator)

    def uniform(self, *shape):
        return torch.rand(shape, generator=self.generator)

    def integers(self, high, *shape):
        return torch.randint(0, high, shape, generator=self.generator)

    def put(self, name, **values):
        for key, value in values.items():
            value = torch.as_tensor(value).detach()
            integral = value.dtype == torch.int64
            self.tensors[f"{name}.{key}"] = (value if integral else value.float()).contiguous().clone()

    def differentiate(self, name, function, inputs, upstream=True):
        """Stores inputs, y, dy (random, unless y is a scalar loss) and the gradient d<input> of every float input."""
        leaves = {k: v.to(D).requires_grad_(True) for k, v in inputs.items()}
        y = function(**leaves)
        self.put(name, **inputs, y=y)
        dy = None
        if upstream:
            dy = self.normal(*y.shape)
            self.put(name, dy=dy)
        gradients = torch.autograd.grad(y, list(leaves.values()), None if dy is None else dy.to(D))
        self.put(name, **{f"d{k}": g for k, g in zip(leaves, gradients)})


def convolutions():
    """`attributes` = [stride, pad, dilation]; x [N,C,H,W], w OIHW, b [K]."""
    cases = Cases(1)
    table = [  # name, N, C, K, H, W, kernel, stride, dilation, bias
        ("conv_3x3_s1", 2, 3, 19, 9, 7, 3, 1, 1, False),
        ("conv_3x3_s2", 1, 19, 16, 9, 7, 3, 2, 1, False),
        ("conv_3x3_s2_even", 2, 4, 5, 8, 6, 3, 2, 1, False),
        ("conv_3x3_d2", 1, 8, 19, 8, 9, 3, 1, 2, False),
        ("conv_3x3_d4", 2, 5, 3, 9, 11, 3, 1, 4, False),
        ("conv_3x3_d12", 1, 40, 3, 7, 13, 3, 1, 12, True),
        ("conv_7x7_s2", 1, 3, 16, 15, 13, 7, 2, 1, False),
        ("conv_1x1_s2", 1, 19, 40, 7, 5, 1, 2, 1, False),
        ("conv_1x1_bias", 2, 40, 19, 5, 3, 1, 1, 1, True),
        ("conv_3x3_one_pixel", 1, 3, 3, 1, 1, 3, 1, 1, True),
    ]
    for name, n, c, k, h, w, size, stride, dilation, bias in table:
        pad = dilation * (size // 2)
        inputs = {"x": cases.normal(n, c, h, w), "w": cases.normal(k, c, size, size) / (c * size * size) ** 0.5}
        if bias:
            inputs["b"] = cases.normal(k)
        cases.put(name, attributes=torch.tensor([stride, pad, dilation]).float())
        cases.differentiate(name, lambda x, w, b=None: F.conv2d(x, w, b, stride, pad, dilation), inputs)
    return cases.tensors


def batch_norm(cases):
    name, c = "batch_norm", 19
    mean, var = cases.normal(c) * 0.3, cases.uniform(c) + 0.5
    cases.put(name, running_mean=mean, running_var=var)
    mean, var = mean.to(D), var.to(D)
    weight, bias = cases.uniform(c) + 0.5, cases.normal(c)
    for step, shape in enumerate([(3, c, 5, 7), (2, c, 3, 3)], start=1):
        x = cases.normal(*shape) * 2 + cases.normal(c)[:, None, None]
        cases.differentiate(
            f"{name}_train{step}",
            lambda x, w, b: F.batch_norm(x, mean, var, w, b, True, reference.BN_MOMENTUM, reference.BN_EPS),
            {"x": x, "w": weight, "b": bias})
        cases.put(f"{name}_train{step}", running_mean=mean, running_var=var)
    cases.differentiate(
        f"{name}_eval",
        lambda x, w, b: F.batch_norm(x, mean, var, w, b, False, reference.BN_MOMENTUM, reference.BN_EPS),
        {"x": cases.normal(2, c, 3, 5), "w": weight, "b": bias})


def shapes_and_residuals(cases):
    def pool(x):
        return F.max_pool2d(x, 3, 2, 1, ceil_mode=True)

    cases.differentiate("max_pool_even", pool, {"x": cases.normal(2, 5, 8, 11)})
    cases.differentiate("max_pool_odd", pool, {"x": cases.normal(1, 3, 9, 7)})
    cases.differentiate("max_pool_one_pixel", pool, {"x": cases.normal(1, 3, 1, 2)})
    cases.differentiate("residual_add_relu", lambda res, f: F.relu(res + f),
                        {"res": cases.normal(2, 19, 3, 5), "f": cases.normal(2, 19, 3, 5)})
    cases.differentiate("mixed_residual", lambda res, f, v: v[0] * F.relu(res + f) + v[1] * res,
                        {"res": cases.normal(2, 19, 3, 5), "f": cases.normal(2, 19, 3, 5),
                         "v": torch.tensor([0.3125, 0.6875])})
    cases.differentiate("global_average_pool", lambda x: x.mean((2, 3)), {"x": cases.normal(2, 19, 3, 5)})
    cases.differentiate("linear", lambda x, w, b: F.linear(x, w, b),
                        {"x": cases.normal(4, 19), "w": cases.normal(7, 19), "b": cases.normal(7)})
    for name, (h, w) in {"down": (5, 6), "up": (17, 19)}.items():
        x = cases.integers(256, 1, 2, 11, 13).float()
        cases.put(f"resize_nearest_{name}", x=x, y=losses.resize_nearest(x, h, w))


def task_losses(cases):
    logits, labels = cases.normal(2, 7, 4, 5) * 2, cases.integers(7, 2, 4, 5)
    labels[cases.uniform(2, 4, 5) < 0.2] = 255
    weights = cases.uniform(7) + 0.5
    for name, w in {"cross_entropy": None, "cross_entropy_weighted": weights}.items():
        cases.put(name, labels=labels, **({} if w is None else {"weights": w}))
        cases.differentiate(name, lambda x: losses.cross_entropy(x, labels, None if w is None else w.to(D)),
                            {"x": logits}, upstream=False)
    minus = torch.where(labels == 255, torch.tensor(-1), labels)
    cases.put("cross_entropy_ignore_minus_one", labels=minus)
    cases.differentiate("cross_entropy_ignore_minus_one", lambda x: losses.cross_entropy(x, minus, ignore=-1),
                        {"x": logits * 20}, upstream=False)
    colours = cases.integers(255, 2, 3, 4, 5).float()
    colours[(cases.uniform(2, 1, 4, 5) < 0.2).expand_as(colours)] = 255
    prediction = cases.normal(2, 3, 4, 5)
    for form in ("exact", "published"):
        cases.put(f"cosine_{form}", colours=colours)
        cases.differentiate(f"cosine_{form}", lambda x: losses.cosine(x, colours.to(D), form),
                            {"x": prediction}, upstream=False)
    target = cases.uniform(2, 1, 4, 5) * 4
    target[cases.uniform(2, 1, 4, 5) < 0.2] = 0
    mask = losses.depth_mask(target)
    cases.put("masked_l1", target=target, mask=mask)
    cases.differentiate("masked_l1", lambda x: losses.masked_l1(x, target.to(D), mask.to(D)),
                        {"x": cases.normal(2, 1, 4, 5) + 2}, upstream=False)


def policy(cases):
    logits = cases.normal(8, 2)
    uniforms = (cases.integers(1 << 23, 8, 2).float() + 0.5) * 2.0**-23
    uniforms[0, 0], uniforms[1, 1] = 0.5 * 2.0**-23, 1 - 2.0**-24
    for name, tau, hard in (("soft_tau5", 5.0, False), ("soft_tau07", 0.7, False), ("hard_tau5", 5.0, True)):
        tau = torch.tensor(tau)
        cases.put(f"gumbel_{name}", u=uniforms, temperature=tau)
        cases.differentiate(f"gumbel_{name}",
                            lambda z: reference.gumbel_softmax(z, uniforms.to(D), tau.to(D), hard), {"z": logits})
    logits = cases.normal(3, 8, 2)
    cases.put("regularisers", z=logits)
    forms = {f"sharing_{form}": (lambda z, form=form: losses.sharing(z, form)) for form in ("paper", "published")}
    for opened in (8, 3):
        for form in ("paper", "published"):
            forms[f"sparsity_{form}_open{opened}"] = (
                lambda z, form=form, opened=opened: losses.sparsity(z, form, opened))
    forms["sparsity_published_weighted_open8"] = lambda z: losses.sparsity(z, "published", 8, weighted=True)
    forms["sparsity_published_weighted_open3"] = lambda z: losses.sparsity(z, "published", 3, weighted=True)
    for name, function in forms.items():
        z = logits.to(D).requires_grad_(True)
        y = function(z)
        cases.put(name, y=y, dz=torch.autograd.grad(y, z)[0])


def optimisers(cases):
    steps, count = 5, 19
    table = {
        "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}, [0.1, 0.9, 1e-2]),
        "adam_warmup": (torch.optim.Adam, {"lr": 0.01, "betas": (0.5, 0.999), "weight_decay": 1e-2},
                        [0.01, 0.5, 0.999, 1e-8, 1e-2]),
        "adam_logits": (torch.optim.Adam, {"lr": 0.01, "betas": (0.9, 0.999), "weight_decay": 5e-4},
                        [0.01, 0.9, 0.999, 1e-8, 5e-4]),
    }
    states = {"momentum_buffer": "momentum", "exp_avg": "m", "exp_avg_sq": "v"}
    for name, (kind, settings, attributes) in table.items():
        start, gradients = cases.normal(count), cases.normal(steps, count)
        parameter = start.to(D).requires_grad_(True)
        optimiser, path = kind([parameter], **settings), []
        for gradient in gradients:
            parameter.grad = gradient.to(D)
            optimiser.step()
            path.append(parameter.detach().clone())
        cases.put(name, attributes=torch.tensor(attributes), w=start, gradients=gradients, y=torch.stack(path))
        cases.put(name, **{states[k]: v for k, v in optimiser.state[parameter].items() if k in states})


def operators():
    """Everything but convolutions."""
    cases = Cases(2)
    for part in (batch_norm, shapes_and_residuals, task_losses, policy, optimisers):
        part(cases)
    return cases.tensors
