"""Golden numbers of the PyTorch reference, and our supernet in the same state."""

from __future__ import annotations

import functools
import json
import pathlib

import keras
import numpy as np
import pytest
from numerics import floatx

from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.models.supernet import Supernet
from darts_tf.search.darts import DARTS
from darts_tf.training.optimizers import SGD, Adam

FOLDER = pathlib.Path(__file__).parents[1] / "golden"
SMALL_SEARCH = "cnn_search_small"
TRAJECTORY = "trajectory_small"
OTHER_MOMENTA = ("cnn_search_zero_momentum", "cnn_search_momentum")
SEARCHES = (
    SMALL_SEARCH,
    *(pytest.param(name, marks=pytest.mark.slow) for name in OTHER_MOMENTA),
)
EVALUATIONS = ("cnn_eval_cifar_darts_v2", "cnn_eval_imagenet_darts_v2")
ALPHAS = ("alphas_normal", "alphas_reduce")


class Golden:
    """Arrays of a golden file by name, and its `meta`."""

    def __init__(self, path: pathlib.Path):
        with np.load(path) as arrays:
            self.arrays = dict(arrays)
        self.meta = json.loads(bytes(self.arrays.pop("meta")))

    def __getitem__(self, name):
        return self.arrays[name]

    def section(self, prefix: str) -> dict[str, np.ndarray]:
        """Returns the arrays below `prefix/`, by the rest of their names."""
        below = f"{prefix}/"
        return {k[len(below) :]: v for k, v in self.arrays.items() if k.startswith(below)}

    def alphas(self, name: str) -> list[np.ndarray]:
        """Returns the alphas of both cells; `{}` in the name stands for the cell."""
        return [self[name.format(alphas)] for alphas in ALPHAS]


class GoldenSearch:
    """A trainer with supernet, optimizers and batches of a golden file, in float64."""

    def __init__(self, golden: Golden):
        self.golden = golden
        self.train = golden["x_train"], golden["y_train"]
        self.valid = golden["x_valid"], golden["y_valid"]
        with floatx("float64"):
            self.supernet, self._scratch = self._new_supernet(), self._new_supernet()
            self.trainer = self._new_trainer()

    def _new_supernet(self):
        meta = self.golden.meta
        return Supernet(meta["channels"], meta["cells"], meta["classes"])

    def _new_trainer(self):
        return reference_trainer(self.supernet, self.golden.meta, self.golden.meta["eta"])

    def reset(self):
        """Restores the state in which the golden numbers were computed."""
        self.trainer.arch_gradient = "second_order"
        load_reference_weights(self.supernet, self._state())
        for optimizer in (self.trainer.optimizer, self.trainer.arch_optimizer):
            for variable in optimizer.variables:
                if variable is not optimizer._learning_rate:
                    variable.assign(np.zeros(variable.shape))
        buffers = self.golden.section("momentum_buffer")
        if buffers:
            for velocity, buffer in zip(
                self.trainer.optimizer.momentums, self.ours(buffers), strict=True
            ):
                velocity.assign(buffer)

    def _state(self, **changed):
        alphas = {name: self.golden[name] for name in ALPHAS}
        return {**self.golden.section("weights"), **alphas, **changed}

    def ours(self, arrays: dict[str, np.ndarray], statistics: bool = False) -> list[np.ndarray]:
        """Returns arrays by the reference's names in order and layouts of our `network_weights`.

        Args:
            arrays: one array per weight, or per running mean and variance.
            statistics: whether the arrays are running means and variances.
        """
        load_reference_weights(self._scratch, self._state(**arrays))
        return (
            self.statistics(self._scratch) if statistics else values(self._scratch.network_weights)
        )

    @staticmethod
    def statistics(supernet) -> list[np.ndarray]:
        """Returns running means and variances of every normalization."""
        return values(v for v in supernet.variables if v.name.startswith("moving"))


def reference_trainer(supernet: Supernet, meta: dict, rate: float, **settings) -> DARTS:
    """Returns a compiled trainer with the reference's optimizers.

    Args:
        supernet: the supernet.
        meta: settings, from a golden file.
        rate: learning rate of the weights.
        **settings: further arguments of `DARTS`.
    """
    trainer = DARTS(
        supernet,
        weight_decay=meta["weight_decay"],
        clip_norm=meta["grad_clip"],
        arch_weight_decay=meta["arch_weight_decay"],
        **settings,
    )
    trainer.compile(
        optimizer=SGD(rate, meta["momentum"]),
        arch_optimizer=Adam(meta["arch_lr"], *meta["arch_betas"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return trainer


@functools.cache
def search_at(path: pathlib.Path) -> GoldenSearch:
    """Returns the trainer of a golden file, created once; call `reset` before use."""
    return GoldenSearch(Golden(path))


def values(variables) -> list[np.ndarray]:
    """Returns copies of the values of variables."""
    return [np.asarray(v).copy() for v in variables]
