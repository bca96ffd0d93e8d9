"""Execution settings of TensorFlow: threads, precision, compilation, determinism."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import keras
import tensorflow as tf
from tensorflow.python.framework import ops

from darts_tf.errors import InputError

CHAINS = 8
"""Operations of a cell that are ready at a time, roughly: one per primitive on two states."""


def prefer_parallel_operations(chains: int = CHAINS) -> None:
    """Gives every operation few threads and runs many operations at once.

    A cell is many small operations side by side. Splitting each of them over all cores costs more
    than it gains: with one thread each, a search step is a fifth faster on two cores. Does nothing
    if the user has set TF_NUM_INTRAOP_THREADS or TF_NUM_INTEROP_THREADS, or if TensorFlow has
    already started.

    Args:
        chains: how many operations are ready at a time; 1 for a recurrence.
    """
    if {"TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"} & set(os.environ):
        return
    with contextlib.suppress(RuntimeError):  # it has already started
        tf.config.threading.set_intra_op_parallelism_threads(-(-cores() // chains))
        tf.config.threading.set_inter_op_parallelism_threads(cores())


def cores() -> int:
    """Returns the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def has_gpu() -> bool:
    """Returns whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def compiles(jit_compile: str) -> bool:
    """Returns whether to compile with XLA: `"on"`, `"off"`, or `"auto"` (only on a GPU).

    XLA's depthwise convolutions are 10 to 20 times slower than TensorFlow's on CPUs.
    """
    return has_gpu() if jit_compile == "auto" else jit_compile == "on"


FLOATX, IMAGES = "float32", "channels_last"
"""Keras' global settings that our networks are written for."""


def use_default_keras() -> None:
    """Sets Keras' global number format and order of axes, in place of those of keras.json."""
    keras.config.set_floatx(FLOATX)
    keras.config.set_image_data_format(IMAGES)


def check_keras() -> None:
    """Checks Keras' backend and global settings, which a program or keras.json may have changed.

    With another number format, losses and metrics would silently be computed in it: sums of 16-bit
    numbers end at 65,504.

    Raises:
        InputError: one differs from what our networks are written for.
    """
    for setting, wanted, cure in (
        ("backend", "tensorflow", "the environment variable KERAS_BACKEND=tensorflow"),
        ("floatx", FLOATX, f"keras.config.set_floatx({FLOATX!r})"),
        ("image_data_format", IMAGES, f"keras.config.set_image_data_format({IMAGES!r})"),
    ):
        received = getattr(keras.config, setting)()
        if received != wanted:
            raise InputError(
                f"Expected Keras with {setting}={wanted}, which {cure} sets. "
                f"Received: {setting}={received}"
            )


def make_deterministic(deterministic: bool) -> None:
    """Restricts TensorFlow to deterministic operations, if `deterministic`.

    This cannot be undone within a process.
    """
    if deterministic:
        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def dtype_policy(policy: str) -> Iterator[None]:
    """Context manager: gives new layers this dtype policy, which Keras keeps globally."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


@contextlib.contextmanager
def graphs_forgotten() -> Iterator[None]:
    """Context manager: frees the graphs that were traced in the block, at its end.

    Under a strategy Keras' optimizers sum gradients by an operation with a custom gradient, whose
    function TensorFlow registers for good, and with it the graph of the whole step: half a gigabyte
    for each run of a process that makes many. Nobody differentiates a step.
    """
    registry = ops.gradient_registry._registry
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]


@contextlib.contextmanager
def graph_optimizer_off() -> Iterator[None]:
    """Context manager: turns off the graph optimizer, too slow on a large graph."""
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options(before)


@contextlib.contextmanager
def variables_named_alike() -> Iterator[None]:
    """Context manager and decorator: new variables of TensorFlow have the same name.

    TensorFlow makes an operation for the handle of a variable anew for every name, and keeps it:
    eight times as slow as with a name that it has seen. Variables of Keras keep their own names.
    """

    def create(next_creator, **options):
        return next_creator(**{**options, "name": "variable"})

    with tf.variable_creator_scope(create):
        yield


def on_device(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Copies batches to the GPU, if there is one, while the previous step runs."""
    if not has_gpu():
        return batches
    return batches.apply(tf.data.experimental.prefetch_to_device("/GPU:0"))
