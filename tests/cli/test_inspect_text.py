"""`darts-tf inspect` on recurrent cells: tables, notations, and flags for images."""

from __future__ import annotations

import json
import re

import pytest

from darts_tf.cli.main import main
from darts_tf.configs import InspectConfig
from darts_tf.configs.commands import OF_IMAGES, OF_TEXT
from darts_tf.errors import InputError
from darts_tf.spaces.notation import parse
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES, load_genotype

V2, ENAS = RECURRENT_GENOTYPES["DARTS_V2"], RECURRENT_GENOTYPES["ENAS"]
SETTINGS = {
    **{"channels": 4, "cells": 3, "classes": 2, "stem": "cifar", "image_size": 32},
    **{"image_channels": 3, "max_macs": 10**6, "units": 850, "vocabulary": 10_000},
}


def inspected(capsys, *words) -> str:
    assert main(["inspect", *map(str, words)]) == 0
    return capsys.readouterr().out


def refused(capsys, *words) -> str:
    assert main(["inspect", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


def cells(out) -> list[list[str]]:
    """Returns the cells of every row of a table."""
    return [re.split(r" *│ *| {2,}", line.strip(" │")) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("words", "parameters", "macs"),
    [
        ([], 22_960_000, 22_950_000),
        (["--units", 700, "--vocabulary", 33_278], 33_127_878, 33_094_600),
        (["--units", 1, "--vocabulary", 1], 22, 21),
    ],
)
def test_published_cell_has_its_parameters_and_products(capsys, words, parameters, macs):
    out = inspected(capsys, "--genotype", "DARTS_V2", "--recurrent", *words)
    assert f"\nparameters {parameters:,}\n" in out
    assert f"\nMACs {macs:,} a word (matrix products)\n" in out


def test_every_node_and_part_has_its_row(capsys, tmp_path):
    ENAS.save(tmp_path / "cell.json")
    out = inspected(capsys, "--genotype", tmp_path / "cell.json", "--units", 8, "--vocabulary", 23)
    for node, (activation, source) in enumerate(ENAS.recurrent, 1):
        output = "yes" if node in ENAS.concat else "no"
        state = f"node {source}" if source else "input 0"
        assert [f"node {node}", f"{activation} from {state}", output] in cells(out)
    for part in (
        *(["embedding and classifier", "184", "184"], ["classifier's bias", "23", "0"]),
        *(["input kernel", "128", "128"], ["recurrent kernel", "128", "128"]),
        ["kernels of nodes", "1,408", "1,408"],
    ):
        assert part in cells(out)
    assert "language model of 8 units and 23 words" in out
    assert "parameters 1,871\n" in out


def test_tables_fit_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["--units", 5000, "--vocabulary", 1_000_000]  # would not fit into memory
    out = inspected(capsys, "--genotype", "ENAS", "--recurrent", *words)
    assert ["embedding and classifier", "5,000,000,000", "5,000,000,000"] in cells(out)


@pytest.mark.parametrize("name", ["python", "json"])
@pytest.mark.parametrize("genotype", RECURRENT_GENOTYPES)
def test_notation_alone_is_printed_and_read_again(capsys, tmp_path, name, genotype):
    out = inspected(capsys, "--genotype", genotype, "--recurrent", "--notation", name)
    assert parse(out) == RECURRENT_GENOTYPES[genotype]
    (tmp_path / "cell").write_text(out)
    assert inspected(capsys, "--genotype", tmp_path / "cell", "--notation", name) == out
    assert (name == "json") == (out == RECURRENT_GENOTYPES[genotype].to_json())


def test_a_file_tells_its_kind_and_a_name_that_of_images(capsys, tmp_path):
    assert "reduction cell" in inspected(capsys, "--genotype", "DARTS_V2", "--cells", 3)
    path = tmp_path / "genotypes.py"
    path.write_text("CELL = Genotype(recurrent=[('tanh', 0), ('relu', 1)], concat=range(1, 3))")
    assert ["node 2", "relu from node 1", "yes"] in cells(
        inspected(capsys, "--genotype", f"{path}:CELL")
    )
    assert load_genotype(path, recurrent=None) == load_genotype(path, recurrent=True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--notation", "nni"], "reduction cell for images.* Received: a recurrent cell$"),
        (["--stem", "cifar"], "Expected settings of the language model .* Received: --stem, of a"),
        (["--image-size", 32, "--notation", "json"], "Received: --image-size, of a network for im"),
        (["--units", 0], "Expected units to be positive. Received: units=0"),
        (["--vocabulary", "many"], "--vocabulary: .*'many'"),
    ],
)
def test_wrong_flag_of_a_recurrent_cell_is_refused_in_one_line(capsys, words, says):
    assert re.search(says, refused(capsys, "--genotype", "ENAS", "--recurrent", *words))


def test_cells_for_images_are_no_recurrent_ones(capsys, tmp_path):
    line = refused(capsys, "--genotype", "DARTS_V2", "--units", 3)
    assert line.endswith(
        "Received: --units, of the language model of a recurrent cell (--recurrent takes a "
        "published one)"
    )
    assert "PDARTS: Expected a recurrent cell" in refused(
        capsys, "--genotype", "PDARTS", "--recurrent"
    )
    (tmp_path / "cells.json").write_text(load_genotype("PDARTS").to_json())
    line = refused(capsys, "--genotype", tmp_path / "cells.json", "--recurrent")
    assert "Expected a recurrent cell, for text. Received: cells for images" in line


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_a_network_is_of_one_kind(name):
    """A flag is rejected even with its default value."""
    config = InspectConfig(genotype="ENAS", **{name: SETTINGS[name]})
    images, text = GENOTYPES["ENAS"], RECURRENT_GENOTYPES["ENAS"]
    for cells, own in ((text, OF_TEXT), (images, OF_IMAGES | images.usual_sizes)):
        if name in own:
            completed = config.completed(cells)
            assert getattr(completed, name) == SETTINGS[name]
            assert completed.to_dict() == config.to_dict() | own | {name: SETTINGS[name]}
        else:
            with pytest.raises(InputError, match=f"Received: --{name.replace('_', '-')}, of "):
                config.completed(cells)


def test_settings_of_both_kinds_are_all_that_are_of_a_network():
    others = {"genotype": "ENAS", "recurrent": False}
    others |= dict.fromkeys(("notation", "picture", "primitive"))
    blank = InspectConfig(genotype="ENAS").to_dict()
    assert json.loads(json.dumps(blank)) == others | dict.fromkeys(SETTINGS)
    assert {*SETTINGS} == {*OF_IMAGES, *OF_TEXT}


def test_help_tells_the_defaults(capsys):
    words = " ".join(inspected(capsys, "--help").replace("│", " ").split())
    for name, default in (OF_IMAGES | OF_TEXT | GENOTYPES["ENAS"].usual_sizes).items():
        flag = f"--{name.replace('_', '-')} "
        own = words[words.index(flag) :].removeprefix(flag).partition(" --")[0]
        if default == "cifar":
            assert "`cifar` (default) keeps the image size" in own
        elif default is not None:
            assert re.search(rf"by default (.* )?{default}[.,]", own)
