"""Doubts about results: closed forms of chance and entropy, and the doubts of whole runs."""

from __future__ import annotations

import math

import fake_runs
import numpy as np
import pytest

from darts_tf.errors import InputError
from darts_tf.report.run import run_of
from darts_tf.runs import files, soundness
from darts_tf.runs.alphas import save_alphas
from darts_tf.runs.confidence import Confidence, save_confidence
from darts_tf.runs.soundness import (
    accuracy_interval,
    class_counts,
    describe_chance,
    describe_decisions,
    describe_few_images,
    describe_overfitting,
    describe_uncertainty,
    describe_unmoved,
    doubts_of,
)


def tail(right: int, images: int, share: float) -> float:
    """Returns P(X >= right) of a binomial distribution, term by term."""
    terms = range(right, images + 1)
    return math.fsum(math.comb(images, k) * share**k * (1 - share) ** (images - k) for k in terms)


@pytest.mark.parametrize("counts", [(50, 50), (20, 30, 50), (10,) * 10, (90, 10), (3, 2)])
def test_chance_ends_where_guessing_does_as_well_in_one_of_twenty_cases(counts):
    images, share = sum(counts), max(counts) / sum(counts)
    for right in range(images + 1):
        by_chance = tail(right, images, share) > 0.05
        assert bool(describe_chance(right / images, counts)) == by_chance, right


def test_chance_is_the_share_of_the_most_frequent_class():
    assert describe_chance(0.705, [70, 20, 10]) == (
        "the test accuracy of 70.5 % is no better than chance: always answering the most frequent "
        "class is right for 70.0 % of the 100 images"
    )
    assert describe_chance(0.705, [40, 30, 30]) == ""
    assert "validation" in describe_chance(0.3, [5, 5], "validation")


@pytest.mark.parametrize("counts", [[], [12], [0, 12, 0], [100, 100, 0], [0, 0]])
def test_images_of_a_part_of_the_classes_say_nothing_about_chance(counts):
    assert describe_chance(0.1, counts) == ""


@pytest.mark.parametrize("images", [1, 7, 40])
def test_interval_of_a_perfect_accuracy_has_its_closed_form(images):
    low, high = accuracy_interval(1.0, images)
    assert low == pytest.approx(0.025 ** (1 / images), rel=1e-9)
    assert high == 1
    assert accuracy_interval(0.0, images) == (0, pytest.approx(1 - low, rel=1e-9))


def test_interval_leaves_the_same_probability_on_both_sides():
    low, high = accuracy_interval(0.75, 12)
    assert tail(9, 12, low) == pytest.approx(0.025, rel=1e-6)
    assert 1 - tail(10, 12, high) == pytest.approx(0.025, rel=1e-6)


def test_an_accuracy_of_few_images_is_uncertain():
    assert describe_uncertainty(0.75, 12).endswith("it might be anything from 43 to 95 %")
    assert describe_uncertainty(0.75, 1200) == describe_uncertainty(0.5, 0) == ""


def test_few_images_are_counted_per_class():
    words = describe_few_images([20, 10, 15])
    assert words.startswith("only 45 training images of 3 classes, 15 per class")
    assert describe_few_images([150, 60]) == describe_few_images([]) == ""


def test_a_large_gap_is_told_in_points():
    assert "68.0 % is 31.0 points below the training accuracy of 99.0 %" in (
        describe_overfitting(0.99, 0.68)
    )
    assert describe_overfitting(0.99, 0.9) == describe_overfitting(0.6, 0.9) == ""


def test_uniform_alphas_have_decided_nothing():
    words = describe_unmoved([np.zeros((14, 8)), np.full((14, 8), 3.0)])
    assert "2.079 of at most 2.079 nats in the normal cell and 2.079 of" in words
    assert "its largest weight 0.125 where 0.125 is even" in words


def spread(size: float, rows: int = 14, columns: int = 8) -> np.ndarray:
    """Returns alphas of which one on each edge is larger by this size."""
    return np.eye(rows, columns) * size + np.eye(rows, columns, -columns) * size


def test_alphas_are_undecided_down_to_99_percent_of_the_entropy():
    # weights of one operation w and seven (1 - w) / 7: the entropy is known
    for size, undecided in ((0.12, True), (0.5, True), (0.7, False), (3.0, False)):
        largest = math.exp(size) / (math.exp(size) + 7)
        entropy = -largest * math.log(largest)
        entropy -= (1 - largest) * math.log((1 - largest) / 7)
        assert (entropy > 0.99 * math.log(8)) == undecided
        words = describe_unmoved([spread(size), spread(size)])
        assert bool(words) == undecided, size
        assert not words or f"{entropy:.3f} of at most 2.079" in words
        assert not words or f"its largest weight {largest:.3f}" in words


def test_one_decided_cell_is_a_decision():
    assert describe_unmoved([spread(0.1), spread(3.0)]) == ""
    assert describe_unmoved([spread(0.1), spread(0.1), np.zeros(14), np.ones(14)])  # edge alphas
    assert " in the " not in describe_unmoved([np.zeros((36, 5))])


def test_decisions_are_told_by_the_same_bounds():
    assert describe_decisions(0.998) == "practically no edge is decided"
    assert describe_decisions(0.97) == "hardly any edge is decided"
    assert describe_decisions(0.5) == "the edges are becoming decided"


def test_classes_without_counts_are_taken_as_equally_frequent():
    stored = {"classes": ["a", "b"], "images": {"train": 7, "test": 4}}
    assert class_counts(stored, "train") == [3.5, 3.5]
    assert class_counts({**stored, "class_counts": {"test": [1, 3]}}, "test") == [1, 3]
    assert class_counts({}, "train") == []


