"""Algorithm 1 of the paper as a Keras training step (Liu et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from darts_tf.configs.estimators import ESTIMATORS, check_not_unrolled
from darts_tf.errors import InputError, shown
from darts_tf.layers.cells import offset_cells
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.models.mixture import mixed_by
from darts_tf.ops.autodiff import custom_gradient, weights_fixed
from darts_tf.ops.constants import filled
from darts_tf.runtime.distribution import all_sum, apply_summed
from darts_tf.search.adversarial_smoothing import adversarial_smoothing
from darts_tf.search.estimators import first_order_with_weights
from darts_tf.search.layer_alignment import aligned_cells, aligned_gradients
from darts_tf.search.operation_stopping import OperationStop
from darts_tf.search.regularizers import REGULARIZERS
from darts_tf.training.losses import with_example_count
from darts_tf.training.optimizers import SGD, Adam, clip, clip_then_decay, clip_to_and_fro
from darts_tf.training.trainer import Trainer


class DARTS(Trainer):
    """Trains a supernet's weights and its architecture alternately.

    A batch is a pair `((x, y), (x_valid, y_valid))`: a batch of the half of the data that trains
    the weights, and one of the half that trains the alphas. Each step first updates the alphas by
    the chosen gradient of the validation loss, then the weights by the gradient of the training
    loss.

    The trainer uses only `.alphas`, `.network_weights` and the call of the network.

    Args:
        network: a supernet.
        arch_gradient: estimator of the alphas' gradient, a name in `ESTIMATORS`.
        weight_decay: strength of the L2 term in the weights' gradient.
        clip_norm: maximum global norm of the weights' gradient; None for no clipping.
        arch_weight_decay: strength of the L2 term in the alphas' gradient.
        sync_batch_norm: as in `Trainer`.
        clip_virtual_step: if True, the virtual step clips its gradient too, as in recurrent
            searches. Exact estimators differentiate the clipping exactly; the finite difference
            differentiates it as the reference does.
        arch_penalty: scalar function of the alphas that is added to the validation loss, such as
            `cost_penalty.cost_penalty`; None for no penalty.
        regularizer: regulariser of the alphas, a name in `regularizers.REGULARIZERS`; None for no
            regulariser.
        stop_operations: if not None, the least mean cosine at which the weights of an operation go
            on learning, see `operation_stopping`; for estimators that are not unrolled.
        stop_operations_steps: number of steps in such a mean.
        aligns_cells: if True, the weights descend the training loss minus the layer alignment, see
            `layer_alignment`.
        attacks_mixture: if True, the weights descend the training loss at the worst mixture weights
            in a neighbourhood, see `adversarial_smoothing`. The network needs `perturb_radius`,
            `seed_state` and `mixture()`.

    Attributes:
        alignment_weight: variable, the factor λ of the layer alignment; None without it.
        regularizer_weight: variable, the regulariser's factor in the loss of the alphas; None
            without a regulariser.
        derived: the latest derived genotype, set by callers; None before.
        restarts: number of restarts of the weights so far, set by callers.
        moves_alphas: True if steps update the alphas, False if they update only the weights. After
            a change, call `make_train_function(force=True)` to trace Keras' step again.

    Raises:
        InputError: unknown `arch_gradient` or `regularizer`, or operations to stop with an unrolled
            estimator.
    """

    def __init__(
        self,
        network: keras.Model,
        arch_gradient: str = "second_order",
        weight_decay: float = 3e-4,
        clip_norm: float | None = 5.0,
        arch_weight_decay: float = 1e-3,
        sync_batch_norm: bool = False,
        clip_virtual_step: bool = False,
        arch_penalty: Callable[[list[tf.Tensor]], list[tf.Tensor]] | None = None,
        regularizer: str | None = None,
        stop_operations: float | None = None,
        stop_operations_steps: int = 20,
        aligns_cells: bool = False,
        attacks_mixture: bool = False,
    ):
        super().__init__(network, weight_decay, clip_norm, sync_batch_norm)
        for name, value, known in (
            ("arch_gradient", arch_gradient, list(ESTIMATORS)),
            ("regularizer", regularizer, [None, *REGULARIZERS]),
        ):
            if value not in known:
                raise InputError(
                    f"Expected {name} to be one of {known}. Received: {name}={value!r}"
                )
        self.arch_gradient = arch_gradient
        self.arch_weight_decay = arch_weight_decay
        self.clip_virtual_step = clip_virtual_step
        self.arch_penalty = arch_penalty
        self.operation_stop = None
        if stop_operations is not None:
            check_not_unrolled(arch_gradient)
            rule = stop_operations, stop_operations_steps
            self.operation_stop = OperationStop(network, *rule, self.add_weight)
        self.regularizer = regularizer
        self.regularizer_weight = self._factor("regularizer_weight") if regularizer else None
        self.attacks_mixture = attacks_mixture
        self.aligned = aligned_cells(network) if aligns_cells else []
        self.alignment_weight = self._factor("alignment_weight") if aligns_cells else None
        self.alignment = keras.metrics.Mean("alignment") if aligns_cells else None
        self.arch_loss = keras.metrics.Mean("arch_loss")
        self.norms["arch_gradient_norm"] = keras.metrics.Mean("arch_gradient_norm")
        self.moves_alphas = True
        self.derived = None
        self.restarts = 0

    def compile(
        self,
        optimizer=None,
        arch_optimizer=None,
        loss="sparse_categorical_crossentropy",
        metrics=None,
        **kwargs,
    ):
        """Sets the optimizers of weights and alphas, the loss and the metrics.

        Example:
            ```python
            trainer = darts_tf.DARTS(darts_tf.Supernet(channels=4, cells=3, classes=10))
            trainer.compile("sgd", "adam", metrics=["accuracy"])
            trainer.fit(tf.data.Dataset.zip((train, valid)))  # two data sets of batches (x, y)
            ```

        Args:
            optimizer: optimizer of the weights, a `keras.optimizers.SGD` without Nesterov
                momentum, whose rule the virtual step repeats, or "sgd"; None for the paper's. Set
                weight decay and clipping in the trainer, not in the optimizer.
            arch_optimizer: optimizer of the alphas, or its name; None for the paper's.
            loss: as in `Trainer.compile`.
            metrics: as in `Trainer.compile`.
            **kwargs: as in `Trainer.compile`.

        Raises:
            InputError: `optimizer` is of another kind, or as in `Trainer.compile`.
        """
        optimizer = keras.optimizers.get(optimizer or self.paper_optimizer())
        if not isinstance(optimizer, keras.optimizers.SGD) or optimizer.nesterov:
            nesterov = " with nesterov" if getattr(optimizer, "nesterov", False) else ""
            raise InputError(
                "Expected optimizer to be a keras.optimizers.SGD without nesterov, whose step the "
                f"virtual step repeats. Received: {type(optimizer).__name__}{nesterov}"
            )
        super().compile(optimizer, loss, metrics, **kwargs)
        self.arch_optimizer = keras.optimizers.get(arch_optimizer or self.paper_arch_optimizer())
        self.arch_optimizer.build(self.network.alphas)

    def paper_arch_optimizer(self) -> keras.optimizers.Optimizer:
        """Returns a new optimizer of the alphas, as in the paper's search on images."""
        return Adam(3e-4, beta_1=0.5, beta_2=0.999)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does, on a data set of pairs of batches.

        Args:
            x: a `tf.data.Dataset` of pairs `((x, y), (x_valid, y_valid))`.
            y: None.
            *args: as in Keras.
            **kwargs: as in Keras.

        Raises:
            InputError: other data, such as arrays `x` and `y`.
        """
        if y is not None or not _has_pairs(x):
            received = f"{type(x).__name__} and {type(y).__name__}" if y is not None else _spec(x)
            raise InputError(
                "Expected a tf.data.Dataset of pairs ((x, y), (x_valid, y_valid)), a batch that "
                "trains the weights and one that trains the alphas, as "
                "tf.data.Dataset.zip((train, valid)) makes them; darts_tf.search_cells((x, y)) "
                f"divides arrays itself. Received: {received}"
            )
        return super().fit(x, None, *args, **kwargs)

    @property
    def metrics(self):
        """Metrics of `Trainer`, the mean loss of the alphas, and the mean layer alignment."""
        return [*super().metrics, self.arch_loss, *([self.alignment] if self.aligned else [])]

    def _weights_to_train(self):
        return self.network.network_weights

    def optimizer_variables(self):
        """Returns the variables of both optimizers."""
        return [*super().optimizer_variables(), *self.arch_optimizer.variables]

    def trained_variables(self):
        """Returns the weights and the alphas."""
        return [*super().trained_variables(), *self.network.alphas]

    @property
    def variant(self):
        """True if steps update the alphas."""
        return self.moves_alphas

    def results(self, training=True):
        """Returns the metrics; `arch_loss` only in training steps that update the alphas.

        `stopped_operations` is the number of operations that no longer learn, see
        `stop_operations`.
        """
        results = super().results(training)
        if training and self.operation_stop:
            results["stopped_operations"] = self.operation_stop.stopped()
        if not (training and self.moves_alphas):
            results.pop("arch_loss", None)
        if not training:
            results.pop("alignment", None)
        return results

    def gradient_norms(self):
        """Returns the gradients' mean norms; that of the alphas only if steps update them."""
        left_out = () if self.moves_alphas else ("arch_gradient_norm",)
        norms = super().gradient_norms()
        return {name: norm for name, norm in norms.items() if name not in left_out}

    def loss_at(self, weights, alphas, batch):
        """Returns L(w, α) on a batch, a pure function that changes no variable.

        Args:
            weights: one array per entry of the network's `network_weights`.
            alphas: one array per entry of the network's `alphas`.
            batch: `(x, y)`.

        Returns:
            The scalar loss; on a replica, its share of the loss of the global batch.
        """
        return self.loss_and_outputs_at(weights, alphas, batch)[0]

    def loss_and_outputs_at(self, weights, alphas, batch, others=(), objective=None):
        """Returns the loss, as `loss_at`, and the network's outputs.

        Args:
            weights: as in `loss_at`.
            alphas: as in `loss_at`.
            batch: as in `loss_at`.
            others: pairs of a further variable and its value.
            objective: as in `share_at`.
        """
        variables = [*self.weights_to_train, *self.network.alphas]
        mapping = [*zip(variables, [*weights, *alphas], strict=True), *others]
        with tracked_statistics(False):
            return self.share_at(mapping, with_example_count(batch)[0], objective)[:2]

    def loss_of(self, valid_batch):
        """Returns the loss function that is passed to the estimator, `loss_at`."""
        del valid_batch
        return self.loss_at

    def virtual_step(self, weights, gradients):
        """Returns the virtual weights w' = w − ξ(μ·velocity + ∇L + λw) (sec. 2.3).

        They are the weights after the optimizer's next step, unclipped unless `clip_virtual_step`.
        The result is differentiable with respect to `gradients` but not to `weights`. No variable
        changes.

        The velocity of Keras' own SGD contains the factor −ξ of the steps before: with it
        w' = w + μ·velocity − ξ(∇L + λw).
        """
        dtype = weights[0].dtype
        minus_rate = -tf.cast(self.optimizer.learning_rate, dtype)
        share = 1 + minus_rate * self.weight_decay
        parts = [[share * w for w in weights]]
        if self.optimizer.momentum:
            momentum = filled(self.optimizer.momentum, (), dtype)
            if isinstance(self.optimizer, SGD):
                momentum *= minus_rate
            parts.append([momentum * v for v in self.optimizer.momentums])

        def descent(gradients):
            return [minus_rate * g for g in gradients]

        @custom_gradient
        def stepped(*gradients):
            gradients, back = self._clipped(gradients)
            terms = zip(*parts, descent(gradients), strict=True)
            return [tf.add_n(t) for t in terms], lambda *upstreams: descent(back(upstreams))

        return stepped(*gradients)

    def _clipped(self, gradients):
        """Returns the gradients of the virtual step and the pullback of their clipping."""
        if not self.clip_virtual_step or self.clip_norm is None:
            return gradients, list
        exact = ESTIMATORS[self.arch_gradient].exact
        return (clip if exact else clip_to_and_fro)(gradients, self.clip_norm)

    def arch_gradients(self, train_batch, valid_batch, weights=None):
        """Estimates the gradient of the validation loss with respect to the alphas.

        Args:
            train_batch: `(x, y)` for the virtual step.
            valid_batch: `(x, y)` for the validation loss.
            weights: values of the network's weights; None to read them.

        Returns:
            `(valid_loss, gradients)`: a scalar and one array per entry of the network's `alphas`,
            without the regulariser, the penalty and the weight decay.
        """
        train_batch, valid_batch = with_example_count(train_batch, valid_batch)
        weights, alphas = weights or self.read(self.weights_to_train), self._alphas()
        estimate = ESTIMATORS[self.arch_gradient]
        batches = train_batch, valid_batch
        return estimate(self.loss_of(valid_batch), weights, alphas, *batches, self.virtual_step)

    def train_step(self, data):
        """Runs one iteration of Algorithm 1.

        Returns:
            `loss` and the compiled metrics on the training batch; and `arch_loss`, the loss of the
            alphas with regulariser and penalty, if the alphas are updated. All are means since the
            start of the epoch.
        """
        train_batch, valid_batch = with_example_count(*data)
        before, weights = self.snapshot(), self.read(self.weights_to_train)
        numbers, descent = [], {}
        if self.moves_alphas:
            numbers, train_batch, descent = self._arch_step(weights, train_batch, valid_batch)
        others = list(zip(self.network.alphas, self._alphas(), strict=True))
        step = self.weight_step(weights, train_batch, others, numbers, **descent)
        return self.commit_or_undo(before, *step)

    def _gradients_at(self, weights, mapping, batch):
        """Returns the results of `share_at`, and gradients of this replica's share, as `Trainer`.

        With an attack both are those at the attacked mixture weights; with the layer alignment the
        gradients contain its own.
        """
        if self.attacks_mixture:
            mixture, batch = self._attacked(mapping, batch)
            with mixed_by(mixture):
                return super()._gradients_at(weights, mapping, batch)
        if not self.aligned:
            return super()._gradients_at(weights, mapping, batch)
        still = [tf.zeros_like(self._alphas_of(cell)) for cell in self.aligned]
        results, gradients, slopes = self._offset_gradients(still, weights, mapping, batch)
        after = [gradients]

        def gradients_at(steps):
            with tf.control_dependencies(after[-1]):  # one pass after the other, to save memory
                later = tf.nest.map_structure(tf.identity, batch)
            with tracked_statistics(False):
                after.append(self._offset_gradients(steps, weights, mapping, later)[1])
            return after[-1]

        value, gradients = aligned_gradients(
            gradients_at, gradients, all_sum(slopes), tf.convert_to_tensor(self.alignment_weight)
        )
        self.alignment.update_state(value)
        return results, gradients

    def _attacked(self, mapping, batch):
        """Returns the worst mixture near that of the alphas, and a batch that is ready after it."""
        mixture = self.network.mixture()
        edges = [part for part in mixture if part.shape.rank == 1]  # are not perturbed

        def gradient_at(parts):
            with tf.GradientTape(watch_accessed_variables=False) as tape, weights_fixed(1):
                tape.watch(parts)
                with mixed_by([*parts, *edges]), tracked_statistics(False):
                    share = self.share_at(mapping, batch)[0]
            slopes = tape.gradient(share, parts, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return all_sum([tf.convert_to_tensor(slope) for slope in slopes])  # of a gather

        seed = tf.cast(tf.convert_to_tensor(self.network.seed_state), tf.int32)
        weights = mixture[: len(mixture) - len(edges)]
        worst = adversarial_smoothing(gradient_at, weights, self.network.perturb_radius, seed)
        with tf.control_dependencies(worst):
            later = tf.nest.map_structure(tf.identity, batch)
        return [*worst, *edges], later

    def _offset_gradients(self, offsets, weights, mapping, batch):
        """Returns `share_at` with offsets of the aligned cells, and both gradients of the share."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([weights, offsets])
            with offset_cells(self.aligned, offsets):
                results = self.share_at(mapping, batch)
        zero = tf.UnconnectedGradients.ZERO
        sources = [weights, offsets]
        gradients, slopes = tape.gradient(results[0], sources, unconnected_gradients=zero)
        return results, gradients, [tf.convert_to_tensor(slope) for slope in slopes]  # of a gather

    def _alphas_of(self, cell):
        return self._alphas()[cell.kind]

    def _descend(self, gradients, weights, norm, finite, valid_gradients=None):
        """Updates the weights, but for operations that have stopped.

        Args:
            gradients: as in `Trainer`.
            weights: as in `Trainer`.
            norm: as in `Trainer`.
            finite: as in `Trainer`.
            valid_gradients: gradients of the weights on the validation batch; None if the alphas
                are not updated.
        """
        stop = self.operation_stop
        if stop and valid_gradients:
            norm = stop.observe(gradients, valid_gradients, norm, finite)
        super()._descend(gradients, weights, norm, finite)
        if stop:
            stop.restore(self.weights_to_train, weights)

    def _arch_step(self, weights, train_batch, valid_batch):
        """Updates the alphas.

        Returns:
            `([arch_loss, norm of its gradient], train_batch, descent)`. The batch depends on the
            update, so that the weights' pass starts after it. `descent` has arguments of
            `_descend`.
        """
        descent = {}
        if self.operation_stop:
            parts = self.loss_of(valid_batch), weights, self._alphas(), valid_batch
            loss, gradients, descent["valid_gradients"] = first_order_with_weights(*parts)
        else:
            loss, gradients = self.arch_gradients(train_batch, valid_batch, weights)
        if self.regularizer or self.arch_penalty:
            loss, gradients = self._penalized(loss, gradients)
        norm = tf.linalg.global_norm(gradients)
        gradients = clip_then_decay(gradients, self.network.alphas, None, self.arch_weight_decay)
        apply_summed(self.arch_optimizer, gradients, self.network.alphas)
        self.arch_loss.update_state(loss)
        self.norms["arch_gradient_norm"].update_state(norm)
        with tf.control_dependencies(gradients):  # else both passes use memory at the same time
            train_batch = tf.nest.map_structure(tf.identity, train_batch)
        return [loss, norm], train_batch, descent

    def _penalized(self, loss, gradients):
        """Adds regulariser and penalty, which depend only on the alphas, and their gradients."""
        alphas, value = self._alphas(), 0.0
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(alphas)
            if self.regularizer:
                weight = tf.cast(tf.convert_to_tensor(self.regularizer_weight), alphas[0].dtype)
                value += weight * REGULARIZERS[self.regularizer](alphas)
            if self.arch_penalty:
                value += self.arch_penalty(alphas)
        zero = tf.UnconnectedGradients.ZERO  # for alphas of whole edges
        slopes = tape.gradient(value, alphas, unconnected_gradients=zero)
        return loss + value, [tf.add(*pair) for pair in zip(gradients, slopes, strict=True)]

    def _factor(self, name):
        return self.add_weight(shape=(), initializer="ones", trainable=False, name=name)

    def _alphas(self):
        return self.read(self.network.alphas)


def _has_pairs(data) -> bool:
    """Returns False for arrays, and for a `tf.data.Dataset` of anything but pairs of batches."""
    if isinstance(data, np.ndarray | tf.Tensor | list | tuple):
        return False
    pairs = getattr(data, "element_spec", ((None, None),) * 2)  # of a generator, unknown
    if not isinstance(pairs, list | tuple) or len(pairs) != 2:
        return False
    return all(isinstance(batch, list | tuple) and len(batch) > 1 for batch in pairs)


def _spec(data) -> str:
    """Returns a description of data for an error message."""
    return shown(getattr(data, "element_spec", type(data).__name__))
