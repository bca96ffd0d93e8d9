"""Batch normalisation with the authors' conventions, and control of its running statistics."""

from __future__ import annotations

from contextlib import AbstractContextManager

import keras
import tensorflow as tf

from darts_tf.ops.batch_norm import normalize
from darts_tf.ops.constants import filled
from darts_tf.runtime import switches
from darts_tf.runtime.distribution import all_sum, replicas


def tracked_statistics(track: bool) -> AbstractContextManager[None]:
    """Context manager: training passes update the running statistics, or leave them alone.

    The virtual steps of the bilevel gradient evaluate the network at weights that it never has, so
    they must not change its running mean and variance.
    """
    return switches.TRACKING.hold(track)


def tracking() -> bool:
    """Returns True if training passes update the running statistics."""
    return switches.TRACKING.value


def synchronized_statistics(synchronize: bool) -> AbstractContextManager[None]:
    """Context manager: training passes normalise by the statistics of all replicas' images."""
    return switches.SYNCHRONIZED.hold(synchronize)


def synchronized() -> bool:
    """Returns True if training passes use the statistics of all replicas."""
    return switches.SYNCHRONIZED.value and replicas() > 1


@keras.saving.register_keras_serializable("darts_tf")
class BatchNormalization(keras.layers.Layer):
    """Batch normalisation over `(batch, height, width, channels)` with the authors' conventions.

    Momentum is the factor of the previous statistics (0.9 here is 0.1 in PyTorch). The running
    variance is unbiased.

    Args:
        affine: True to learn a scale and a shift; the cells of a search have none.
        momentum: factor of the previous value in the running statistics.
        epsilon: added to the variance.
    """

    def __init__(self, affine: bool = True, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(**{**kwargs, "autocast": False})
        self.affine = affine
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        """Creates the running statistics, and scale and shift if affine."""
        shape = input_shape[-1:]
        if self.affine:
            self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        statistics = {"shape": shape, "trainable": False, "autocast": False}
        self.moving_mean = self.add_weight(initializer="zeros", name="moving_mean", **statistics)
        self.moving_variance = self.add_weight(
            initializer="ones", name="moving_variance", **statistics
        )

    def call(self, x, scale=None, training=False):
        """Normalises by the batch's statistics in training, otherwise by the running ones.

        Args:
            x: `(batch, height, width, channels)`.
            scale: additional factor per channel, `(channels,)`, at no extra cost; None for 1.
            training: True to use and track the batch's statistics.
        """
        if not (training and self.trainable):  # frozen by `trainable=False`, as in Keras
            factor, shift = (
                part if scale is None else part * scale for part in self.inference_scale_and_shift()
            )
            return x * tf.cast(factor, x.dtype) + tf.cast(shift, x.dtype)
        offset = None
        if self.affine:
            offset = self.beta if scale is None else self.beta * scale
            scale = self.gamma if scale is None else self.gamma * scale
        total = all_sum if synchronized() else None
        y, mean, variance = normalize(x, self.epsilon, scale, offset, total)
        if tracking():
            self._track(self.moving_mean, mean)
            self._track(self.moving_variance, variance)
        return y

    def inference_scale_and_shift(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `(scale, shift)`, each `(channels,)`: at inference y = x * scale + shift."""
        scale = tf.math.rsqrt(self.moving_variance + self.epsilon)
        shift = -self.moving_mean * scale
        if not self.affine:
            return scale, shift
        gamma, beta = (tf.cast(part, scale.dtype) for part in (self.gamma, self.beta))
        return scale * gamma, shift * gamma + beta

    def _track(self, running, batch):
        share = filled(1 - self.momentum, (), running.dtype)
        value = tf.convert_to_tensor(running)
        running.assign(value + (tf.cast(batch, value.dtype) - value) * share)

    def track_sequence(self, means, variances):
        """Updates the running statistics by those of several batches, in order.

        Args:
            means: means of the batches, `(batches, channels)`.
            variances: unbiased variances of the batches, `(batches, channels)`.
        """
        for running, batches in ((self.moving_mean, means), (self.moving_variance, variances)):
            value = tf.convert_to_tensor(running)
            batches = tf.cast(batches, value.dtype)
            after = tf.range(tf.shape(batches)[0], -1, -1)
            powers = filled(self.momentum, (), value.dtype) ** tf.cast(after, value.dtype)
            share = filled(1 - self.momentum, (), value.dtype) * powers[1:]
            running.assign(powers[0] * value + tf.linalg.matvec(batches, share, transpose_a=True))

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape

    def get_config(self):
        """Returns the constructor arguments."""
        own = {"affine": self.affine, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


def built_normalization(channels: int, affine: bool, name: str) -> BatchNormalization:
    """Returns a built batch normalisation of `channels`."""
    norm = BatchNormalization(affine=affine, name=name)
    norm.build((None, None, None, channels))
    return norm
