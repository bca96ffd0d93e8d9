"""`darts-tf inspect` on cells of NAS-Bench-201: what their authors measured."""

from __future__ import annotations

import pytest

from darts_tf.cli.main import main
from darts_tf.spaces import truth

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|{}~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def inspected(capsys, cell) -> list[str]:
    assert main(["inspect", "--genotype", cell]) == 0
    return capsys.readouterr().out.splitlines()


def test_truth_of_a_cell_that_was_trained_is_printed(capsys, monkeypatch, tmp_path):
    if not truth.is_installed():
        pytest.skip(f"needs the extra nasbench ({truth.PACKAGE})")
    monkeypatch.setattr(truth, "cache_folder", lambda: tmp_path)
    *_, title, first, _, last = inspected(capsys, CELL.format("skip_connect"))
    assert title == "validation accuracy in NAS-Bench-201, after 200 epochs:"
    assert first == "CIFAR-10        91.55 %, number 2 of 15,625, 0.05 points below the best"
    assert last == "ImageNet16-120  46.37 %, number 9 of 15,625, 0.37 points below the best"


def test_where_the_table_is_missing_the_command_that_installs_it_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(truth, "is_installed", lambda: False)
    *_, last = inspected(capsys, CELL.format("skip_connect"))
    assert last == 'validation accuracy in NAS-Bench-201: pip install "darts-tf[nasbench]"'


@pytest.mark.parametrize("cell", [CELL.format("max_pool_3x3"), "|none~0|+|none~0|skip_connect~1|"])
def test_cells_that_were_not_trained_have_no_truth(capsys, cell):
    assert "NAS-Bench" not in "".join(inspected(capsys, cell))
