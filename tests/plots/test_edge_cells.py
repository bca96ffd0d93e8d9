"""Pictures of cells with an operation on every edge: sketches, legends, files, films."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from darts_tf.errors import InputError
from darts_tf.plots.drawing import planned, states_of
from darts_tf.plots.figures import inline_cells, picture, plot_genotype, plot_supernet
from darts_tf.plots.films import animation
from darts_tf.plots.heat_images import heat_images
from darts_tf.plots.legend import legend_of
from darts_tf.plots.palette import kind_of
from darts_tf.plots.sketches import of_alphas, of_genotype
from darts_tf.spaces.genotype import EdgeGenotype
from darts_tf.spaces.search_spaces import NAS_BENCH_201, SPACES
from darts_tf.spaces.zoo import load_genotype

SPACE = SPACES[NAS_BENCH_201]
CELL = load_genotype(
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
)


def drawn(seed):
    return np.random.default_rng(seed).normal(size=(6, 5))


def test_sketch_has_the_edges_without_none():
    (sketch,) = of_genotype(CELL)
    edges = [(each.primitive, each.source, each.target) for each in sketch.operations]
    assert edges == [edge for edge in CELL.cells[0].edges if edge[0] != "none"]
    assert (sketch.nodes, sketch.states, sketch.concat) == (3, 4, (3,))
    assert [vertex.text for vertex in states_of(sketch)] == ["c", "1", "2", "3", "c"]


def test_all_states_and_operations_have_a_place():
    (sketch,) = of_genotype(CELL)
    plan = planned(sketch, 60.0, weighed=False)
    assert plan.before == 0
    assert len(plan.layout.centres) == 4 + 5 + 1
    assert len(set(plan.layout.centres)) == 10


@pytest.mark.parametrize("operations", [("none",) * 6, ("none",) * 5 + ("nor_conv_3x3",)])
def test_cells_without_a_path_are_drawn(operations):
    figure = plot_genotype(EdgeGenotype(operations))
    assert picture(figure, "svg").startswith(b"<?xml")
    (cell,) = inline_cells(EdgeGenotype(operations))
    assert cell.cell == "cell"


def test_legend_explains_inputs_and_output():
    sketches = of_genotype(CELL)
    texts = [entry.text for entry in legend_of(sketches, sketches[0].operations)]
    assert "output of the previous cell" in texts
    assert texts[-1] == "no operation: the last node is the output"
    assert kind_of("nor_conv_1x1") == "convolution"


def test_supernet_has_every_edge_with_the_derived_operation():
    alphas = drawn(0)
    alphas[2, 0] = 9.0  # none
    (sketch,) = of_alphas([alphas], space=SPACE)
    names = [SPACE.primitives[column] for column in alphas.argmax(axis=1)]
    assert [each.primitive for each in sketch.operations] == names
    assert [each.kept for each in sketch.operations] == [name != "none" for name in names]
    weights = np.exp(alphas) / np.exp(alphas).sum(1, keepdims=True)
    assert [each.weight for each in sketch.operations] == pytest.approx(weights.max(1))


def test_pictures_of_all_formats_are_written():
    figure = plot_supernet([drawn(1), np.arange(6.0)], space=SPACE, title="partial channels")
    for format in ("svg", "png", "pdf"):
        assert len(picture(figure, format)) > 1000


def test_film_shows_all_epochs():
    history = {epoch: (drawn(epoch),) for epoch in range(3)}
    assert b"<svg" in animation(history, "svg", space=SPACE)


def test_strengths_are_those_of_all_edges():
    (sketch,) = of_genotype(CELL, strengths=[1, 2, 3, 4, 5, 6])
    assert [each.weight for each in sketch.operations] == [1, 3, 4, 5, 6]
    with pytest.raises(InputError, match="6 strengths"):
        of_genotype(CELL, strengths=[1])
    with pytest.raises(InputError, match="cell to be one of cell"):
        of_genotype(CELL, cell="normal")


def test_undecided_choices_are_numbered_with_those_of_none():
    """The second choice of the cell is `none`, which is not drawn."""
    (sketch,) = of_genotype(CELL, undecided={"cell": (1, 2)})
    assert [each.decided for each in sketch.operations] == [True, False, True, True, True]
    signs = [entry.sign for entry in legend_of([sketch], sketch.operations)]
    assert signs[-6:] == ["solid", "dashed", "names", "node", "names", "thin"]


def test_genotype_of_another_kind_is_refused():
    with pytest.raises(InputError, match="Expected a genotype with a cell"):
        of_alphas([drawn(0)], space=SPACE, genotype=load_genotype("DARTS_V2"))


def test_heat_image_has_a_row_per_edge():
    (name,) = heat_images([drawn(0)], SPACE)
    assert name == "cell"
    plain, wider = (
        Image.open(io.BytesIO(heat_images(arrays, SPACE)["cell"]))
        for arrays in ([drawn(0)], [drawn(0), np.zeros(6)])
    )
    assert wider.width > plain.width
    assert plain.height == wider.height
