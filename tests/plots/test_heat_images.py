"""Heat maps of the weights of alphas."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from darts_tf.plots.heat_images import (
    CELL,
    HIGH,
    LABEL,
    LEAST_RANGE,
    LINE,
    LOW,
    NAMED_CELL,
    color_range,
    colour_of,
    heat_images,
)
from darts_tf.spaces.cell import PRIMITIVES, by_node, edges
from darts_tf.spaces.derivation import STRENGTHS
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space, recurrent_space


def drawn(shape, seed=0):
    return np.random.default_rng(seed).normal(0, 2, shape)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def corner(picture, row, column, cell=CELL):
    """Returns the color of a box, at a corner without text."""
    return tuple(picture[LINE + row * cell[1] + 1, LABEL + column * cell[0] + 1])


@pytest.mark.parametrize("relaxation", STRENGTHS)
def test_every_box_has_the_colour_of_its_weight(relaxation):
    alphas = [drawn((14, 8)), drawn((14, 8), 1)]
    maps = heat_images(alphas, SPACES[DARTS], relaxation)
    assert list(maps) == ["normal", "reduce"]
    for png, array in zip(maps.values(), alphas, strict=True):
        picture, weights = pixels(png), STRENGTHS[relaxation](array)
        for row, column in np.ndindex(weights.shape):
            assert corner(picture, row, column) == colour_of(
                weights[row, column], color_range(weights)
            )
        found = {corner(picture, *place) for place in np.ndindex(weights.shape)}
        assert {LOW, HIGH} <= found


def test_edges_with_alphas_of_their_own_have_a_column_more():
    over = [drawn(14, 2), drawn(14, 3)]
    maps = heat_images([drawn((14, 8)), drawn((14, 8)), *over], SPACES[DARTS])
    for png, array in zip(maps.values(), over, strict=True):
        picture = pixels(png)
        nodes = by_node(len(edges()))
        shares = np.concatenate([np.exp(array[into]) / np.exp(array[into]).sum() for into in nodes])
        expected = [colour_of(share, (shares.min(), shares.max())) for share in shares]
        assert [corner(picture, row, 8) for row in range(14)] == expected


def test_a_recurrent_cell_has_one_picture():
    maps = heat_images([drawn((36, 5))], recurrent_space(8))
    (png,) = maps.values()
    assert list(maps) == ["recurrent"]
    assert pixels(png).shape == (LINE + 36 * CELL[1], LABEL + 5 * CELL[0], 3)


def test_edges_with_operations_of_their_own_have_names_in_their_boxes():
    names = tuple(tuple(PRIMITIVES[i % 3 : i % 3 + 4] for i in range(14)) for _ in range(2))
    alphas = [drawn((14, 4)), drawn((14, 4), 1)]
    named = pixels(heat_images(alphas, Space(4, names))["normal"])
    assert named.shape[1] == LABEL + 4 * NAMED_CELL[0]
    weights = STRENGTHS["softmax"](alphas[0])
    assert corner(named, 13, 3, NAMED_CELL) == colour_of(weights[13, 3], color_range(weights))
    others = tuple(tuple(PRIMITIVES[i % 4 + 1 : i % 4 + 5] for i in range(14)) for _ in range(2))
    differs = pixels(heat_images(alphas, Space(4, others))["normal"])
    assert named.shape == differs.shape
    assert not np.array_equal(named, differs)


def test_colours_go_from_light_to_dark():
    weights = np.linspace(0.12, 0.13, 20)
    shades = [sum(colour_of(weight, (0.12, 0.13))) for weight in weights]
    assert shades == sorted(shades, reverse=True)
    assert [colour_of(weight, (0.12, 0.13)) for weight in weights[[0, -1]]] == [LOW, HIGH]


def test_equal_weights_have_one_colour_in_the_middle():
    low, high = color_range(np.full(8, 0.125))
    assert (low + high) / 2 == pytest.approx(0.125)
    assert high - low == pytest.approx(LEAST_RANGE)
    (png, _) = heat_images([np.zeros((14, 8))] * 2, SPACES[DARTS]).values()
    picture = pixels(png)
    colours = {corner(picture, row, column) for row in range(14) for column in range(8)}
    assert colours == {colour_of(0.5, (0, 1))}
