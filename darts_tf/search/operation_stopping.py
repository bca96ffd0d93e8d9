"""Early stopping of single operations of a supernet (Jiang et al. 2023, OLES).

The weights of operations overfit the half of the data that trains them, while the alphas are judged
by the other half, so that operations without weights win. An operation stops learning when the
gradients of its weights on a training batch and on a validation batch no longer agree.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from darts_tf.layers.mixed_op import MixedOp
from darts_tf.runtime.distribution import assign


def judged(agreement, counted, active, cosine, seen, threshold: float, steps: int):
    """Applies the rule to all operations after a step.

    After every `steps` steps the mean of the cosines, GM in the paper, is compared with the
    threshold. An operation whose mean is below it stops for good.

    Args:
        agreement: sums of the cosines since the last comparison, one per operation.
        counted: numbers of cosines in these sums.
        active: 1 for operations that learn, 0 for those that have stopped.
        cosine: cosines of this step.
        seen: booleans; operations whose gradient is zero, as those that a step has not sampled,
            are not counted.
        threshold: least mean cosine.
        steps: number of cosines in a mean.

    Returns:
        The new `agreement`, `counted` and `active`.
    """
    counted += tf.cast(seen, counted.dtype)
    agreement += tf.where(seen, cosine, tf.zeros_like(cosine))
    due = counted >= steps
    overfits = due & (agreement < threshold * counted)
    zeros = tf.zeros_like(agreement)
    return (
        tf.where(due, zeros, agreement),
        tf.where(due, zeros, counted),
        tf.where(overfits, zeros, active),
    )


@dataclasses.dataclass(frozen=True)
class Group:
    """The weights of a mixed operation, with a group of each array for every edge.

    Attributes:
        positions: places of the arrays among the weights of the network.
        layout: for each primitive the number of its edges, and the axes of its arrays along which
            the edges lie.
    """

    positions: tuple[int, ...]
    layout: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def operations(self) -> int:
        """Number of operations, one per primitive with weights and edge."""
        return sum(edges for edges, _ in self.layout)


def operation_groups(network: keras.Model) -> list[Group]:
    """Returns the groups of all mixed operations of a supernet."""
    positions = {id(weight): i for i, weight in enumerate(network.network_weights)}
    groups = []
    for mixed in network._flatten_layers():
        if isinstance(mixed, MixedOp):
            parts = [part for op in mixed.ops for part in op.grouped_weights() if part[1]]
            own = [weight for _, weights, _ in parts for weight in weights]
            layout = tuple((edges, axes) for edges, _, axes in parts)
            groups.append(Group(tuple(positions[id(weight)] for weight in own), layout))
    return [group for group in groups if group.positions]


def _by_edge(array, edges: int, axis: int) -> tf.Tensor:
    """Reshapes an array so that its second of three axes has the edges."""
    return tf.reshape(array, (math.prod(array.shape[:axis]), edges, -1))


def _arrays(layout):
    return [(edges, axis) for edges, axes in layout for axis in axes]


def products(train, valid, layout) -> tf.Tensor:
    """Returns the inner products t·v, t·t and v·v of an operation's gradients, `(3, operations)`.

    Args:
        train: gradients t on the training batch, an array per weight of a `Group`.
        valid: gradients v on the validation batch.
        layout: that of the group.
    """
    columns, start = [], 0
    for edges, axes in layout:
        parts = []
        for i, axis in enumerate(axes, start):
            t, v = (_by_edge(array, edges, axis) for array in (train[i], valid[i]))
            parts.append(tf.stack([tf.reduce_sum(x, (0, 2)) for x in (t * v, t * t, v * v)]))
        columns.append(tf.add_n(parts))
        start += len(axes)
    return tf.concat(columns, 1)


def kept(after, before, active, layout) -> list[tf.Tensor]:
    """Returns weights after a step, and before it where the operation has stopped.

    Args:
        after: an array per weight of a `Group`.
        before: arrays of the same shapes.
        active: 1 for operations that learn, 0 for others, `(operations,)`.
        layout: that of the group.
    """
    by_primitive = tf.split(active > 0, [edges for edges, _ in layout])
    masks = [mask for mask, (_, axes) in zip(by_primitive, layout, strict=True) for _ in axes]
    arrays = zip(after, before, masks, _arrays(layout), strict=True)
    return [
        tf.reshape(
            tf.where(mask[:, None], *(_by_edge(x, edges, axis) for x in (new, old))), new.shape
        )
        for new, old, mask, (edges, axis) in arrays
    ]


class OperationStop:
    """Rule that stops operations, and its state.

    Groups of equal layout and shapes share one graph.

    Args:
        network: the supernet.
        threshold: see `judged`; 0.4 in the authors' code.
        steps: see `judged`; 20 in the authors' code.
        add_weight: makes a variable of the run's state, as `keras.layers.Layer.add_weight`.

    Attributes:
        active: variable, see `judged`.
    """

    def __init__(self, network: keras.Model, threshold: float, steps: int, add_weight: Callable):
        self.groups = operation_groups(network)
        self.sizes = [group.operations for group in self.groups]
        self.threshold = threshold
        self.steps = steps
        self.agreement, self.counted, self.active = (
            add_weight(shape=(sum(self.sizes),), initializer=initial, trainable=False, name=name)
            for name, initial in (
                ("operation_agreement", "zeros"),
                ("operation_steps", "zeros"),
                ("active_operations", "ones"),
            )
        )
        self._functions = {}

    def stopped(self) -> tf.Tensor:
        """Returns the number of operations that have stopped."""
        return tf.reduce_sum(1 - tf.convert_to_tensor(self.active))

    def reset(self) -> None:
        """Lets all operations learn again, from the state before the first step."""
        for variable, value in ((self.agreement, 0.0), (self.counted, 0.0), (self.active, 1.0)):
            variable.assign(np.full(variable.shape, value, variable.dtype))

    def observe(self, train, valid, norm, finite) -> tf.Tensor:
        """Applies the rule after the gradients of a step are known.

        Args:
            train: gradients of the weights on the training batch.
            valid: gradients of the weights on the validation batch.
            norm: global norm of `train`.
            finite: boolean scalar; if False, nothing changes.

        Returns:
            The global norm of the gradients without those of stopped operations.
        """
        columns = [
            self._shared(products, group, [train[i] for i in at], [valid[i] for i in at])
            for group in self.groups
            for at in [group.positions]
        ]
        both, own, other = tf.unstack(tf.concat(columns, 1))
        seen = (own > 0) & (other > 0)
        cosine = tf.math.divide_no_nan(both, tf.sqrt(own) * tf.sqrt(other))
        variables = self.agreement, self.counted, self.active
        before = [tf.cast(tf.convert_to_tensor(v), own.dtype) for v in variables]
        after = judged(*before, cosine, seen, self.threshold, self.steps)
        for variable, old, new in zip(variables, before, after, strict=True):
            assign(variable, tf.cast(tf.where(finite, new, old), variable.dtype))
        silent = tf.reduce_sum(tf.where(after[2] > 0, tf.zeros_like(own), own))
        return tf.sqrt(tf.maximum(norm * norm - silent, 0))

    def restore(self, variables: Sequence, before: Sequence[tf.Tensor]) -> None:
        """Gives the weights of stopped operations their values of before the step.

        Args:
            variables: weights of the network.
            before: their values before the step.
        """
        active = tf.split(tf.convert_to_tensor(self.active), self.sizes)
        for group, mask in zip(self.groups, active, strict=True):
            own = [variables[i] for i in group.positions]
            after = [tf.convert_to_tensor(variable) for variable in own]
            values = self._shared(kept, group, after, [before[i] for i in group.positions], mask)
            for variable, value in zip(own, values, strict=True):
                assign(variable, value)

    def _shared(self, function, group, arrays, *others):
        """Calls a function of arrays and the layout of a group, traced once for equal ones."""
        key = function, group.layout, tuple(tuple(array.shape) for array in arrays)
        if key not in self._functions:
            settings = {"autograph": False, "experimental_attributes": {"_noinline": True}}
            traced = tf.function(lambda *given: function(*given, group.layout), **settings)
            self._functions[key] = traced.get_concrete_function(arrays, *others)
        return self._functions[key](arrays, *others)
