"""Maps of alphas: weights and choices of every epoch, against derivation itself."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from fake_runs import alphas_of, search, text_search

from darts_tf.errors import InputError
from darts_tf.report.alpha_maps import MOST_EPOCHS, SPREAD, heat_maps, moves_of, thousandths
from darts_tf.runs import files
from darts_tf.runs.alphas import extend_history
from darts_tf.spaces.cell import PRIMITIVES, edges
from darts_tf.spaces.derivation import derive


def test_weights_are_the_softmax_and_kept_is_what_is_derived(tmp_path):
    moves = moves_of(search(tmp_path / "run", epochs=3))
    normal, reduce = moves.cells
    assert moves.epochs == (0, 1, 2)
    alphas = np.float64(alphas_of(2, 14))
    expected = np.exp(alphas) / np.exp(alphas).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(normal.weights[2], expected, rtol=1e-6)
    assert normal.primitives == PRIMITIVES
    genotype = derive(alphas, 0.5 * alphas)
    for cell, pairs in ((normal, genotype.normal), (reduce, genotype.reduce)):
        kept = {(cell.primitives[i], *cell.edges[row]) for row, i in cell.kept[2]}
        assert kept == {(name, source, 2 + i // 2) for i, (name, source) in enumerate(pairs)}


def test_sigmoids_are_weighed_as_such(tmp_path):
    moves = moves_of(search(tmp_path / "run", epochs=1, relaxation="sigmoid"), "sigmoid")
    expected = 1 / (1 + np.exp(-alphas_of(0, 14)))
    np.testing.assert_allclose(moves.cells[0].weights[0], expected, rtol=1e-6)


def test_edges_with_parameters_have_shares_that_sum_to_one(tmp_path):
    moves = moves_of(search(tmp_path / "run", epochs=2, partial_channels=4))
    shares = moves.cells[0].shares
    assert shares.shape == (2, 14)
    assert shares[1, :2].sum() == pytest.approx(1)
    assert shares[1, 9:].sum() == pytest.approx(1)


def test_recurrent_cell_keeps_one_edge_a_node(tmp_path):
    (cell,) = moves_of(text_search(tmp_path / "run")).cells
    assert cell.weights.shape == (3, 36, 5)
    assert [cell.edges[row][1] for row, _ in sorted(cell.kept[0])] == list(range(1, 9))


def test_edges_with_other_candidates_leave_the_rest_empty(tmp_path):
    names = [["none", "skip_connect"], ["sep_conv_3x3", "none"]] * 7
    files.write_json(tmp_path / files.EDGE_PRIMITIVES, [names, names])
    extend_history(tmp_path, 0, *[alphas_of(0, 14, 2)] * 2)
    cell = moves_of(tmp_path).cells[0]
    assert cell.primitives == ("none", "skip_connect", "sep_conv_3x3")
    assert np.isnan(cell.weights[0, 0]).tolist() == [False, False, True]
    np.testing.assert_allclose(np.nansum(cell.weights, axis=2), 1)
    assert {cell.primitives[i] for _, i in cell.kept[0]} <= {"skip_connect", "sep_conv_3x3"}


@pytest.mark.parametrize(
    "arrays",
    [
        {"normal": np.zeros((1, 13, 8)), "reduce": np.zeros((1, 14, 8))},
        {"normal": np.full((1, 14, 8), np.nan), "reduce": np.zeros((1, 14, 8))},
        {"normal": np.zeros((1, 14)), "reduce": np.zeros((1, 14))},
        {"normal": np.zeros((1, 14, 3)), "reduce": np.zeros((1, 14, 3))},
        {"normal": np.zeros((1, 14, 8))},
        {"recurrent": np.zeros((1, 36, 4))},
        {"recurrent": np.zeros((1, 7, 5))},
    ],
    ids=["edges", "nan", "dimensions", "primitives", "one cell", "activations", "nodes"],
)
def test_rubbish_is_named(tmp_path, arrays):
    np.savez(tmp_path / files.HISTORY, epochs=[0], **arrays)
    with pytest.raises(InputError, match=files.HISTORY):
        moves_of(tmp_path)


def test_heat_map_shows_the_epoch_that_it_is_asked_for(tmp_path):
    moves = moves_of(search(tmp_path / "run", epochs=4))
    page = heat_maps(moves, 1)
    assert "after epoch 2<" in page
    assert f">{thousandths(moves.cells[0].weights[1, 0, 0])}</td>" in page
    assert page.count('class="kept"') == 16
    assert "after epoch 4<" in heat_maps(moves, 99)


@pytest.mark.parametrize("spread", [1e-4, 0.02, 0.5])
def test_colours_span_the_weights_of_all_epochs(spread, tmp_path):
    weights = 0.125 + spread * np.linspace(-0.1, 0.1, 2 * 14 * 8).reshape(2, 14, 8)
    arrays = {"normal": np.log(weights), "reduce": np.log(weights)}
    np.savez(tmp_path / files.HISTORY, epochs=[0, 1], **arrays)
    moves = moves_of(tmp_path)
    low, width = (
        float(re.search(rf"class=\"heat\" style=\"[^\"]*--{name}:([\d.]+)", heat_maps(moves, 1))[1])
        for name in ("low", "spread")
    )
    found = moves.cells[0].weights
    assert width == pytest.approx(max(np.ptp(found), SPREAD), abs=2e-5)
    assert low + width / 2 == pytest.approx((found.min() + found.max()) / 2, abs=2e-5)


def test_shares_of_edges_have_colours_of_their_own(tmp_path):
    moves = moves_of(search(tmp_path / "run", epochs=2, partial_channels=4))
    shares = moves.cells[0].shares
    scale = f"--low:{shares.min():.5f};--spread:{np.ptp(shares):.5f};--w:{shares[1, 0]:.3f}"
    assert scale in heat_maps(moves, 1)


def test_long_searches_keep_some_epochs_the_last_among_them(tmp_path):
    arrays = {"normal": np.zeros((601, 2, 8)), "reduce": np.zeros((601, 2, 8))}
    np.savez(tmp_path / files.HISTORY, epochs=np.arange(601), **arrays)
    page = heat_maps(moves_of(tmp_path), 600)
    shown = json.loads(page.partition('data-epochs="')[2].partition('"')[0])
    assert len(shown) <= MOST_EPOCHS
    assert shown[-1] == 600
    assert len(edges(1)) == 2


@pytest.mark.parametrize(
    ("weight", "text"), [(0, ".000"), (0.1254, ".125"), (0.9996, "1"), (1, "1")]
)
def test_weights_have_three_digits(weight, text):
    assert thousandths(weight) == text
