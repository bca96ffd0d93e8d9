"""Files of a search in the space of NAS-Bench-201: alphas, history, space, and its page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_runs import described, lines

from darts_tf.configs import SearchConfig
from darts_tf.errors import InputError
from darts_tf.report.alpha_maps import moves_of
from darts_tf.report.page import write_report
from darts_tf.runs import files
from darts_tf.runs.alphas import (
    extend_history,
    load_alphas,
    load_history,
    load_space,
    save_alphas,
    save_space,
    supernet_settings,
)
from darts_tf.runs.soundness import describe_unmoved
from darts_tf.search.early_stopping import decide
from darts_tf.spaces.derivation import derive_genotype
from darts_tf.spaces.search_spaces import NAS_BENCH_201, SPACES, edge_space

SPACE = SPACES[NAS_BENCH_201]


def drawn(seed, over_edges=False):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(6, 5)).astype(np.float32)]
    return [*arrays, rng.normal(size=6).astype(np.float32)] if over_edges else arrays


@pytest.mark.parametrize("over_edges", [False, True])
def test_files_restore_alphas_and_history(tmp_path, over_edges):
    for epoch in range(3):
        extend_history(tmp_path, epoch, *drawn(epoch, over_edges), kinds=SPACE.kinds)
    save_alphas(tmp_path, *drawn(2, over_edges), kinds=SPACE.kinds)
    for epoch, arrays in load_history(tmp_path).items():
        assert all(map(np.array_equal, arrays, drawn(epoch, over_edges)))
    loaded, expected = load_alphas(tmp_path), drawn(2, over_edges)
    assert len(loaded) == len(expected)
    assert all(map(np.array_equal, loaded, expected))
    names = ["cell", "edges_cell"][: len(expected)]
    assert np.load(tmp_path / files.ALPHAS).files == names


@pytest.mark.parametrize("space", [SPACE, edge_space(2, allow_none=False), SPACES["s2"]])
def test_file_restores_the_space(tmp_path, space):
    save_space(tmp_path, space)
    assert load_space(tmp_path) == space


def test_damaged_space_is_told_with_its_file(tmp_path):
    save_space(tmp_path, SPACE)
    path = tmp_path / files.EDGE_PRIMITIVES
    path.write_text(json.dumps({**json.loads(path.read_text()), "inputs": 3}))
    with pytest.raises(InputError, match=f"{files.EDGE_PRIMITIVES}: Expected cells of 1 or 2"):
        load_space(tmp_path)


@pytest.fixture
def searched(tmp_path):
    """The folder of a search of three epochs."""
    folder = tmp_path / "search"
    config = SearchConfig(workdir=folder, epochs=3, space=NAS_BENCH_201, max_skips=2)
    described(folder, config)
    save_space(folder, SPACE)
    metrics = []
    for epoch in range(3):
        extend_history(folder, epoch, *drawn(epoch), kinds=SPACE.kinds)
        save_alphas(folder, *drawn(epoch), kinds=SPACE.kinds)
        genotype = derive_genotype(SPACE, drawn(epoch), max_skips=2)
        genotype.save(folder / files.GENOTYPE)
        values = {"loss": 2.0, "accuracy": 0.5, "valid_accuracy": 0.5, "valid_loss": 2.0}
        values |= {"skips_cell": epoch, "entropy_cell": 1.2, "genotype": str(genotype)}
        metrics.append(values)
    lines(folder, metrics)
    return folder


def test_weights_of_all_epochs_are_those_of_the_space(searched):
    (cell,) = moves_of(searched, max_skips=2).cells
    assert (cell.name, cell.edges, cell.primitives) == ("cell", SPACE.edges, SPACE.primitives)
    assert cell.weights.shape == (3, 6, 5)
    for epoch, kept in enumerate(cell.kept):
        genotype = derive_genotype(SPACE, drawn(epoch), max_skips=2)
        names = [SPACE.primitives.index(name) for name in genotype.operations]
        assert kept == frozenset(enumerate(names))


def test_plots_of_the_search_have_its_space(searched):
    assert supernet_settings(searched) == {"relaxation": "softmax", "space": SPACE}


def test_page_of_a_search_shows_the_cell(searched):
    text = write_report([searched]).read_text()
    assert "Skip connections in the cell, by the alphas: 0 of 6 after the first epoch" in text
    assert "1.20 nats (at most 1.61) in the cell" in text
    assert text.count('class="heat"') == 1
    assert "--space nas-bench-201" in text


def test_early_stop_counts_the_skips_of_the_cell(searched):
    config = SearchConfig(workdir=searched, epochs=3, space=NAS_BENCH_201, stop_skips=1)
    stop = decide(config, [{"epoch": epoch, "skips_cell": epoch} for epoch in range(3)])
    assert (stop.epoch, stop.kept) == (2, 1)
    assert "the cell has 2 skip connections, at most 1" in str(stop)


def test_alphas_as_they_began_are_doubtful():
    assert "1.609 of at most 1.609 nats" in describe_unmoved([np.zeros((6, 5))])
