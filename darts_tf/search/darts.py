"""Algorithm 1 of the paper as a Keras training step (Liu et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.errors import InputError
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.ops.autodiff import custom_gradient
from darts_tf.ops.constants import filled
from darts_tf.runtime.distribution import apply_summed
from darts_tf.search.regularizers import REGULARIZERS
from darts_tf.training.losses import with_example_count
from darts_tf.training.optimizers import clip, clip_then_decay, clip_to_and_fro
from darts_tf.training.trainer import Trainer


class DARTS(Trainer):
    """Trains a supernet's weights and its architecture alternately.

    A batch is a pair `((x, y), (x_valid, y_valid))`: one of the half of the data that the weights
    learn from and one of the half that the alphas learn from. Each step first moves the alphas by
    the chosen gradient of the valid loss, then the weights by the gradient of the train loss.

    The network is used through `.alphas`, `.network_weights` and its call alone.

    Args:
        network: a supernet.
        arch_gradient: how the alphas' gradient is estimated, a name in `estimators.ESTIMATORS`.
        weight_decay: L2 on the weights, part of their gradient.
        clip_norm: largest global norm of the weights' gradient; None for no clipping.
        arch_weight_decay: L2 on the alphas, part of their gradient.
        sync_batch_norm: as in `Trainer`.
        clip_virtual_step: clip the gradient in the virtual step too, as recurrent searches do. The
            exact gradient differentiates that exactly; the finite difference, as the reference.
        arch_penalty: what the alphas descend along with the valid loss, a scalar function of
            them, such as `cost_penalty.cost_penalty`; None for the valid loss alone.
        regularizer: of the alphas, a name in `regularizers.REGULARIZERS`; None for none.

    Attributes:
        regularizer_weight: its factor in what the alphas descend, a variable; None without one.
        derived: the genotype that was derived last, by whoever derives it; None before.
        moves_alphas: whether steps move the alphas, or the weights alone. A step that was traced
            before a change needs `make_train_function(force=True)`.

    Raises:
        InputError: unknown `arch_gradient` or `regularizer`.
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
        self.regularizer = regularizer
        self.regularizer_weight = self._factor() if regularizer else None
        self.arch_loss = keras.metrics.Mean("arch_loss")
        self.norms["arch_gradient_norm"] = keras.metrics.Mean("arch_gradient_norm")
        self.moves_alphas = True
        self.derived = None

    def compile(self, optimizer, arch_optimizer, loss, metrics=None, **kwargs):
        """As `Trainer.compile`, and the optimizer of the alphas.

        Args:
            optimizer: of the weights, a `keras.optimizers.SGD`: the virtual step repeats its
                rule, momentum included. Decay and clipping are this trainer's, not its.
            arch_optimizer: of the alphas.
            loss: as there.
            metrics: as there.
            **kwargs: as there.

        Raises:
            InputError: as there, or `optimizer` is of another kind.
        """
        optimizer = keras.optimizers.get(optimizer)
        if not isinstance(optimizer, keras.optimizers.SGD) or optimizer.nesterov:
            raise InputError(
                "Expected optimizer to be a keras.optimizers.SGD without nesterov, whose step the "
                f"virtual step repeats. Received: {optimizer=}"
            )
        super().compile(optimizer, loss, metrics, **kwargs)
        self.arch_optimizer = keras.optimizers.get(arch_optimizer)
        self.arch_optimizer.build(self.network.alphas)

    @property
    def metrics(self):
        """As `Trainer.metrics`, and the mean of the loss that the alphas descend."""
        return [*super().metrics, self.arch_loss]

    def _weights_to_train(self):
        return self.network.network_weights

    def optimizer_variables(self):
        """Of both optimizers."""
        return [*super().optimizer_variables(), *self.arch_optimizer.variables]

    def trained_variables(self):
        """Weights and alphas."""
        return [*super().trained_variables(), *self.network.alphas]

    @property
    def variant(self):
        """Whether the alphas move."""
        return self.moves_alphas

    def results(self, training=True):
        """As `Trainer.results`; `arch_loss` where the alphas move."""
        results = super().results(training)
        if not (training and self.moves_alphas):
            results.pop("arch_loss", None)
        return results

    def gradient_norms(self):
        """As `Trainer.gradient_norms`; of the alphas where these move."""
        left_out = () if self.moves_alphas else ("arch_gradient_norm",)
        found = super().gradient_norms()
        return {name: norm for name, norm in found.items() if name not in left_out}

    def loss_at(self, weights, alphas, batch):
        """L(w, α) on a batch, a pure function: no variable changes.

        Args:
            weights: one array per entry of the network's `network_weights`.
            alphas: one array per entry of the network's `alphas`.
            batch: `(x, y)`.

        Returns:
            The scalar loss; on a replica, its share of the loss of the global batch.
        """
        return self.loss_and_outputs_at(weights, alphas, batch)[0]

    def loss_and_outputs_at(self, weights, alphas, batch, others=(), objective=None):
        """As `loss_at`, and what the network gives.

        Args:
            weights: as there.
            alphas: as there.
            batch: as there.
            others: further variables, and their values.
            objective: as in `share_at`.
        """
        variables = [*self.weights_to_train, *self.network.alphas]
        mapping = [*zip(variables, [*weights, *alphas], strict=True), *others]
        with tracked_statistics(False):
            return self.share_at(mapping, with_example_count(batch)[0], objective)[:2]

    def loss_of(self, valid_batch):
        """The function that estimators are given, `loss_at`."""
        del valid_batch
        return self.loss_at

    def virtual_step(self, weights, gradients):
        """The virtual weights w' = w + μ·velocity − ξ(∇L + λw).

        It is the optimizer's own next step, unclipped unless `clip_virtual_step`. It may be
        differentiated along the gradients; the weights are where they are.

        Keras' velocity contains the learning rate: velocity = −ξ·buffer of the reference.
        """
        dtype = weights[0].dtype
        minus_rate = -tf.cast(self.optimizer.learning_rate, dtype)
        share = 1 + minus_rate * self.weight_decay
        parts = [[share * w for w in weights]]
        if self.optimizer.momentum:
            momentum = filled(self.optimizer.momentum, (), dtype)
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
        """As the virtual step takes them, and a function that takes their upstreams back."""
        if not self.clip_virtual_step or self.clip_norm is None:
            return gradients, list
        exact = ESTIMATORS[self.arch_gradient].exact
        return (clip if exact else clip_to_and_fro)(gradients, self.clip_norm)

    def arch_gradients(self, train_batch, valid_batch, weights=None):
        """The gradient of the valid loss with respect to the alphas, by the chosen estimator.

        Args:
            train_batch: `(x, y)` for the virtual step.
            valid_batch: `(x, y)` for the valid loss.
            weights: the network's, where they have been read already.

        Returns:
            `(valid_loss, gradients)`: a scalar and one array per entry of the network's `alphas`,
            without what is added to that loss: regulariser, penalty and weight decay.
        """
        train_batch, valid_batch = with_example_count(train_batch, valid_batch)
        weights, alphas = weights or self.read(self.weights_to_train), self._alphas()
        estimate = ESTIMATORS[self.arch_gradient]
        batches = train_batch, valid_batch
        return estimate(self.loss_of(valid_batch), weights, alphas, *batches, self.virtual_step)

    def train_step(self, data):
        """One iteration of Algorithm 1.

        Returns:
            `loss` of the train batch, `arch_loss`, the loss that the alphas descend (unless they
            stay), and the compiled metrics on the train batch; means since the start of the epoch.
        """
        train_batch, valid_batch = with_example_count(*data)
        before, weights, numbers = self.snapshot(), self.read(self.weights_to_train), []
        if self.moves_alphas:
            numbers, train_batch = self._arch_step(weights, train_batch, valid_batch)
        others = list(zip(self.network.alphas, self._alphas(), strict=True))
        return self.commit_or_undo(before, *self.weight_step(weights, train_batch, others, numbers))

    def _arch_step(self, weights, train_batch, valid_batch):
        """Moves the alphas; gives what they descend, its gradient's norm, and the train batch."""
        loss, gradients = self.arch_gradients(train_batch, valid_batch, weights)
        if self.regularizer or self.arch_penalty:
            loss, gradients = self._penalized(loss, gradients)
        norm = tf.linalg.global_norm(gradients)
        gradients = clip_then_decay(gradients, self.network.alphas, None, self.arch_weight_decay)
        apply_summed(self.arch_optimizer, gradients, self.network.alphas)
        self.arch_loss.update_state(loss)
        self.norms["arch_gradient_norm"].update_state(norm)
        with tf.control_dependencies(gradients):  # else both passes would fill the memory at once
            train_batch = tf.nest.map_structure(tf.identity, train_batch)
        return [loss, norm], train_batch

    def _penalized(self, loss, gradients):
        """With what is a function of the alphas alone, and so the same for all estimators."""
        alphas, value = self._alphas(), 0.0
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(alphas)
            if self.regularizer:
                weight = tf.cast(tf.convert_to_tensor(self.regularizer_weight), alphas[0].dtype)
                value += weight * REGULARIZERS[self.regularizer](alphas)
            if self.arch_penalty:
                value += self.arch_penalty(alphas)
        zero = tf.UnconnectedGradients.ZERO  # alphas of whole edges
        slopes = tape.gradient(value, alphas, unconnected_gradients=zero)
        return loss + value, [tf.add(*pair) for pair in zip(gradients, slopes, strict=True)]

    def _factor(self):
        return self.add_weight(
            shape=(), initializer="ones", trainable=False, name="regularizer_weight"
        )

    def _alphas(self):
        return self.read(self.network.alphas)
