"""How sure choices are: the bootstrap compared with enumerations and closed forms."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest

from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs.confidence import (
    DECIDED,
    FEWEST,
    Confidence,
    confidence_of,
    contributions,
    describe_confidence,
    load_confidence,
    resampled,
    save_confidence,
)
from darts_tf.spaces.cell import recurrent_edges
from darts_tf.spaces.derivation import derive, derive_genotype, derive_recurrent
from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.spaces.search_spaces import NAS_BENCH_201, SPACES

EDGES = len(recurrent_edges(1))


def rule(alphas):
    return derive_recurrent(*alphas, primitives=("none", "tanh", "relu"))


def parts_of(*leads):
    """Returns contributions that move `tanh` away from `relu` by these amounts, for one edge."""
    return [(np.array([[0.0, lead / 2, -lead / 2]]),) for lead in leads]


def cell(name: str) -> RecurrentGenotype:
    return RecurrentGenotype(((name, 0),), (1,))


def test_contributions_are_moves_between_the_ends_of_sets_and_add_up():
    rng = np.random.default_rng(0)
    history = {epoch: tuple(rng.normal(size=(2, 3, 4))) for epoch in range(5)}
    parts = contributions(history, 2)
    assert len(parts) == 3  # epochs 0-1, 2-3, and the unfinished set of epoch 4
    for kind in range(2):
        np.testing.assert_array_equal(parts[0][kind], history[1][kind])
        np.testing.assert_allclose(parts[1][kind], history[3][kind] - history[1][kind])
        np.testing.assert_allclose(sum(part[kind] for part in parts), history[4][kind])


def test_resampled_sums_have_the_mean_and_the_unbiased_variance():
    """The sums of two searches of n samples differ by 2n times the samples' variance."""
    values = np.array([0.3, -1.2, 2.0, 0.4])
    sums = np.array([alphas[0] for alphas in resampled([(value,) for value in values], 200_000)])
    assert sums.mean() == pytest.approx(values.sum(), abs=0.02)
    assert sums.var() == pytest.approx(2 * 4 * values.var(ddof=1), rel=0.02)


@pytest.mark.parametrize("leads", [(1.0, 0.5, -0.7), (3.0, -0.5, -1.5), (1.0, 1.0, -0.5, -0.8)])
def test_shares_are_those_of_all_resamples(leads):
    """Enumerates the n**n equally likely draws of n contributions, and pairs of them."""
    n, total = len(leads), sum(leads)
    moved = [sum(draw) - total for draw in itertools.product(leads, repeat=n)]
    scale = math.sqrt(n / (n - 1))
    sums = [total + scale * (one + other) for one in moved for other in moved]
    genotype = rule([sum(part[0] for part in parts_of(*leads))[None][0]])
    ahead = np.mean(np.array(sums) > 0)
    expected = ahead if genotype == cell("tanh") else 1 - ahead
    found = confidence_of(genotype, parts_of(*leads), rule, resamples=4000)
    assert found.all_shares == [pytest.approx(expected, abs=0.03)]
    assert (found.starts, found.resamples) == (n, 4000)


def test_equal_contributions_are_sure_and_alternating_ones_are_not():
    sure = confidence_of(cell("tanh"), parts_of(*[1.0] * 5), rule)
    assert sure.all_shares == [1.0]
    assert sure.numbers() == {"undecided": 0, "confidence": 1.0}
    unsure = confidence_of(cell("tanh"), parts_of(*[1.0, -0.99] * 10), rule)
    assert 0.4 < unsure.all_shares[0] < 0.65
    assert unsure.undecided == 1
    assert unsure.undecided_pairs == {"recurrent": (0,)}


def test_share_approaches_the_normal_probability():
    """With many contributions of mean m and deviation s it is the normal cdf of √(n/2) m/s."""
    leads = np.random.default_rng(1).normal(size=400)
    leads = 0.06 + (leads - leads.mean()) / leads.std(ddof=1)
    found = confidence_of(cell("tanh"), parts_of(*leads), rule, resamples=2000)
    expected = (1 + math.erf(0.06 * math.sqrt(400 / 2) / math.sqrt(2))) / 2
    assert found.all_shares == [pytest.approx(expected, abs=0.02)]


def test_few_sets_of_weights_say_nothing():
    assert confidence_of(cell("tanh"), parts_of(*[1.0] * (FEWEST - 1)), rule) is None
    assert confidence_of(cell("tanh"), parts_of(*[1.0] * FEWEST), rule) is not None


