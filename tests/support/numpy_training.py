"""Training of the reference's evaluation networks in plain NumPy: gradients, SGD, statistics.

The network is `numpy_reference.Reference`, run on arrays that remember how they were computed, so
that derivatives follow backwards by the chain rule. Nothing is shared with the library.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy_reference import Reference


class Traced(NDArrayOperatorsMixin):
    """An array that knows its sources.

    Args:
        value: the array.
        sources: pairs of a traced array and a function from the derivative with respect to this
            array to that with respect to the other.
    """

    def __init__(self, value, sources=()):
        self.value = np.asarray(value)
        self.sources = sources
        self.gradient = 0.0

    shape = property(lambda self: self.value.shape)
    size = property(lambda self: self.value.size)
    T = property(lambda self: Traced(self.value.T, [(self, lambda d: d.T)]))

    def __len__(self):
        return len(self.value)

    def __getitem__(self, key):
        def back(d):
            whole = np.zeros_like(self.value)
            whole[key] = d  # keys are slices, so that no element is there twice
            return whole

        return Traced(self.value[key], [(self, back)])

    def reshape(self, *shape):
        return Traced(self.value.reshape(*shape), [(self, lambda d: d.reshape(self.shape))])

    def sum(self, axes):
        def back(d):
            return np.broadcast_to(np.expand_dims(d, axes), self.shape)

        return Traced(self.value.sum(axes), [(self, back)])

    def mean(self, axes):
        return self.sum(axes) / np.prod([self.shape[i] for i in axes])

    def var(self, axes):
        kept = Traced(np.mean(self.value, axes, keepdims=True))  # its derivative is zero
        centred = self - kept
        return (centred * centred).mean(axes)

    def max(self, axes):
        """Returns the maximum; its derivative goes to the first of several equal elements."""
        flat = np.moveaxis(self.value, axes, range(len(axes)))
        first = flat.reshape(-1, *flat.shape[len(axes) :]).argmax(0)

        def back(d):
            whole = np.zeros_like(flat)
            np.put_along_axis(whole.reshape(-1, *first.shape), first[None], d[None], 0)
            return np.moveaxis(whole, range(len(axes)), axes)

        return Traced(self.value.max(axes), [(self, back)])

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        assert method == "__call__"
        assert not options
        values = [x.value if isinstance(x, Traced) else np.asarray(x) for x in inputs]
        result = ufunc(*values)
        slopes = UFUNCS[ufunc.__name__](result, *values)
        pairs = [
            (x, lambda d, slope=slope, x=x: _summed_to(slope(d), x.shape))
            for x, slope in zip(inputs, slopes, strict=True)
            if isinstance(x, Traced)
        ]
        return Traced(result, pairs)

    def __array_function__(self, function, types, arguments, options):
        return FUNCTIONS[function.__name__](*arguments, **options)


def _summed_to(d, shape):
    """Sums over the axes along which an array of this shape was repeated."""
    d = d.sum(tuple(range(d.ndim - len(shape))))
    return d.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


UFUNCS = {  # of result and values: functions from the result's derivative to those of the values
    "add": lambda y, a, b: (lambda d: d, lambda d: d),
    "subtract": lambda y, a, b: (lambda d: d, lambda d: -d),
    "multiply": lambda y, a, b: (lambda d: d * b, lambda d: d * a),
    "divide": lambda y, a, b: (lambda d: d / b, lambda d: -d * y / b),
    "maximum": lambda y, a, b: (lambda d: d * (a > b), lambda d: d * (b > a)),
    "sqrt": lambda y, a: (lambda d: d / (2 * y),),
    "exp": lambda y, a: (lambda d: d * y,),
    "log": lambda y, a: (lambda d: d / a,),
    "matmul": lambda y, a, b: (lambda d: d @ b.T, lambda d: a.T @ d),
}


def _pad(x, widths, constant_values=0.0):
    inner = tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True))
    padded = np.pad(x.value, widths, constant_values=constant_values)
    return Traced(padded, [(x, lambda d: d[inner])])


def _concatenate(parts, axis):
    ends = np.cumsum([0, *(part.shape[axis] for part in parts)])
    sources = [
        (part, lambda d, i=i: np.take(d, range(ends[i], ends[i + 1]), axis))
        for i, part in enumerate(parts)
    ]
    return Traced(np.concatenate([part.value for part in parts], axis), sources)


def _stack(parts, axis):
    sources = [(part, lambda d, i=i: np.take(d, i, axis)) for i, part in enumerate(parts)]
    return Traced(np.stack([part.value for part in parts], axis), sources)


def _einsum(rule, a, b):
    (of_a, of_b), of_y = rule.split("->")[0].split(","), rule.split("->")[1]
    sources = [
        (a, lambda d: np.einsum(f"{of_y},{of_b}->{of_a}", d, b.value)),
        (b, lambda d: np.einsum(f"{of_y},{of_a}->{of_b}", d, a.value)),
    ]
    return Traced(np.einsum(rule, a.value, b.value), sources)


FUNCTIONS = {"pad": _pad, "concatenate": _concatenate, "stack": _stack, "einsum": _einsum}


def differentiate(result: Traced) -> None:
    """Adds the derivatives of a scalar to the `gradient` of everything it was computed from."""
    order, seen, waiting = [], set(), [(result, False)]
    while waiting:
        array, done = waiting.pop()
        if done:
            order.append(array)
        elif id(array) not in seen:
            seen.add(id(array))
            waiting.append((array, True))
            waiting += [(source, False) for source, _ in array.sources]
    result.gradient = np.ones_like(result.value)
    for array in reversed(order):
        for source, back in array.sources:
            source.gradient = source.gradient + back(array.gradient)


class TracedReference(Reference):
    """A network in training mode, whose arrays are traced.

    Attributes:
        auxiliary: logits of the auxiliary head, which follows the cell `auxiliary_after`.
        statistics: mean and unbiased variance of the batch at every normalization.
    """

    def __init__(self, weights, auxiliary_after):
        super().__init__({name: Traced(array) for name, array in weights.items()}, training=True)
        self.auxiliary_after = f"cells.{auxiliary_after}"
        self.statistics = {}

    def norm(self, name, x):
        axes = (0, 1, 2)
        self.statistics[name] = x.value.mean(axes), x.value.var(axes, ddof=1)
        return super().norm(name, x)

    def cell(self, name, *arguments):
        y = super().cell(name, *arguments)
        if name == self.auxiliary_after:
            self.auxiliary = self._auxiliary_head(y)
        return y

    def _auxiliary_head(self, x):
        """Returns logits of features of 2x2, to which the reference pools larger ones."""
        name = "auxiliary_head.features"
        x = self.relu(self.norm(f"{name}.3", self.conv(f"{name}.2", self.relu(x))))
        x = self.relu(self.norm(f"{name}.6", self.conv(f"{name}.5", x)))
        return self.linear("auxiliary_head.classifier", x[:, 0, 0])


def cross_entropy(logits: Traced, labels: np.ndarray) -> Traced:
    """Returns the mean loss of integer labels."""
    chosen = np.eye(logits.shape[1])[labels]
    losses = np.log(np.exp(logits).sum((1,))) - (logits * chosen).sum((1,))
    return losses.mean((0,))


def trained(
    state,
    genotype,
    cells,
    batches,
    *,
    rates,
    momentum,
    weight_decay,
    clip_norm,
    auxiliary_weight,
):
    """Trains a network with an auxiliary head by PyTorch's SGD, as the reference does.

    Args:
        state: the network's state dict.
        genotype: its cells.
        cells: number of its cells.
        batches: pairs of images and labels, one for each step.
        rates: learning rate of every step.
        momentum: factor of the earlier gradients.
        weight_decay: strength of the L2 term, after clipping.
        clip_norm: largest global norm of the gradients.
        auxiliary_weight: factor of the auxiliary loss.

    Returns:
        The state dict after the last step; and for every step the loss, the auxiliary loss and the
        gradients' norm before clipping.
    """
    state = dict(state)
    weights = [name for name in state if name.endswith(("weight", "bias"))]
    buffers = {name: np.zeros_like(state[name]) for name in weights}
    history = []
    for (x, y), rate in zip(batches, rates, strict=True):
        model = TracedReference(state, 2 * cells // 3)
        loss = cross_entropy(model.network(genotype, Traced(x), cells), y)
        auxiliary = cross_entropy(model.auxiliary, y)
        differentiate(loss + auxiliary_weight * auxiliary)
        gradients = {name: model.weights[name].gradient for name in weights}
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))
        factor = min(1.0, clip_norm / (norm + 1e-6))
        for name in weights:
            change = factor * gradients[name] + weight_decay * state[name]
            buffers[name] = momentum * buffers[name] + change
            state[name] = state[name] - rate * buffers[name]
        for name, statistics in model.statistics.items():
            for kind, batch in zip(("mean", "var"), statistics, strict=True):
                running = state[f"{name}.running_{kind}"]
                state[f"{name}.running_{kind}"] = 0.9 * running + 0.1 * batch
        history.append((float(loss.value), float(auxiliary.value), float(norm)))
    return state, history
