"""Algorithm 1 of the paper as a Keras training step (Liu et al. 2019)."""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.constants import filled
from darts_tf.differentiation import custom_gradient
from darts_tf.gradients import ESTIMATORS
from darts_tf.normalization import tracked_statistics
from darts_tf.optimizers import clip_then_decay


class DARTS(keras.Model):
    """Trains a supernet's weights and its architecture alternately.

    A batch is a pair `((x, y), (x_valid, y_valid))`: one of the half of the data that the weights
    learn from and one of the half that the alphas learn from. Each step first moves the alphas by
    the chosen gradient of the valid loss, then the weights by the gradient of the train loss.

    The network is used through `.alphas`, `.network_weights` and its call alone.

    Args:
        network: a supernet.
        arch_gradient: `"first_order"`, `"second_order"` (exact) or `"finite_difference"`.
        weight_decay: L2 on the weights, part of their gradient.
        clip_norm: largest global norm of the weights' gradient; None for no clipping.
        arch_weight_decay: L2 on the alphas, part of their gradient.

    Attributes:
        moves_alphas: whether steps move the alphas, or the weights alone. A step that was traced
            before a change needs `make_train_function(force=True)`.

    Raises:
        ValueError: unknown `arch_gradient`.
    """

    def __init__(
        self,
        network: keras.Model,
        arch_gradient: str = "second_order",
        weight_decay: float = 3e-4,
        clip_norm: float | None = 5.0,
        arch_weight_decay: float = 1e-3,
    ):
        super().__init__()
        if arch_gradient not in ESTIMATORS:
            raise ValueError(
                f"Expected arch_gradient to be one of {list(ESTIMATORS)}. "
                f"Received: {arch_gradient=}"
            )
        self.network = network
        self.arch_gradient = arch_gradient
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.arch_weight_decay = arch_weight_decay
        self.mean_loss = keras.metrics.Mean("loss")
        self.arch_loss = keras.metrics.Mean("arch_loss")
        self.moves_alphas = True
        self.built = True

    def compile(self, optimizer, arch_optimizer, loss, metrics=None, **kwargs):
        """Sets the optimizers of weights and alphas, the loss on logits, and the metrics.

        Args:
            optimizer: of the weights, a `keras.optimizers.SGD`: the virtual step repeats its
                rule, momentum included. Decay and clipping are this trainer's, not its.
            arch_optimizer: of the alphas.
            loss: `loss(labels, logits)`, a scalar or one number per image.
            metrics: as in Keras; they see the train batch before the weights' step. Give
                objects rather than names: Keras makes those at the first step, which is then
                traced twice.
            **kwargs: passed on to `keras.Model.compile`.

        Raises:
            ValueError: `optimizer` is of another kind or clips or decays, or `loss` is the name of
                a Keras loss, which would take probabilities.
        """
        optimizer = keras.optimizers.get(optimizer)
        _check_optimizer(optimizer)
        if not callable(loss):
            raise ValueError(
                f"Expected loss to be a function of labels and logits. Received: {loss=}"
            )
        kwargs.setdefault("jit_compile", False)  # XLA's depthwise convolutions are slow on CPUs
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)
        self.loss_function = lambda labels, logits: tf.reduce_mean(loss(labels, logits))
        self.arch_optimizer = keras.optimizers.get(arch_optimizer)
        self.weights_to_train = self.network.network_weights
        self.optimizer.build(self.weights_to_train)
        self.arch_optimizer.build(self.network.alphas)

    def call(self, x, training=False):
        """What the network gives."""
        return self.network(x, training=training)

    def loss_at(self, weights, alphas, batch):
        """L(w, α) on a batch, a pure function: no variable changes.

        Args:
            weights: one array per entry of the network's `network_weights`.
            alphas: one array per entry of the network's `alphas`.
            batch: `(x, y)`.

        Returns:
            The scalar loss.
        """
        with tracked_statistics(False):
            loss, _, _ = self._at(weights, alphas, batch)
        return loss

    def _at(self, weights, alphas, batch):
        """Loss, logits, and what the other variables would become."""
        x, y = batch
        variables = [*self.weights_to_train, *self.network.alphas]
        mapping = list(zip(variables, [*weights, *alphas], strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            logits = self.network(x, training=True)
        moved = [(v, scope.get_current_value(v)) for v in self.network.non_trainable_variables]
        return self.loss_function(y, logits), logits, moved

    def virtual_step(self, weights, gradients):
        """The virtual weights w' = w + μ·velocity − ξ(∇L + λw).

        It is the optimizer's own next step, unclipped. It may be differentiated along the
        gradients; the weights are where they are.

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
            terms = zip(*parts, descent(gradients), strict=True)
            return [tf.add_n(t) for t in terms], lambda *upstreams: descent(upstreams)

        return stepped(*gradients)

    def arch_gradients(self, train_batch, valid_batch, weights=None):
        """The gradient of the valid loss with respect to the alphas, by the chosen estimator.

        Args:
            train_batch: `(x, y)` for the virtual step.
            valid_batch: `(x, y)` for the valid loss.
            weights: the network's, where they have been read already.

        Returns:
            `(valid_loss, gradients)`: a scalar and one array per entry of the network's `alphas`,
            without their weight decay.
        """
        weights, alphas = weights or self._weights(), self._alphas()
        estimate = ESTIMATORS[self.arch_gradient]
        return estimate(self.loss_at, weights, alphas, train_batch, valid_batch, self.virtual_step)

    def train_step(self, data):
        """One iteration of Algorithm 1.

        Returns:
            `loss` of the train batch, `arch_loss`, the loss that the alphas descend (unless they
            stay), and the compiled metrics on the train batch; means since the start of the epoch.
        """
        train_batch, valid_batch = data
        weights = self._weights()
        if not self.moves_alphas:
            loss, logits = self._weight_step(weights, train_batch)
            return self._results(train_batch, logits, loss)
        valid_loss, gradients = self.arch_gradients(train_batch, valid_batch, weights)
        gradients = clip_then_decay(gradients, self.network.alphas, None, self.arch_weight_decay)
        self.arch_optimizer.apply(gradients, self.network.alphas)
        with tf.control_dependencies(gradients):  # else both passes would fill the memory at once
            train_batch = tf.nest.map_structure(tf.identity, train_batch)
        loss, logits = self._weight_step(weights, train_batch)
        self.arch_loss.update_state(valid_loss)
        results = self._results(train_batch, logits, loss)
        return {**results, "arch_loss": self.arch_loss.result()}

    def test_step(self, data):
        """Loss and metrics of the network with its running statistics."""
        x, y = data
        logits = self.network(x, training=False)
        return self._results(data, logits, self.loss_function(y, logits))

    def _results(self, batch, logits, loss):
        """Means since the start of the epoch."""
        x, y = batch
        self.mean_loss.update_state(loss, sample_weight=tf.shape(y)[0])
        results = self.compute_metrics(x, y, logits)
        results.pop("arch_loss", None)
        return {**results, "loss": self.mean_loss.result()}

    def _weight_step(self, weights, batch):
        """Moves w ← w − ξ∇w L_train(w, α), the alphas just moved, and the running statistics."""
        alphas = self._alphas()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss, logits, moved = self._at(weights, alphas, batch)
        gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = clip_then_decay(gradients, weights, self.clip_norm, self.weight_decay)
        self.optimizer.apply(gradients, self.weights_to_train)
        for variable, value in moved:
            if value is not None:
                variable.assign(value)
        return loss, logits

    def _weights(self):
        return [tf.convert_to_tensor(v) for v in self.weights_to_train]

    def _alphas(self):
        return [tf.convert_to_tensor(v) for v in self.network.alphas]


def _check_optimizer(optimizer):
    """Refuses one whose next step the virtual step would not repeat."""
    if not isinstance(optimizer, keras.optimizers.SGD) or optimizer.nesterov:
        raise ValueError(
            "Expected optimizer to be a keras.optimizers.SGD without nesterov, whose step the "
            f"virtual step repeats. Received: {optimizer=}"
        )
    own = ("weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "l2", "clip_norm")
    doubled = [name for name in own if getattr(optimizer, name, None)]
    if doubled:
        raise ValueError(
            "Expected an optimizer that neither clips nor decays, which the trainer does. "
            f"Received: one with {', '.join(doubled)}"
        )
