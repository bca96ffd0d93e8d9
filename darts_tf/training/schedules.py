"""Schedules: learning rates per epoch or step, and other hyperparameters per epoch."""

from __future__ import annotations

import math


def cosine(epoch: float, epochs: int, start: float, end: float) -> float:
    """Follows half a cosine wave from `start` at epoch 0 to `end` at epoch `epochs`."""
    return end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def linear(epoch: float, epochs: int, start: float, end: float) -> float:
    """Interpolates linearly from `start` at epoch 0 to `end` at epoch `epochs`."""
    return start + (end - start) * epoch / epochs


def exponential(epoch: float, decay: float, start: float, end: float) -> float:
    """Returns `start` times `decay` to the power of the epoch, at least `end`."""
    return max(start * decay**epoch, end)


SCHEDULES = {
    "constant": lambda c, epoch: c.learning_rate,
    "cosine": lambda c, epoch: cosine(epoch, c.schedule_epochs, *_ends(c)),
    "linear": lambda c, epoch: linear(epoch, c.schedule_epochs, *_ends(c)),
    "exponential": lambda c, epoch: exponential(
        epoch, c.learning_rate_decay, c.learning_rate, c.learning_rate_min
    ),
}
"""Learning rate schedules by name: functions of the settings and a (fractional) epoch."""


def _ends(config) -> tuple[float, float]:
    return config.learning_rate, config.learning_rate_min


def rate_at(config, epoch: int, step: int = 0, steps: int = 1) -> float:
    """Returns the learning rate of a step of a run.

    Args:
        config: settings of the run. With `schedule_per="step"` the rate changes at every step,
            otherwise at every epoch. Over the first `warmup_epochs` it is multiplied by a factor
            that grows linearly to 1. All of this starts again every `schedule_epochs`.
        epoch: number of the epoch, from 0.
        step: number of the step in the epoch, from 0.
        steps: number of steps in an epoch.
    """
    epoch %= config.schedule_epochs
    unit = 1 / steps if config.schedule_per == "step" else 1
    done = epoch + step * unit if config.schedule_per == "step" else epoch
    warm = min(1, (done + unit) / config.warmup_epochs) if config.warmup_epochs else 1
    return SCHEDULES[config.schedule](config, done) * warm


def drop_path_at(config, epoch: int) -> float:
    """Returns the drop path rate, proportional to the epoch (Liu et al. 2019, sec. A.2)."""
    return config.drop_path * epoch / config.epochs


TEMPERATURES = 10.0, 0.1
"""Temperature of a sampling relaxation in the first and the last epoch (Dong & Yang 2019, GDAS)."""


def temperature_at(config, epoch: int) -> float:
    """Returns the temperature of a sampling relaxation, linear in the epoch."""
    return linear(epoch, max(1, config.epochs - 1), *TEMPERATURES)


FIRST_RADIUS = 0.03
"""Radius of a perturbation in the first epoch (Chen & Hsieh 2020, SmoothDARTS)."""


def perturb_radius_at(config, epoch: int) -> float:
    """Returns the radius of a perturbation, linear up to `perturb_radius` at epoch `epochs`."""
    return linear(epoch, config.epochs, FIRST_RADIUS, config.perturb_radius)


WEIGHTS = {"beta-decay": 50.0, "zero-one": 10.0, "concentration": 1e-3}
"""Default weights of regularisers.

For beta-decay the final weight (Ye et al. 2022); constant ones for zero-one (Chu et al. 2020) and
for concentration (Chen et al. 2021).
"""


def regularizer_weight_at(config, epoch: int) -> float:
    """Returns the weight of a search's regulariser; that of beta-decay grows linearly from 0."""
    name, weight = config.chosen_regularizer, config.regularizer_weight
    weight = WEIGHTS[name] if weight is None else weight
    return linear(epoch, config.epochs, 0.0, weight) if name == "beta-decay" else weight


def alignment_weight_at(config, epoch: int) -> float:
    """Returns the weight of the layer alignment, linear from 0 to `alignment_weight`.

    It has the final value in the last epoch, as in the authors' code (Movahedi et al. 2023).
    """
    return linear(epoch, max(1, config.epochs - 1), 0.0, config.alignment_weight)


def op_dropout_at(config, epoch: int) -> float:
    """Returns the dropout rate on skip connections (Chen et al. 2019, P-DARTS, as in their code).

    Before epoch `arch_from_epoch`, while the alphas are fixed, it decreases linearly. From then on
    it starts again at `op_dropout` and decays by a factor of exp(-0.2) per epoch.
    """
    if epoch < config.arch_from_epoch:
        return config.op_dropout * (config.epochs - epoch - 1) / config.epochs
    return config.op_dropout * math.exp(-0.2 * (epoch - config.arch_from_epoch))