@pytest.mark.parametrize(
    "stored",
    [
        {"classes": "ab"},
        {"classes": ["a"], "images": 3},
        {"classes": ["a"], "images": {"test": -1}},
        {"classes": ["a"], "images": {"test": 1}, "class_counts": {"test": [None]}},
        {"classes": ["a"], "images": {"test": 1}, "class_counts": 7},
    ],
)
def test_damaged_counts_are_refused(stored):
    with pytest.raises(InputError, match="Expected .* Received"):
        class_counts(stored, "test")


MANY = {"images": {"train": 2000, "test": 1000}}


def doubts(folder) -> list[str]:
    return doubts_of(run_of(folder).config)


def test_search_that_decides_nothing_is_doubtful(tmp_path):
    folder = fake_runs.search(tmp_path / "run")
    fake_runs.described(folder, run_of(folder).config, **MANY)
    assert doubts(folder) == []
    save_alphas(folder, np.zeros((14, 8)), np.zeros((14, 8)))
    (only,) = doubts(folder)
    assert only.startswith("the cells are practically the draw that the search began with")
    perturbed = fake_runs.search(tmp_path / "other", selection="perturbation")
    fake_runs.described(perturbed, run_of(perturbed).config, **MANY)
    save_alphas(perturbed, np.zeros((14, 8)), np.zeros((14, 8)))
    assert doubts(perturbed) == []  # its cells are chosen by the supernet's accuracy


def test_search_on_text_that_decides_nothing_is_doubtful(tmp_path):
    folder = fake_runs.text_search(tmp_path / "run")
    save_alphas(folder, np.zeros((36, 5)))
    assert len(doubts(folder)) == 1


def test_search_is_measured_on_half_of_the_training_images(tmp_path):
    folder = fake_runs.search(tmp_path / "run", 1)  # of 64 images, accuracies of 0
    few, chance = doubts(folder)
    assert "64 training images of 10 classes" in few
    assert "the validation accuracy of 0.0 % is no better than chance" in chance
    assert "of the 32 images" in chance


def test_accuracy_of_chance_is_not_also_called_overfitting(tmp_path):
    folder = fake_runs.training(tmp_path / "run", 1)
    fake_runs.described(folder, run_of(folder).config, **MANY)
    (folder / files.METRICS).unlink()
    fake_runs.lines(folder, [{"accuracy": 0.9, "test_accuracy": 0.1}])
    (only,) = doubts(folder)
    assert "no better than chance" in only


def test_training_is_doubted_by_its_last_epoch(tmp_path):
    folder = fake_runs.training(tmp_path / "run")
    last = {"accuracy": 0.95, "test_accuracy": 0.6}
    (folder / files.METRICS).unlink()
    fake_runs.lines(folder, [{"accuracy": 0.1, "test_accuracy": 0.1}, last])
    few, uncertain, gap = doubts(folder)
    assert "6 per class" in few
    assert "60.0 % was measured on 32 images only" in uncertain
    assert "35.0 points below" in gap
    fake_runs.described(folder, run_of(folder).config, **MANY)
    assert doubts(folder) == [gap]


def test_largest_class_counts_not_the_mean(tmp_path):
    folder = fake_runs.training(tmp_path / "run")  # ends with 60 % of test accuracy
    counts = {"train": [200] * 10, "test": [610, *[40] * 9, 30]}
    fake_runs.described(folder, run_of(folder).config, **MANY, class_counts=counts)
    (only,) = doubts(folder)
    assert "always answering the most frequent class is right for 61.0 %" in only


def test_bounds_are_in_order():
    assert soundness.UNDECIDED < soundness.UNMOVED < 1


@pytest.mark.parametrize("undecided", [8, 9])
def test_undecided_choices_are_doubted_where_weights_were_restarted(tmp_path, undecided):
    """They replace the doubt by the entropy, which small alphas always raise."""
    folder = fake_runs.search(tmp_path / "run", restart_every=1)
    config = run_of(folder).config
    save_alphas(folder, np.zeros((14, 8)), np.zeros((14, 8)))
    assert any("the draw that the search began with" in doubt for doubt in doubts_of(config))
    genotype = run_of(folder).genotype
    shares = [0.5] * undecided + [1.0] * (16 - undecided)
    choices = {
        cell: tuple((*pair, share) for pair, share in zip(pairs, part, strict=True))
        for cell, pairs, part in (
            ("normal", genotype.normal, shares[:8]),
            ("reduce", genotype.reduce, shares[8:]),
        )
    }
    save_confidence(folder, Confidence(6, 200, choices))
    doubts = [doubt for doubt in doubts_of(config) if "seed would" in doubt]
    expected = (
        "9 of 16 choices are not decided after 6 sets of weights; another seed would choose others "
        "there"
    )
    assert doubts == ([expected] if undecided == 9 else [])


def test_accuracy_of_young_weights_is_not_doubted(tmp_path):
    """The fake search ends with an accuracy of 45 %, and of 100 images that it was measured on."""
    doubted = [
        doubts(fake_runs.search(tmp_path / str(every), restart_every=every)) for every in (None, 1)
    ]
    assert any("validation accuracy" in doubt for doubt in doubted[0])
    assert not any("validation accuracy" in doubt for doubt in doubted[1])


@pytest.mark.parametrize(("selection", "doubtful"), [("perturbation", True), ("strength", False)])
def test_selection_on_young_weights_is_doubted(tmp_path, selection, doubtful):
    folder = fake_runs.search(tmp_path / "run", restart_every=2, selection=selection)
    words = "by the accuracy of weights that are restarted every 2 epochs"
    assert any(words in doubt for doubt in doubts(folder)) == doubtful
