"""Random cells, and geometry of a picture's lines and boxes, for tests of pictures."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from darts_tf.plots.drawing import planned
from darts_tf.spaces.cell import ACTIVATIONS, ALL_PRIMITIVES
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype

OPERATIONS = tuple(name for name in ALL_PRIMITIVES if name != "none")
SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def genotypes(draw, most: int = 6):
    """Strategy of convolutional genotypes, with unread nodes and double edges."""
    fields = []
    for _ in range(2):
        nodes = draw(st.integers(1, most))
        pairs = [
            (draw(st.sampled_from(OPERATIONS)), draw(st.integers(0, node + 1)))
            for node in range(nodes)
            for _ in range(2)
        ]
        concat = draw(st.sets(st.integers(2, nodes + 1), min_size=1))
        fields += [tuple(pairs), tuple(sorted(concat))]
    return Genotype(*fields)


@st.composite
def recurrent_genotypes(draw, most: int = 9):
    """Strategy of recurrent genotypes."""
    pairs = [
        (draw(st.sampled_from(ACTIVATIONS)), draw(st.integers(0, node)))
        for node in range(draw(st.integers(1, most)))
    ]
    concat = draw(st.sets(st.integers(1, len(pairs)), min_size=1))
    return RecurrentGenotype(tuple(pairs), tuple(sorted(concat)))


def plan_of(sketch):
    """Returns the layout of a cell with boxes of a usual size."""
    return planned(sketch, 80.0, weighed=False)


def sizes_of(plan):
    """Returns the drawn width and height of every vertex of a plan."""
    from darts_tf.plots.drawing import states_of

    *states, end = [(2 * vertex.radius,) * 2 for vertex in states_of(plan.sketch)]
    return [*states, *[plan.box] * len(plan.sketch.operations), end]


def traced(route, count: int = 12):
    """Returns points of a drawn edge: lines, and Bézier curves between them."""
    points = [np.array(route[:1], float)]
    for i, (a, b) in enumerate(zip(route, route[1:], strict=False)):
        t = np.linspace(0, 1, count)[:, None]
        middle = (a[0] + b[0]) / 2
        control = [(middle, a[1]), (middle, b[1])] if i % 2 else [a, b]
        p, q, r, s = (np.array(point, float) for point in (a, *control, b))
        points.append(
            (1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t**2 * r + t**3 * s
        )
    return np.concatenate(points)
