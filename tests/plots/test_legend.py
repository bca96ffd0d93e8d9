"""Legends: everything that a picture shows has an entry, and entries stay inside the picture."""

from __future__ import annotations

import numpy as np
import pytest
from mostly_slow import mostly_slow

from darts_tf.errors import InputError
from darts_tf.plots import sketches
from darts_tf.plots.drawing import AFTER_ENTRY, entry_width, legend_rows
from darts_tf.plots.figures import MARGIN, picture, plot_genotype, plot_supernet
from darts_tf.plots.legend import MOST_DECIMALS, SIGNS, decimals_of, legend_of, weight_range
from darts_tf.plots.palette import COLOURS, kind_of
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

ZOO = [*GENOTYPES.values(), *RECURRENT_GENOTYPES.values()]
ALPHAS = tuple(np.random.default_rng(0).normal(size=(2, 14, 8)))


def operations_of(cells):
    return [operation for cell in cells for operation in cell.operations]


def legend(cells):
    operations = operations_of(cells)
    return legend_of(cells, operations, weight_range(operations))


def by_sign(entries):
    return {sign: [entry for entry in entries if entry.sign == sign] for sign in SIGNS}


@pytest.mark.parametrize("genotype", ZOO)
def test_legend_explains_kinds_names_nodes_and_thin_lines(genotype):
    cells = sketches.of_genotype(genotype)
    found = by_sign(legend(cells))
    names = [name for entry in found["names"] for name in entry.names]
    assert names == [*cells[0].input_names, cells[0].output_name]
    assert len(found["node"]) == len(found["thin"]) == 1
    assert "no operation" in found["thin"][0].text
    assert not found["faint"] + found["widths"]
    kinds = {kind_of(operation.primitive) for operation in operations_of(cells)}
    expected = [] if cells[0].output == "mean" else [(k, COLOURS[k]) for k in COLOURS if k in kinds]
    assert [(entry.text, entry.colour) for entry in found["box"]] == expected


def test_legend_of_a_supernet_explains_faint_boxes_and_widths():
    cells = sketches.of_alphas(ALPHAS)
    found = by_sign(legend(cells))
    assert [entry.text for entry in found["faint"]] == ["faint: not in the genotype"]
    weights = [operation.weight for operation in operations_of(cells)]
    (widths,) = found["widths"]
    assert widths.text == f"weight, {min(weights):.2f} to {max(weights):.2f}"


@pytest.mark.parametrize(
    ("undecided", "signs"),
    [
        (None, []),
        ({}, ["solid"]),
        ({"normal": (0, 3)}, ["solid", "dashed"]),
        ({"normal": range(8), "reduce": range(8)}, ["dashed"]),
    ],
)
def test_undecided_choices_are_dashed_and_explained(undecided, signs):
    """Every choice has two lines, before its box and behind; the legend has one more."""
    cells = sketches.of_genotype(GENOTYPES["DARTS_V2"], undecided=undecided)
    entries = [entry.sign for entry in legend(cells)]
    assert [sign for sign in entries if sign in ("solid", "dashed")] == signs
    count = sum(len(own) for own in (undecided or {}).values())
    svg = picture(plot_genotype(GENOTYPES["DARTS_V2"], undecided=undecided), "svg")
    assert svg.count(b"stroke-dasharray") == 2 * count + (1 if count else 0)


def test_undecided_choices_of_another_cell_are_refused():
    with pytest.raises(InputError, match="cell"):
        plot_genotype(GENOTYPES["DARTS_V2"], undecided={"recurrent": (0,)})


def test_equal_weights_have_one_number():
    cells = sketches.of_alphas(np.zeros((2, 14, 8)))
    assert [entry.text for entry in by_sign(legend(cells))["widths"]] == ["weight 0.125"]


def test_cells_without_weights_have_no_range():
    assert weight_range(operations_of(sketches.of_genotype(GENOTYPES["DARTS_V2"]))) is None


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [(0, 1, 2), (0.1, 0.16, 2), (0.12, 0.13, 3), (0.125, 0.125, 3), (0.1, 0.1 + 1e-9, 5)],
)
def test_weights_have_as_many_decimals_as_they_need(low, high, decimals):
    assert decimals_of(low, high) == decimals
    assert decimals <= MOST_DECIMALS


@pytest.mark.parametrize("width", [0, 150, 300, 10_000])
def test_rows_are_as_wide_as_the_picture_and_keep_all_entries_in_order(width):
    entries = legend(sketches.of_alphas(ALPHAS))
    rows = legend_rows(entries, width)
    assert [entry for row in rows for entry in row] == list(entries)
    for row in rows:
        assert len(row) == 1 or sum(map(entry_width, row)) - AFTER_ENTRY <= width
    for row, after in zip(rows, rows[1:], strict=False):
        assert sum(map(entry_width, [*row, after[0]])) - AFTER_ENTRY > width


def outside(figure):
    """Returns the extents of artists that reach into the margin of a figure."""
    (axes,) = figure.axes
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    boxes = [patch.get_path().get_extents(patch.get_patch_transform()) for patch in axes.patches]
    return [
        box
        for box in boxes
        if min(box.x0, box.y0) < MARGIN - 1
        or box.x1 > right - MARGIN + 1
        or box.y1 > top - MARGIN + 1
    ]


@mostly_slow((0, 9), "genotype", ZOO)
def test_everything_is_inside_the_picture(genotype):
    assert not outside(plot_genotype(genotype, title="a title"))


@pytest.mark.parametrize("shape", [(2, 2, 8), (2, 14, 8), (1, 1, 5)], ids=str)
def test_everything_is_inside_the_picture_of_a_supernet(shape):
    figure = plot_supernet(np.random.default_rng(0).normal(size=shape), title="t" * 100)
    assert not outside(figure)
