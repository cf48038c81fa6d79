"""Golden training steps of a small image classifier whose tasks have images of their own, as DomainNet's have.

Each step passes every task's images through the backbone under the task's policy; convolutions are shared, batch norms
are shared or each task's own.
"""

from collections import OrderedDict

import torch

import formula
import golden_networks
import losses
from adashare_reference import Spec

OUTPUTS = (5, 4, 7)
# Batch, height, width: batch norms of the last stage see 3 x 2 x 2 pixels.
INPUTS = (3, 33, 41)

COMMON = Spec("resnet18", 0.25, OUTPUTS, "linear")
OWN = Spec("resnet18", 0.25, OUTPUTS, "linear", task_norms=True)


class Run(golden_networks.Run):
    """A network with images and classes for each task."""

    def read_data(self):
        size, height, width = INPUTS
        self.images, self.classes = [], []
        for k, outputs in enumerate(OUTPUTS, start=1):
            image = formula.symmetric(self.salt, f"input/task{k}/image", (size, 3, height, width), 2.0)
            classes = formula.uniform(self.salt, f"input/task{k}/classes", (size,)) * outputs
            self.images.append(torch.from_numpy(image).to(self.dtype))
            self.classes.append(torch.from_numpy(classes).floor().long())

    def task_losses(self, outputs):
        return [losses.cross_entropy(y, c) for y, c in zip(outputs, self.classes)]


def retrain(run, rate, steps=golden_networks.STEPS):
    def forward(run, step):
        return run.network.per_image(run.images, golden_networks.POLICY)

    golden_networks.weight_steps(run, forward, golden_networks.adam(run, rate), steps)


def case(spec, rate):
    """Builder of a file's results from (salt, dtype)."""
    def build(salt, dtype, **keywords):
        run = Run(spec, salt, dtype)
        retrain(run, rate, **keywords)
        return run
    return build


SETTINGS = {"optimiser": "adam", "learning_rate": "1e-5"}
# File name -> (salt found by search_salt.py, builder, settings kept in the file's metadata).
NETWORKS = OrderedDict(
    network_images=("57", case(COMMON, 1e-5), SETTINGS),
    network_images_task_norms=("24", case(OWN, 1e-5), SETTINGS),
)