def cells_and_confidence(seed=0):
    rng = np.random.default_rng(seed)
    steady = rng.normal(size=(2, 14, 8))
    parts = [tuple(steady + rng.normal(scale=1.5, size=(2, 14, 8))) for _ in range(6)]
    genotype = derive(*(sum(arrays) for arrays in zip(*parts, strict=True)))
    return genotype, confidence_of(genotype, parts, lambda alphas: derive(*alphas))


def test_confidence_is_stored_beside_its_genotype(tmp_path):
    genotype, confidence = cells_and_confidence()
    save_confidence(tmp_path, confidence)
    assert load_confidence(tmp_path, genotype) == confidence
    stored = files.read_json(tmp_path / files.CONFIDENCE)
    first = stored["choices"]["normal"][0]
    assert (first["operation"], first["input"]) == genotype.normal[0]
    assert load_confidence(tmp_path, cells_and_confidence(1)[0]) is None
    assert load_confidence(tmp_path, None) is None
    save_confidence(tmp_path, None)
    assert load_confidence(tmp_path, genotype) is None
    assert not (tmp_path / files.CONFIDENCE).exists()


def test_same_search_has_the_same_confidence():
    assert cells_and_confidence() == cells_and_confidence()


@pytest.mark.parametrize(
    "damage",
    [
        lambda stored: stored.pop("choices"),
        lambda stored: stored.update(starts="6"),
        lambda stored: stored.update(choices={}),
        lambda stored: stored["choices"]["normal"][0].update(share=1.5),
        lambda stored: stored["choices"]["normal"][0].pop("input"),
    ],
)
def test_damaged_file_is_refused(tmp_path, damage):
    genotype, confidence = cells_and_confidence()
    save_confidence(tmp_path, confidence)
    stored = files.read_json(tmp_path / files.CONFIDENCE)
    damage(stored)
    files.write_json(tmp_path / files.CONFIDENCE, stored)
    with pytest.raises(InputError, match="Expected starts, resamples and choices with shares"):
        load_confidence(tmp_path, genotype)


def test_words_name_every_undecided_choice():
    genotype, confidence = cells_and_confidence()
    first, title, *undecided = describe_confidence(confidence, genotype)
    low = [share for share in confidence.all_shares if share < DECIDED]
    assert 0 < len(low) == confidence.undecided == len(undecided) < 16
    assert first == (
        f"{16 - len(low)} of 16 choices are decided: made in at least 90% of 200 resamples of the "
        "6 sets of weights"
    )
    assert title == "undecided:"
    assert [line.rpartition(" in ")[2] for line in undecided] == [f"{s:.0%}" for s in low]
    number = confidence.undecided_pairs["normal"][0]
    operation, source = genotype.normal[number]
    place = f"input {source}" if source < 2 else f"node {source}"
    assert undecided[0].startswith(
        f"  normal cell, node {2 + number // 2}: {operation} from {place}, in "
    )


def test_nothing_is_undecided_in_words_where_nothing_is():
    sure = Confidence(3, 200, {"recurrent": (("tanh", 0, 1.0),)})
    assert len(describe_confidence(sure, cell("tanh"))) == 1


def test_share_is_that_of_other_searches_that_agree():
    """Draws pairs of searches between two operations; their true leads are spread evenly."""
    rng = np.random.default_rng(0)
    leads = rng.uniform(-2, 2, 1200)
    first, second = (leads[:, None] + rng.normal(size=(len(leads), 12)) for _ in range(2))
    shares = np.array(
        [
            np.mean(
                [np.sign(total) == np.sign(row.sum()) for (total,) in resampled(row[:, None], 100)]
            )
            for row in first
        ]
    )
    agree = np.sign(first.sum(1)) == np.sign(second.sum(1))
    for low, high in ((0.4, 0.7), (0.7, 0.9), (0.9, 0.99)):
        own = (shares >= low) & (shares < high)
        assert own.sum() > 50
        assert agree[own].mean() == pytest.approx(shares[own].mean(), abs=0.1)


def test_confidence_of_cells_with_an_operation_on_every_edge_is_restored(tmp_path):
    space, rng = SPACES[NAS_BENCH_201], np.random.default_rng(0)
    parts = [(rng.normal(size=(6, 5)),) for _ in range(4)]
    genotype = derive_genotype(space, [sum(part for (part,) in parts)])
    found = confidence_of(genotype, parts, functools.partial(derive_genotype, space))
    assert [(name, source) for name, source, _ in found.choices["cell"]] == [
        (name, source) for name, source, _ in genotype.cells[0].edges
    ]
    save_confidence(tmp_path, found)
    assert load_confidence(tmp_path, genotype) == found
    assert describe_confidence(found, genotype)[0].startswith(f"{6 - found.undecided} of 6 choices")
