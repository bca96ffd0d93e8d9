"""Training on text: streams of words whose hidden state is carried from batch to batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.ops.constants import filled
from darts_tf.runtime.distribution import all_sum, assign, replica, replicas
from darts_tf.training.optimizers import SGD


class TextStreamsMixin:
    """Mixin for a `Trainer` on text, to be inherited before it.

    A batch is `(tokens, targets)`, both `(batch, time)`: the next words of `batch` streams. An
    optional third entry is the length by which the learning rate is scaled, if it differs from
    `time`. The hidden state at the end of a batch is part of the trainer's `state`. A step that is
    not finite leaves it unchanged.

    Args:
        network: a language model.
        batch_size: number of streams of the training text, on all replicas together.
        test_batch_size: number of streams of the test text.
        time_steps: usual number of words per stream in a batch. For other lengths the learning rate
            is scaled by length / time_steps (Merity et al. 2018, sec. 4.1); None for no scaling.
        activation_regularization: factor of the mean square of the outputs after dropout.
        temporal_regularization: factor of the mean square of the outputs' change from step to step
            (Merity et al. 2017).
        **settings: keyword arguments of the trainer.

    Raises:
        InputError: `sync_batch_norm` is set; in a step, a batch with another number of streams.
    """

    def __init__(
        self,
        network: keras.Model,
        batch_size: int,
        test_batch_size: int = 10,
        time_steps: int | None = 35,
        activation_regularization: float = 0.0,
        temporal_regularization: float = 1e-3,
        **settings,
    ):
        if settings.get("sync_batch_norm"):
            raise InputError(
                "Expected every replica's own statistics: replicas cannot meet in a recurrence. "
                "Received: sync_batch_norm=True"
            )
        super().__init__(network, **settings)
        self.time_steps = time_steps
        self.activation_regularization = activation_regularization
        self.temporal_regularization = temporal_regularization
        sizes = {"train": batch_size, "valid": batch_size, "test": test_batch_size}
        self.hidden = {
            name: self.add_weight(
                shape=(size, network.state_units),
                initializer="zeros",
                trainable=False,
                name=f"hidden_{name}",
            )
            for name, size in sizes.items()
        }

    def paper_optimizer(self) -> keras.optimizers.Optimizer:
        """Returns a new optimizer of the weights, as in the paper's search on text."""
        return SGD(20.0)

    def begin(self, *names: str) -> None:
        """Sets the hidden state of the named streams to zero, or of all if none is named."""
        for name in names or self.hidden:
            self.hidden[name].assign(tf.zeros(self.hidden[name].shape))

    def begin_epoch(self):
        """Resets the metrics, and the states to the beginning of the texts."""
        super().begin_epoch()
        self.begin("train", "valid")

    @contextlib.contextmanager
    def testing(self):
        """Context manager: `Trainer.testing` from the beginning of the test text."""
        self.begin("test")
        with super().testing():
            yield

    def results(self, training=True):
        """Returns the metrics and the perplexity, the exponential of the mean loss of a word."""
        results = super().results(training)
        return {**results, "perplexity": tf.exp(results["loss"])}

    def call(self, x, training=False):
        """Returns the network's outputs for `(tokens, state)`, as a dict."""
        tokens, state = x
        return self.network(tokens, initial_state=state, return_outputs=True, training=training)

    def logits(self, outputs):
        """Returns the logits of the next words."""
        return outputs["logits"]

    def objective(self, labels, outputs):
        """Returns each stream's loss with both regularisations, and the loss of each word."""
        values, parts = self.plain_objective(labels, outputs)
        for factor, states in (
            (self.activation_regularization, outputs["dropped"]),
            (self.temporal_regularization, outputs["outputs"][1:] - outputs["outputs"][:-1]),
        ):
            if factor:
                squares = tf.reduce_mean(tf.square(states), (0, 2))
                values += filled(factor, (), values.dtype) * tf.cast(squares, values.dtype)
        return values, parts

    def plain_objective(self, labels, outputs):
        """Returns the mean loss of each stream's words, and the loss of each word."""
        losses = self.losses_of(labels, outputs["logits"])
        # flat, so that Keras' mean weighs all words equally, in short batches and in long ones
        return tf.reduce_mean(losses, 1), {"loss": tf.reshape(losses, [-1])}

    def continued(self, name: str, batch):
        """Returns a batch as `((tokens, state), targets)`, with the state before the tokens."""
        tokens, targets = batch[:2]
        streams, size = self.hidden[name].shape[0], tokens.shape[0]
        if size is not None and size * replicas() != streams:
            raise InputError(
                f"Expected a batch of {streams} streams, {replicas()} replicas together. "
                f"Received: tokens.shape={tuple(tokens.shape)}"
            )
        rows = tf.shape(tokens)[0]
        state = tf.convert_to_tensor(self.hidden[name])
        if replicas() > 1:
            first = replica() * rows
            state = state[first : first + rows]
        return (tokens, state), targets

    def carry_state(self, outputs, name: str = "train"):
        """Saves the state at the end of a batch, equal on all replicas."""
        variable, state = self.hidden[name], tf.stop_gradient(outputs["state"])
        state = tf.cast(state, variable.dtype)
        if replicas() > 1:
            rows = tf.shape(state)[0]
            before = replica() * rows
            after = variable.shape[0] - before - rows
            (state,) = all_sum([tf.pad(state, [[before, after], [0, 0]])])
        assign(variable, state)

    @contextlib.contextmanager
    def rate_for(self, batch) -> Iterator[None]:
        """Context manager: scales the learning rate by the length of a batch."""
        if not self.time_steps:
            yield
            return
        variable = self.optimizer.learning_rate
        rate = tf.convert_to_tensor(variable)
        length = tf.cast(batch[2] if len(batch) > 2 else tf.shape(batch[0])[1], rate.dtype)
        assign(variable, rate * length / self.time_steps)
        yield
        assign(variable, rate)

    def snapshot(self):
        """Returns the variables of `Trainer.snapshot` and the hidden states."""
        states = [self.hidden["train"], self.hidden["valid"]]
        return [*super().snapshot(), *zip(states, self.read(states), strict=True)]

    def test_step(self, data):
        """Runs `Trainer.test_step` and carries the state to the next batch."""
        x, targets = self.continued("test", data)
        outputs = self.predict_for_test(x)
        self.measure(targets, outputs)
        self.carry_state(outputs, "test")
        return self.results(training=False)

    def predict_for_test(self, x):
        """Returns the outputs of the network at inference, as a dict."""
        return self.call(x)
