"""The alphas of every epoch, in one file."""

from __future__ import annotations

import numpy as np
import pytest

from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs.alphas import extend_history, load_history


def drawn(seed, shapes=((5, 8), (5, 8))):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


@pytest.mark.parametrize(
    "shapes", [((5, 8), (5, 8)), ((5, 8), (5, 8), (5,), (5,)), ((3, 5),)], ids=len
)
def test_history_gives_the_alphas_of_every_epoch(tmp_path, shapes):
    for epoch in range(3):
        extend_history(tmp_path, epoch, *drawn(epoch, shapes))
    loaded = load_history(tmp_path)
    assert list(loaded) == [0, 1, 2]
    for epoch, arrays in loaded.items():
        for ours, expected in zip(arrays, drawn(epoch, shapes), strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_history_forgets_what_a_run_has_gone_back_from(tmp_path):
    for epoch, seed in ((0, 0), (1, 1), (2, 2), (1, 7)):
        extend_history(tmp_path, epoch, *drawn(seed))
    loaded = load_history(tmp_path)
    assert list(loaded) == [0, 1]
    np.testing.assert_array_equal(loaded[1][0], drawn(7)[0])


@pytest.mark.parametrize(
    "arrays",
    [
        {"normal": np.zeros((2, 5, 8))},
        {"epochs": np.arange(3), "normal": np.zeros((2, 5, 8)), "reduce": np.zeros((2, 5, 8))},
        {"epochs": np.arange(2)},
        {"epochs": np.array(["a"]), "recurrent": np.zeros((1, 3, 5))},
    ],
    ids=["no epochs", "other lengths", "no alphas", "no numbers"],
)
def test_other_arrays_are_no_history(tmp_path, arrays):
    np.savez(tmp_path / files.HISTORY, **arrays)
    with pytest.raises(InputError, match="with the alphas of every epoch. Received: '.*history"):
        load_history(tmp_path)


def test_damaged_history_is_named(tmp_path):
    extend_history(tmp_path, 0, *drawn(0))
    path = tmp_path / files.HISTORY
    path.write_bytes(path.read_bytes()[:50])
    for look in (load_history, lambda folder: extend_history(folder, 1, *drawn(1))):
        with pytest.raises(InputError, match="alphas of every epoch"):
            look(tmp_path)
    with pytest.raises(InputError, match="alphas of every epoch"):
        load_history(tmp_path / "none")
