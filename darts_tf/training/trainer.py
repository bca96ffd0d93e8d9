"""Trainer of a network's weights: data-parallel steps that are undone if they are not finite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from darts_tf.layers.normalization import synchronized_statistics
from darts_tf.runtime.distribution import all_sum, apply_summed, assign, replicas
from darts_tf.runtime.execution import variables_named_alike
from darts_tf.training.losses import (
    loss_of_logits,
    metric_of_logits,
    per_example,
    with_example_count,
)
from darts_tf.training.optimizers import SGD, check_plain, clip_then_decay


class Trainer(keras.Model):
    """Trainer of a network's weights on batches `(x, y)`.

    Under a strategy of `tf.distribute` every replica has a part of the global batch and computes
    its share of the loss. Gradients are summed before they are clipped, so a step equals that of
    one device on the whole batch.

    A step whose loss or gradient is not finite changes nothing and is counted.

    Args:
        network: a built Keras model.
        weight_decay: strength of the L2 term in the weights' gradient.
        clip_norm: maximum global norm of the weights' gradient; None for no clipping.
        sync_batch_norm: if True, normalise by the statistics of the global batch instead of those
            of each replica's part.

    Attributes:
        skipped: variable, number of skipped steps.
        skipped_in_a_row: variable, number of skipped steps since the last finite one.
        rollbacks: variable, number of rollbacks to a checkpoint with a lower learning rate.
    """

    def __init__(
        self,
        network: keras.Model,
        weight_decay: float = 3e-4,
        clip_norm: float | None = 5.0,
        sync_batch_norm: bool = False,
    ):
        super().__init__()
        self.network = network
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.sync_batch_norm = sync_batch_norm
        self.mean_loss = keras.metrics.Mean("loss")
        self.norms = {"gradient_norm": keras.metrics.Mean("gradient_norm")}
        self.skipped, self.skipped_in_a_row, self.rollbacks = (
            self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False, name=n)
            for n in ("skipped", "skipped_in_a_row", "rollbacks")
        )
        self.watched = []
        self.built = True

    @variables_named_alike()
    def compile(
        self, optimizer=None, loss="sparse_categorical_crossentropy", metrics=None, **kwargs
    ):
        """Sets the optimizer of the weights, the loss on logits, and the metrics.

        Args:
            optimizer: optimizer of the weights or its name, without weight decay and clipping,
                which are done by this trainer; None for the paper's.
            loss: a Keras loss of logits, a function `loss(labels, logits)` that returns a mean or
                one number per example, or a name in `losses.LOSSES`.
            metrics: Keras metric objects, or names in `losses.METRICS`; they are updated with
                labels and logits of the training batch, before the weights' step.
            **kwargs: passed to `keras.Model.compile`.

        Raises:
            InputError: `optimizer` clips or decays, or `loss` or a metric has an unknown name.
        """
        optimizer = keras.optimizers.get(optimizer or self.paper_optimizer())
        check_plain(optimizer)
        loss = loss_of_logits(loss)
        metrics = [metric_of_logits(metric) for metric in metrics or ()]
        kwargs.setdefault("jit_compile", False)  # XLA's depthwise convolutions are slow on CPUs
        super().compile(optimizer=optimizer, **kwargs)
        self.watched = metrics
        self.losses_of = per_example(loss)
        self.weights_to_train = self._weights_to_train()
        self.optimizer.build(self.weights_to_train)

    def paper_optimizer(self) -> keras.optimizers.Optimizer:
        """Returns a new optimizer of the weights, as in the paper's search on images."""
        return SGD(0.025, momentum=0.9)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The mean loss, the metrics passed to `compile`, and the gradient norms."""
        return [self.mean_loss, *self.watched, *self.norms.values()]

    def _weights_to_train(self) -> list[keras.Variable]:
        return self.network.trainable_variables

    def call(self, x, training=False):
        """Returns the network's outputs."""
        return self.network(x, training=training)

    def objective(self, labels, outputs) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns each example's loss, and its parts by the name of a metric.

        Every part other than `loss` needs a metric with its name.
        """
        values = self.losses_of(labels, outputs)
        return values, {"loss": values}

    def logits(self, outputs) -> tf.Tensor:
        """Returns the logits among the network's outputs."""
        return outputs

    def weighted(self, labels, values) -> tf.Tensor:
        """Returns the examples' losses, multiplied by their weights in training."""
        del labels
        return values

    def state(self) -> list[keras.Variable]:
        """Returns the state of a run: weights, statistics, optimizers, metrics and counters."""
        variables = [*self.variables, *self.optimizer_variables(), *self.metrics_variables]
        return list({id(variable): variable for variable in variables}.values())

    def extended(self, variable, array):
        """Returns the array of a checkpoint in the size that a longer run needs, for a variable."""
        del variable
        return array

    def optimizer_variables(self) -> list[keras.Variable]:
        """Returns the variables of all optimizers."""
        return list(self.optimizer.variables)

    def trained_variables(self) -> list[keras.Variable]:
        """Returns the variables that the optimizers update."""
        return list(self.weights_to_train)

    def train_step(self, data):
        """Runs a step of the weights; returns the metrics, means since the start of the epoch."""
        (batch,) = with_example_count(data)
        before, weights = self.snapshot(), self.read(self.weights_to_train)
        return self.commit_or_undo(before, *self.weight_step(weights, batch))

    def test_step(self, data):
        """Updates and returns loss and metrics of the network with its running statistics."""
        x, y = data
        self.measure(y, self.predict_for_test(x))
        return self.results(training=False)

    def begin_epoch(self) -> None:
        """Resets the metrics before the first step of an epoch."""
        self.reset_metrics()

    @contextlib.contextmanager
    def testing(self) -> Iterator[None]:
        """Context manager for `test_step`s from the first test batch on; resets the metrics."""
        self.reset_metrics()
        yield

    def is_best(self, epoch: int, logs: dict[str, float]) -> bool:
        """Returns True if the run's state after this epoch must be saved as the best so far.

        Args:
            epoch: number of the epoch, from 0.
            logs: metrics of the epoch, those of the test with the prefix `val_`.
        """
        del epoch, logs
        return False

    def predict_for_test(self, x):
        """Returns the outputs of the network to test, with its running statistics."""
        return self.network(x, training=False)

    @property
    def variant(self):
        """A hashable value on which the traced step depends; a new value causes a new trace."""
        return None

    def results(self, training: bool = True) -> dict[str, tf.Tensor]:
        """Returns the metrics of training or of a test, means since they were reset."""
        del training
        metrics = self.get_metrics_result()
        return {name: value for name, value in metrics.items() if name not in self.norms}

    def gradient_norms(self) -> dict[str, tf.Tensor]:
        """Returns the gradients' mean norms since a reset, before clipping and decay."""
        return {name: metric.result() for name, metric in self.norms.items()}

    def measure(self, labels, outputs):
        """Updates all metrics with a batch."""
        by_name = {metric.name: metric for metric in self.metrics}
        for name, values in self.objective(labels, outputs)[1].items():
            by_name[name].update_state(values)
        for metric in self.watched:
            metric.update_state(labels, self.logits(outputs))

    def carry_state(self, outputs) -> None:
        """Carries state from a training batch to the next; does nothing here."""

    def share_at(self, mapping: Sequence[tuple[keras.Variable, tf.Tensor]], batch, objective=None):
        """Computes the loss with other values of the network's variables, without assigning them.

        Args:
            mapping: pairs of a variable and its value.
            batch: a batch from `with_example_count`.
            objective: replaces `self.objective`; None to use that.

        Returns:
            This replica's share of the mean loss, the outputs, and the pairs of a non-trainable
            variable and its new value.
        """
        x, y, total = batch
        with (
            keras.StatelessScope(state_mapping=mapping) as scope,
            synchronized_statistics(self.sync_batch_norm),
        ):
            outputs = self.call(x, training=True)
        moved = [(v, scope.get_current_value(v)) for v in self.network.non_trainable_variables]
        values, _ = (objective or self.objective)(y, outputs)
        share = tf.reduce_sum(self.weighted(y, values)) / tf.cast(total, values.dtype)
        return share, outputs, [(v, value) for v, value in moved if value is not None]

    def weight_step(self, weights, batch, others=(), numbers=(), **descent):
        """Updates w ← w − ξ∇w L_train(w), if the loss and its gradient are finite.

        Args:
            weights: values of `weights_to_train`.
            batch: a batch from `with_example_count`.
            others: pairs of a variable that is not trained here and its value.
            numbers: additional scalars that must be finite.
            **descent: further arguments of the update of the weights.

        Returns:
            `(finite, moved)`: a boolean scalar, equal on all replicas, and the other variables that
            change, each with its value before and after a finite step.
        """
        held = {id(v): (v, tf.convert_to_tensor(v)) for v in self.network.non_trainable_variables}
        mapping = [*zip(self.weights_to_train, weights, strict=True), *others, *held.values()]
        (share, outputs, moved), gradients = self._gradients_at(weights, mapping, batch)
        moved = [(*held[id(v)], value) for v, value in moved if value is not held[id(v)][1]]
        statistics, rest = _floating(moved)
        summed = all_sum([share, *gradients, *(value for *_, value in statistics)])
        loss, gradients, sums = summed[0], summed[1 : len(weights) + 1], summed[len(weights) + 1 :]
        norm = tf.linalg.global_norm(gradients)
        finite = tf.reduce_all([tf.math.is_finite(number) for number in (*numbers, loss, norm)])
        self._descend(gradients, weights, norm, finite, **descent)
        self.norms["gradient_norm"].update_state(norm)
        self.measure(batch[1], outputs)
        self.carry_state(outputs)
        means = ((v, old, s / replicas()) for (v, old, _), s in zip(statistics, sums, strict=True))
        return finite, [*means, *rest]

    def _gradients_at(self, weights, mapping, batch):
        """Returns the results of `share_at`, and the gradients of this replica's share."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            results = self.share_at(mapping, batch)
        return results, tape.gradient(results[0], weights, unconnected_gradients=_ZERO)

    def _descend(self, gradients, weights, norm, finite):
        settings = (self.clip_norm, self.weight_decay, norm)
        if isinstance(self.optimizer, SGD):
            self.optimizer.step(gradients, weights, self.weights_to_train, *settings, finite)
        else:
            gradients = clip_then_decay(gradients, weights, *settings)
            apply_summed(self.optimizer, gradients, self.weights_to_train)

    def snapshot(self) -> list[tuple]:
        """Returns the variables that even a step that is not finite changes, with their values."""
        changed = [*self.trained_variables(), *self.optimizer_variables(), *self.metrics_variables]
        if isinstance(self.optimizer, SGD):  # our SGD changes nothing in such a step
            left = {id(v) for v in (*self.weights_to_train, *self.optimizer.variables)}
            changed = [variable for variable in changed if id(variable) not in left]
        return list(zip(changed, self.read(changed), strict=True))

    def commit_or_undo(self, before, finite, moved) -> dict[str, tf.Tensor]:
        """Ends a step: undoes it where it is not finite, and counts that.

        Args:
            before: from `snapshot`, called before the step.
            finite: from `weight_step`.
            moved: from `weight_step`.

        Returns:
            The metrics.
        """
        now = self.read([variable for variable, _ in before])
        moved = [*moved, *((v, old, new) for (v, old), new in zip(before, now, strict=True))]
        for variable, old, new in moved:
            assign(variable, tf.where(finite, tf.cast(new, variable.dtype), old))
        bad = 1 - tf.cast(finite, tf.int64)
        assign(self.skipped, tf.convert_to_tensor(self.skipped) + bad)
        assign(self.skipped_in_a_row, (tf.convert_to_tensor(self.skipped_in_a_row) + bad) * bad)
        return self.results()

    @staticmethod
    def read(variables) -> list[tf.Tensor]:
        """Returns the values of variables."""
        return [tf.convert_to_tensor(variable) for variable in variables]


_ZERO = tf.UnconnectedGradients.ZERO


def _floating(moved):
    """Separates floating-point statistics, which replicas average, from values equal on all."""
    statistics, rest = [], []
    for each in moved:
        (statistics if each[-1].dtype.is_floating else rest).append(each)
    return statistics, rest
