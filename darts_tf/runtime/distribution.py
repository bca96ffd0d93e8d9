"""Training on several devices: strategies of `tf.distribute`, and sums over replicas.

Every replica computes its share of the loss of a global batch. What must hold for the whole batch
(gradients, losses, statistics) is the sum of the shares, which `all_sum` gives to all replicas.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.runtime.execution import on_device
from darts_tf.runtime.strict_json import parse_json

THREADS = 4
"""Threads for each part of the processor: an operation that waits for other parts holds one."""


def make_strategy(name: str = "auto", devices: int | None = None) -> tf.distribute.Strategy:
    """Returns the strategy of a run; equal arguments return the same object.

    Several parts of a processor, or workers, must be requested before TensorFlow runs its first
    operation.

    Args:
        name: `"one"`, `"mirrored"` (devices of this host), `"multi_worker"` (the hosts of
            TF_CONFIG), `"tpu"`, or `"auto"`: `multi_worker` if TF_CONFIG names several workers,
            `mirrored` for several devices, else `one`.
        devices: number of devices of this host: GPUs if it has any, else parts of the processor.
            By default one, and all GPUs with `mirrored`.

    Returns:
        TensorFlow's default strategy for one device.

    Raises:
        InputError: more devices than there are, no TF_CONFIG, no TPU, or a strategy that does not
            take a number of devices.
    """
    several = workers() > 1
    if several and name not in ("auto", "multi_worker"):
        raise InputError(
            "Expected the strategy multi_worker where TF_CONFIG names several workers. "
            f"Received: strategy={name!r}"
        )
    if name == "auto":
        name = "multi_worker" if several else "mirrored" if (devices or 1) > 1 else "one"
    if devices is not None and (name in ("multi_worker", "tpu") or (name == "one" and devices > 1)):
        raise InputError(
            f"Expected devices with the strategy mirrored alone. Received: {devices=}, "
            f"strategy={name!r}"
        )
    return _STRATEGIES[name](devices)


def _one(devices):
    return tf.distribute.get_strategy()


def _mirrored(devices):
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [f"GPU:{i}" for i in range(len(gpus))]
    else:
        names = _parts_of_the_processor(devices or 1)
    count = len(names) if devices is None else devices
    if count > len(names):
        raise InputError(
            f"Expected at most {len(names)} devices: {', '.join(names)}. Received: {devices=}"
        )
    return _mirrored_over(tuple(names[:count]))


@functools.cache  # two strategies in one process would take each other's sums
def _mirrored_over(names: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(names)


def _parts_of_the_processor(count: int) -> list[str]:
    (cpu, *_) = tf.config.list_physical_devices("CPU")
    parts = tf.config.get_logical_device_configuration(cpu) or []
    if len(parts) < count:
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        threads = max(tf.config.threading.get_inter_op_parallelism_threads(), THREADS * count)
        try:
            tf.config.threading.set_inter_op_parallelism_threads(threads)
            tf.config.set_logical_device_configuration(cpu, parts)
        except RuntimeError as error:  # TensorFlow runs already
            raise InputError(f"{_EARLIER} ({error})") from error
    return [f"CPU:{i}" for i in range(len(parts))]


@functools.cache
def _multi_worker(devices):
    if "TF_CONFIG" not in os.environ:
        raise InputError(
            "Expected TF_CONFIG in the environment to name the workers (darts-tf launch sets it). "
            "Received: none"
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise InputError(f"{_EARLIER} ({error})") from error


_EARLIER = (
    "Expected several devices or workers to be asked for, by `make_strategy`, before TensorFlow's "
    "first operation. Received: a process in which it runs already"
)


@functools.cache
def _tpu(devices):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        raise InputError(f"Expected a TPU. Received: {error}") from error
    return tf.distribute.TPUStrategy(resolver)


_STRATEGIES = {"one": _one, "mirrored": _mirrored, "multi_worker": _multi_worker, "tpu": _tpu}


def cluster() -> tuple[int, int]:
    """Returns the number of workers in TF_CONFIG and the rank of this process; (1, 0) without it.

    Raises:
        InputError: TF_CONFIG is not TensorFlow's description of a cluster.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return 1, 0
    try:
        config = parse_json(text.encode())
        task = config.get("task", {})
        names = config.get("cluster", {})
        chiefs, others = len(names.get("chief", ())), len(names.get("worker", ()))
        rank = int(task.get("index", 0)) + (chiefs if task.get("type") == "worker" else 0)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            "Expected TF_CONFIG to be a JSON object with cluster and task. "
            f"Received: TF_CONFIG={text[:200]!r}"
        ) from error
    return max(1, chiefs + others), rank


def workers() -> int:
    """Returns the number of processes that share the work."""
    return cluster()[0]


def is_chief() -> bool:
    """Returns whether this process is the one that writes files."""
    return cluster()[1] == 0


def replicas() -> int:
    """Returns the number of replicas in the current strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica() -> tf.Tensor | int:
    """Returns the index of the calling replica, from 0."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group if replicas() > 1 else 0


def all_sum(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Sums each tensor over all replicas, in one collective operation; every replica gets the sums.

    Args:
        tensors: tensors of one dtype.
    """
    if replicas() == 1:
        return list(tensors)
    tensors = [tf.identity(tensor) for tensor in tensors]  # a constant may be one for all replicas
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def distributed(strategy: tf.distribute.Strategy, make: Callable):
    """Returns a dataset whose elements are parts of global batches, one for each replica.

    Args:
        strategy: with one replica the result is simply the dataset, on its device.
        make: `make()` gives whole batches, `make(part=(first, here, replicas))` the parts of
            replicas `first` to `first + here - 1`, one after another, batch by batch.
    """
    if strategy.num_replicas_in_sync == 1:
        return on_device(make())

    def parts(context):
        here = context.num_replicas_in_sync // context.num_input_pipelines
        return make(part=(context.input_pipeline_id * here, here, context.num_replicas_in_sync))

    return strategy.distribute_datasets_from_function(parts)


def handle(variable) -> tf.Tensor:
    """Returns the resource of a Keras or TensorFlow variable; in a replica, of its own copy."""
    variable = variable.value if isinstance(variable, keras.Variable) else variable
    return variable.handle


def assign(variable, value: tf.Tensor) -> None:
    """Assigns a replica's copy of a variable. All replicas must assign the same value.

    Unlike TensorFlow's `assign` it exchanges nothing with other replicas, so it may be used in a
    branch.
    """
    tf.raw_ops.AssignVariableOp(resource=handle(variable), value=value)


def apply_summed(optimizer: keras.optimizers.Optimizer, gradients, variables) -> None:
    """Applies gradients that are already summed over all replicas; Keras sums them once more."""
    optimizer.apply([g / replicas() for g in gradients], variables)


def agreed(strategy: tf.distribute.Strategy, value: int) -> int:
    """Sums a number over all processes, which must all call this at the same place."""
    if workers() == 1:
        return value
    sums = strategy.experimental_local_results(_summing(strategy)(tf.constant(value, tf.int64)))
    return int(sums[0]) // len(sums)


@functools.cache
def _summing(strategy):
    """Returns a function that sums a number over all replicas."""

    def summed(value):
        return strategy.run(lambda number: all_sum([number])[0], args=(value,))

    return tf.function(summed, autograph=False)
