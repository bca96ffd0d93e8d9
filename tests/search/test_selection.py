"""Selection rules: what each one gets and obeys, and that a new one is one entry."""

from __future__ import annotations

import numpy as np
import pytest

from darts_tf import registry
from darts_tf.configs import SearchConfig
from darts_tf.configs.selections import SELECTIONS, STRENGTH, Selection
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.search.images import plan_images
from darts_tf.search.selection import Context, check_rule, choose, rule_of_epochs
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.search_spaces import DARTS, SPACES
from darts_tf.spaces.zoo import GENOTYPES

ALPHAS = list(np.random.default_rng(0).normal(size=(2, 14, 8)))
V1, V2 = GENOTYPES["DARTS_V1"], GENOTYPES["DARTS_V2"]


def context(**settings):
    return Context(SPACES[DARTS], **settings)


@pytest.mark.parametrize("settings", [{}, {"relaxation": "sigmoid"}, {"max_skips": 1}])
def test_strength_derives_as_the_paper_does_within_the_limit_on_skips(settings):
    assert choose(STRENGTH, context(**settings), ALPHAS) == derive(*ALPHAS, **settings)


def test_strength_keeps_within_a_budget():
    given = []
    within = context(within_budget=lambda *alphas: given.extend(alphas) or V1)
    assert choose(STRENGTH, within, ALPHAS) == V1
    assert all(np.array_equal(a, b) for a, b in zip(given, ALPHAS, strict=True))


def test_perturbation_asks_the_supernet_and_epochs_are_chosen_by_strength():
    measured = context(measure_supernet=lambda: V2)
    assert choose("perturbation", measured, ALPHAS) == V2
    assert [rule_of_epochs(name) for name in (STRENGTH, "perturbation")] == [STRENGTH] * 2


@pytest.mark.parametrize("name", SELECTIONS)
def test_settings_refuse_what_a_rule_cannot_do(name, tmp_path):
    rule = SELECTIONS[name]
    for relaxation in ("softmax", "sigmoid", "gumbel"):
        settings = {"workdir": tmp_path, "selection": name, "relaxation": relaxation}
        if relaxation in rule.relaxations:
            assert SearchConfig(**settings).selection == name
        else:
            with pytest.raises(InputError, match=f"selection={name}"):
                SearchConfig(**settings)
    limited = {"workdir": tmp_path, "selection": name, "max_skips": 2}
    if rule.obeys_limits:
        assert SearchConfig(**limited).max_skips == 2
    else:
        with pytest.raises(InputError, match="max_skips"):
            SearchConfig(**limited)


def test_a_new_rule_is_one_entry(monkeypatch, tmp_path):
    monkeypatch.setitem(registry.SELECTIONS, "first", Selection(lambda context, alphas: V1))
    assert SearchConfig(workdir=tmp_path, selection="first").selection == "first"
    check_rule("first", context())
    assert choose("first", context(), ALPHAS) == V1
    assert rule_of_epochs("first") == "first"


def test_a_plan_writes_nothing_and_chooses_by_its_rule(monkeypatch, tmp_path):
    monkeypatch.setitem(registry.SELECTIONS, "first", Selection(lambda context, alphas: V1))
    config = SearchConfig.from_preset("tiny", workdir=tmp_path / "run", selection="first")
    plan = plan_images(config, load_dataset("digits", limit=200))
    assert not (tmp_path / "run").exists()
    trainer = plan.build()
    assert plan.derive(trainer.network.alphas) == V1
    assert plan.finish is None
    assert trainer.network.space == SPACES[DARTS]
