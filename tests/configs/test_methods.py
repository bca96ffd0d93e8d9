"""Methods: settings that make searches, names in help and documentation, precedence of settings."""

from __future__ import annotations

import pathlib
import typing

import pytest

from darts_tf.cli.arguments import parse
from darts_tf.configs import CompareConfig, SearchConfig
from darts_tf.configs.descriptions import descriptions
from darts_tf.configs.methods import BASELINES, GRADIENTS, METHODS
from darts_tf.configs.studies import Method as Baseline
from darts_tf.errors import InputError
from darts_tf.report.reproduce import differing

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "variants.md"


def search(**fields):
    return SearchConfig(workdir="run", **fields)


@pytest.mark.parametrize("name", GRADIENTS)
def test_method_sets_its_settings_and_no_others(name):
    chosen, plain = search(method=name).to_dict(), search().to_dict()
    settings = search(**GRADIENTS[name].settings).to_dict()
    assert chosen == {**plain, **settings, "method": name}
    assert chosen == SearchConfig.from_preset("digits", workdir="run", method=name).to_dict()


def test_method_overrides_the_preset_and_a_given_setting_the_method():
    by_preset = search(preset="pc-darts", method="fair")
    assert (by_preset.relaxation, by_preset.batch_size) == ("sigmoid", 256)
    assert search(preset="photos", method="second_order").arch_gradient == "second_order"
    assert search(method="fair", arch_gradient="second_order").arch_gradient == "second_order"
    words = ["--dataset", "digits", "--workdir", "run", "--method", "drnas"]
    assert parse(SearchConfig, words, "search").arch_weight_decay == 0
    given = parse(SearchConfig, [*words, "--arch-weight-decay", "0.5"], "search")
    assert (given.arch_weight_decay, given.relaxation) == (0.5, "dirichlet")


def test_command_that_repeats_a_run_names_its_method():
    assert differing(search(method="drnas", epochs=3)) == {
        **{"dataset": "digits", "preset": "digits", "method": "drnas", "epochs": 3},
    }


def test_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(
        InputError, match="one of .*drnas.*Received: method='fiar'. Did you mean 'fair'"
    ):
        search(method="fiar")


def test_baselines_are_those_of_the_command():
    assert tuple(BASELINES) == typing.get_args(Baseline)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_in_help_and_documentation_with_its_paper(name):
    assert name in descriptions(CompareConfig)["methods"]
    paper = GRADIENTS[name].paper if name in GRADIENTS else BASELINES[name]
    (row,) = (
        line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| `{name}` |")
    )
    assert paper in row
