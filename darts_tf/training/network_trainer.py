"""Trainer of an evaluation network: losses, metrics, and the average of its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from darts_tf.configs import TrainConfig
from darts_tf.models.network import GenotypeNetwork, build_network, logits_of
from darts_tf.runtime.execution import compiles
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.training import averages
from darts_tf.training.optimizers import SGD
from darts_tf.training.trainer import Trainer

FEW_CLASSES = 10
"""With this many classes or fewer, top-5 accuracy is not reported."""


class NetworkTrainer(Trainer):
    """Trainer of an evaluation network and its auxiliary head.

    Args:
        network: network of a genotype.
        auxiliary_weight: factor of the auxiliary head's loss, if the network has one.
        class_weights: factors of the examples' training losses, per class; None for 1.
        average_decay: decay of an exponential moving average of weights and statistics, with which
            the network is tested; None for no average.
        **settings: keyword arguments of `Trainer`.
    """

    def __init__(
        self,
        network: GenotypeNetwork,
        auxiliary_weight: float = 0.4,
        class_weights: Sequence[float] | None = None,
        average_decay: float | None = None,
        **settings,
    ):
        super().__init__(network, **settings)
        self.auxiliary_weight = auxiliary_weight
        self.class_weights = class_weights
        self.average_decay = average_decay
        names = ("auxiliary_loss", "total_loss") if network.auxiliary_head else ()
        self.parts = [keras.metrics.Mean(name) for name in names]
        averaged = _averaged(network) if average_decay is not None else []
        self.averages = averages.averages(self, averaged)

    @property
    def metrics(self):
        """The metrics of `Trainer`, and with an auxiliary head its loss and the total loss."""
        return [*super().metrics, *self.parts]

    def objective(self, labels, outputs):
        """Returns the loss plus the weighted auxiliary loss (sec. A.2), and its parts."""
        loss = self.losses_of(labels, self.logits(outputs))
        if not self.parts:
            return loss, {"loss": loss}
        auxiliary = self.losses_of(labels, outputs["auxiliary"])
        total = loss + self.auxiliary_weight * auxiliary
        return total, {"loss": loss, "auxiliary_loss": auxiliary, "total_loss": total}

    def logits(self, outputs):
        """Returns the logits of the final head."""
        return logits_of(outputs)

    def weighted(self, labels, values):
        """Multiplies the examples' losses by the weights of their classes."""
        if self.class_weights is None:
            return values
        return values * tf.gather(tf.constant(self.class_weights, values.dtype), labels)

    def train_step(self, data):
        """Runs `Trainer.train_step` and updates the averages, if the step was finite."""
        results = super().train_step(data)
        if self.averages:
            moved = tf.equal(tf.convert_to_tensor(self.skipped_in_a_row), 0)
            averages.move(self.averages, tf.where(moved, 1 - self.average_decay, 0.0))
        return results

    def predict_for_test(self, x):
        """Runs `Trainer.predict_for_test` with the averages, if there are any."""
        held = [(variable, tf.convert_to_tensor(average)) for variable, average in self.averages]
        with keras.StatelessScope(state_mapping=held):
            return super().predict_for_test(x)

    def take_averages(self) -> None:
        """Sets the network's variables to the averages, if there are any."""
        averages.take(self.averages)


def _averaged(network: GenotypeNetwork) -> list[keras.Variable]:
    """Returns the network's weights and running statistics."""
    return [
        variable
        for variable in network.variables
        if variable is not network.drop_path_rate and "float" in variable.dtype
    ]


def build_trainer(
    config: TrainConfig,
    genotype: AnyGenotype,
    classes: int,
    image_channels: int,
    class_weights: Sequence[float] | None = None,
) -> NetworkTrainer:
    """Builds a genotype's network and returns its compiled trainer."""
    network = build_network(
        genotype,
        config.channels,
        config.cells,
        classes,
        stem=config.stem,
        auxiliary=config.auxiliary,
        image_channels=image_channels,
        drop_path=config.drop_path,
    )
    trainer = NetworkTrainer(
        network,
        config.auxiliary_weight,
        class_weights,
        config.average_decay,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        sync_batch_norm=config.sync_batch_norm,
    )
    trainer.compile(
        optimizer=SGD(config.learning_rate, config.momentum),
        loss=cross_entropy(config.label_smoothing),
        metrics=accuracies(classes),
        jit_compile=compiles(config.jit_compile),
    )
    return trainer


def cross_entropy(label_smoothing: float) -> Callable:
    """Makes a loss of (integer labels, logits) with label smoothing.

    `label_smoothing` is the share of each label that is distributed over all classes.
    """

    def loss(labels, logits):
        one_hot = tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int32), logits.shape[-1])
        return keras.losses.categorical_crossentropy(
            one_hot, logits, from_logits=True, label_smoothing=label_smoothing
        )

    return loss


def accuracies(classes: int) -> list[keras.metrics.Metric]:
    """Makes metrics of top-1 and, with more than `FEW_CLASSES` classes, top-5 accuracy."""
    metrics = [keras.metrics.SparseCategoricalAccuracy("accuracy")]
    if classes > FEW_CLASSES:
        metrics.append(keras.metrics.SparseTopKCategoricalAccuracy(5, "top5_accuracy"))
    return metrics


def balanced(labels: np.ndarray, classes: int) -> list[float]:
    """Computes class weights that balance the classes: n / (classes · count of the class).

    They are 1 if all classes are equally frequent.
    """
    counts = np.bincount(labels, minlength=classes)
    return [float(len(labels) / (classes * max(count, 1))) for count in counts]
