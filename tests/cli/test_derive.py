"""`darts-tf derive`: another choice of cells of a finished search."""

from __future__ import annotations

import numpy as np
import pytest
from cli_helpers import one_line_of_wrong_use
from run_folders import begin

from darts_tf.cli.main import main
from darts_tf.runs.alphas import load_alphas, save_alphas
from darts_tf.search import perturbation_selection
from darts_tf.search.perturbation_selection import SelectionSettings
from darts_tf.spaces.collapse import COLLAPSED
from darts_tf.spaces.derivation import derive, derive_recurrent
from darts_tf.spaces.search_spaces import DARTS, SPACES
from darts_tf.spaces.zoo import GENOTYPES, load_genotype


@pytest.fixture
def searched(tmp_path):
    """The folder of a search whose alphas prefer skip connections."""
    folder = begin(tmp_path / "run", preset="tiny", seed=7, dataset="digits", limit=64)
    alphas = np.random.default_rng(0).normal(size=(2, 14, 8))
    alphas[:, :, 3] += 2
    save_alphas(folder, *alphas)
    return folder


def test_cells_by_strength_with_a_limit_on_skips(searched, tmp_path, capsys):
    output = tmp_path / "new" / "genotype.json"
    command = ["derive", "--workdir", str(searched), "--output", str(output)]
    assert main([*command, "--max-skips", "2"]) == 0
    expected = derive(*load_alphas(searched), max_skips=2)
    assert load_genotype(output) == expected
    assert sum(name == "skip_connect" for name, _ in expected.normal) == 2
    assert f"genotype: {output}" in capsys.readouterr().out


def test_a_degenerate_cell_is_said_in_words(searched, tmp_path, capsys):
    output = tmp_path / "genotype.json"
    assert main(["derive", "--workdir", str(searched), "--output", str(output)]) == 0
    assert load_genotype(output) == derive(*load_alphas(searched))
    out = capsys.readouterr().out
    assert "warning: the normal cell is " in out
    assert COLLAPSED in out


def test_a_recurrent_cell_by_strength(searched, tmp_path, capsys):
    save_alphas(searched, np.random.default_rng(1).normal(size=(36, 5)))
    output = tmp_path / "genotype.json"
    command = ["derive", "--workdir", str(searched), "--output", str(output)]
    assert main(command) == 0
    found = load_genotype(output, recurrent=True)
    assert found == derive_recurrent(*load_alphas(searched))
    line = one_line_of_wrong_use(capsys, [*command, "--overwrite", "--max-skips", "1"])
    assert "Expected a search on images for max_skips=1" in line


@pytest.mark.parametrize(("more", "seed"), [([], 7), (["--seed", "3"], 3)])
def test_cells_by_perturbation_are_those_of_the_run(searched, tmp_path, monkeypatch, more, seed):
    """Uses the search's settings, dataset and network; the selection itself is tested elsewhere."""
    given = []

    def select_again(config, dataset, build, settings, report):
        given.append((config, dataset.name, build, settings))
        report({"round": 1, "rounds": 18, "chosen": ["normal edge (a, b)"], "seconds_left": 9.0})
        return GENOTYPES["DARTS_V2"]

    monkeypatch.setattr(perturbation_selection, "select_again", select_again)
    output = tmp_path / "genotype.json"
    command = ["derive", "--workdir", str(searched), "--output", str(output)]
    options = ["--selection", "perturbation", "--selection-epochs", "4"]
    assert main([*command, *options, *more]) == 0
    ((config, name, build, settings),) = given
    assert (config.workdir, config.preset, name) == (searched, "tiny", "digits")
    assert settings == SelectionSettings(4, seed)
    assert build.args[1:] == (10, 1, SPACES[DARTS])
    assert load_genotype(output) == GENOTYPES["DARTS_V2"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--output", "{run}/config.json"], "Expected output to be a new file (or --overwrite)"),
        (["--output", "{run}"], "a folder"),
        (["--output", "new.json", "--workdir", "{run}/none"], "Received: '"),
        (
            ["--output", "new.json", "--selection", "strenght"],
            "Expected --selection to be one of strength, perturbation. Received: "
            "--selection='strenght'. Did you mean 'strength'?",
        ),
        (["--output", "new.json", "--max-skips", "-1"], "max_skips to be zero or more"),
        (
            ["--output", "new.json", "--max-skips", "1", "--selection", "perturbation"],
            "Expected max_skips with selection='strength'",
        ),
        (["--output", "new.json", "--selection-epochs", "-1"], "selection_epochs"),
    ],
)
def test_wrong_use_is_one_line(searched, capsys, monkeypatch, words, says):
    monkeypatch.chdir(searched.parent)
    words = [word.format(run=searched) for word in words]
    assert says in one_line_of_wrong_use(capsys, ["derive", "--workdir", searched, *words])
    assert not (searched.parent / "new.json").exists()


def test_a_folder_without_a_search_is_refused(tmp_path, capsys):
    for selection in ("strength", "perturbation"):
        command = ["derive", "--workdir", tmp_path, "--output", tmp_path / "g.json"]
        line = one_line_of_wrong_use(capsys, [*command, "--selection", selection])
        assert str(tmp_path) in line
