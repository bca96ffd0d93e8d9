"""Early stopping of a search, and the epoch that it keeps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from darts_tf.configs import SearchConfig, TextSearchConfig
from darts_tf.errors import InputError
from darts_tf.search.early_stopping import RULES, decide, stops_early

CALM = [0.2] * 10


def config(**fields):
    return SearchConfig(workdir="run", epochs=50, **fields)


def lines(eigenvalues=None, skips=None):
    count = len(eigenvalues or skips)
    values = zip(eigenvalues or [None] * count, skips or [0] * count, strict=True)
    return [{"epoch": i, "eigenvalue": e, "skips_normal": s} for i, (e, s) in enumerate(values)]


def test_search_stops_when_the_mean_eigenvalue_has_grown():
    """Windows of epochs 8-12 and 3-7 (from 1): 0.2 against (3 * 0.2 + 2 * 0.4) / 5 = 0.28."""
    settings = config(stop_eigenvalue=True)
    grown = lines([*CALM, 0.4, 0.4, 0.4])
    assert decide(settings, grown[:11]) is None
    stop = decide(settings, grown[:12])
    assert (stop.epoch, stop.kept) == (11, 6)
    assert "0.28, 1.40 times that of 5 epochs earlier" in stop.reason
    assert "stopped after epoch 12" in str(stop)
    assert "the genotype is that of epoch 7" in str(stop)
    assert decide(settings, grown) == stop  # later epochs do not change the decision


def test_search_goes_on_while_the_mean_eigenvalue_grows_by_less():
    growing = [0.1 * 1.05**i for i in range(50)]  # 1.28 in five epochs
    assert decide(config(stop_eigenvalue=True), lines(growing)) is None
    stop = decide(config(stop_eigenvalue=True, stop_factor=1.25), lines(growing))
    assert (stop.epoch, stop.kept) == (9, 4)


def test_single_peaks_are_smoothed():
    peaked = [*CALM, 0.45, *CALM]
    assert decide(config(stop_eigenvalue=True), lines(peaked)) is None


@pytest.mark.parametrize(("first", "epoch"), [(1, 9), (10, 9), (13, 12)])
def test_search_stops_from_an_epoch_on(first, epoch):
    steep = lines([0.1 * 2**i for i in range(20)])
    stop = decide(config(stop_eigenvalue=True, stop_from_epoch=first), steep)
    assert (stop.epoch, stop.kept) == (epoch, epoch - 5)


def test_window_is_that_of_the_settings():
    settings = config(stop_eigenvalue=True, stop_window=2, stop_from_epoch=1)
    stop = decide(settings, lines([1.0, 1.0, 1.0, 1.8]))
    assert (stop.epoch, stop.kept) == (3, 1)


@pytest.mark.parametrize("before", [0.0, -0.3])
def test_eigenvalues_that_were_not_positive_do_not_stop(before):
    assert decide(config(stop_eigenvalue=True), lines([before] * 5 + [1.0] * 5)) is None


def test_an_eigenvalue_that_is_not_known_does_not_stop():
    values = [0.1 * 2**i for i in range(12)]
    values[6] = None
    assert decide(config(stop_eigenvalue=True), lines(values)) is None


def test_epochs_before_the_alphas_move_do_not_count():
    steep = lines([0.1 * 2**i for i in range(20)])
    stop = decide(config(stop_eigenvalue=True, arch_from_epoch=4), steep)
    assert (stop.epoch, stop.kept) == (13, 8)


def test_search_stops_at_too_many_skips_and_keeps_the_epoch_before():
    stop = decide(config(stop_skips=2), lines(skips=[0, 3, 2, 1, 4, 1]))
    assert (stop.epoch, stop.kept) == (1, 0)
    stop = decide(config(stop_skips=3), lines(skips=[0, 3, 2, 1, 4, 1]))
    assert (stop.epoch, stop.kept) == (4, 3)
    assert "4 skip connections, at most 3 were allowed" in str(stop)


def test_search_that_never_had_few_skips_goes_on():
    assert decide(config(stop_skips=2), lines(skips=[5, 4, 3])) is None
    assert decide(config(stop_skips=2), lines(skips=[5, 2, 3])).kept == 1


def test_nothing_stops_where_nothing_asks():
    wild = lines([10.0**i for i in range(20)], [0, *[8] * 19])
    assert decide(config(eigenvalue=True), wild) is None
    assert decide(config(stop_eigenvalue=True, stop_skips=3), []) is None


@pytest.mark.parametrize("rule", RULES)
def test_rules_want_settings(rule):
    assert RULES[rule](config(), lines([1.0], [8])) is None


def test_recurrent_cells_stop_by_the_eigenvalue_alone():
    settings = TextSearchConfig(workdir="run", epochs=50, stop_eigenvalue=True)
    recurrent = [{"epoch": i, "eigenvalue": 2.0**i} for i in range(12)]
    assert decide(settings, recurrent).epoch == 9


def test_settings_say_whether_a_search_may_stop():
    assert not stops_early(config(eigenvalue=True))
    assert stops_early(config(stop_eigenvalue=True))
    assert stops_early(config(stop_skips=0))
    assert not stops_early(TextSearchConfig(workdir="run"))


def test_rule_is_the_formula_on_drawn_eigenvalues():
    """Compares with the means of all pairs of adjacent windows."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.uniform(0.1, 1.0, 30)
        means = {i: values[i - 4 : i + 1].mean() for i in range(4, 30)}
        fires = (i for i in range(9, 30) if means[i] > 1.3 * means[i - 5])
        expected = next(fires, None)
        stop = decide(config(stop_eigenvalue=True), lines(list(values)))
        assert (stop and stop.epoch) == expected


def test_first_rule_to_fire_decides():
    both = lines([*CALM, *[0.9] * 5], [*[0] * 11, *[8] * 4])
    settings = {"stop_eigenvalue": True, "stop_skips": 2}
    stops = [
        decide(config(**dict(given)), both) for given in itertools.combinations(settings.items(), 1)
    ]
    first = min(stops, key=lambda stop: stop.epoch)
    assert decide(config(**settings), both) == first


def decided(undecided, every=2):
    """Returns the metrics of epochs with these numbers of undecided choices."""
    return [{"epoch": i, "restart": i // every, "undecided": n} for i, n in enumerate(undecided)]


def test_search_stops_between_sets_of_weights_when_all_choices_are_decided():
    settings = config(restart_every=2, until_decided=True)
    assert decide(settings, decided([0] * 11)) is None  # the sixth set is not complete
    stop = decide(settings, decided([0] * 12))
    assert (stop.epoch, stop.kept) == (11, 11)
    assert "stopped after epoch 12: every choice of the cells is decided by 6 sets" in str(stop)
    late = decide(settings, decided([3] * 12 + [0, 1, 0, 0]))
    assert late.epoch == 15
    assert decide(settings, decided([1] * 50)) is None
    assert decide(config(restart_every=2), decided([0] * 20)) is None
    assert stops_early(settings)


@pytest.mark.parametrize("kind", [SearchConfig, TextSearchConfig])
def test_stop_at_decided_choices_needs_restarts(kind):
    with pytest.raises(InputError, match="Expected restart_every with until_decided"):
        kind(workdir="run", until_decided=True)
