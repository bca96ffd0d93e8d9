"""Drawings of cells in reports: each once, whole, in one scale, with a legend as text."""

from __future__ import annotations

import re

import pytest
from fake_runs import comparison, search, text_search, training
from html_parser import Page

from darts_tf.plots.legend import legend_of
from darts_tf.plots.sketches import of_genotype
from darts_tf.report.drawings import drawn
from darts_tf.report.html import static
from darts_tf.report.page import write_report
from darts_tf.runs import files
from darts_tf.runs.confidence import Confidence, save_confidence
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES, load_genotype

GENOTYPE = GENOTYPES["DARTS_V2"]


def page_of(*folders) -> str:
    return write_report(folders).read_text(encoding="utf-8")


def test_each_cell_is_drawn_once_for_all_screens(tmp_path):
    page = page_of(training(tmp_path / "run"))
    drawings = page.partition("<h2>Cells</h2>")[2].partition("<details")[0]
    assert drawings.count("<svg") == 2
    assert drawings.count("viewBox") == 2
    ids = [value for name, value in Page(page).attributes if name == "id"]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("genotype", [GENOTYPE, RECURRENT_GENOTYPES["DARTS_V2"]])
def test_widths_of_cells_are_those_of_their_drawings(genotype):
    """One scale: the width of each drawing is a share of the widest one."""
    text = drawn(genotype)
    own = [float(width) for width in re.findall(r"--own:([\d.]+)", text)]
    boxes = [float(width) for width in re.findall(r'viewBox="0 0 ([\d.]+)', text)]
    assert own == pytest.approx(boxes, abs=0.1)
    assert float(re.search(r"--widest:([\d.]+)", text)[1]) == max(own)


def test_style_sheet_has_all_colours_of_the_drawings():
    used = set(re.findall(r"var\((--cell-\w+)\)", drawn(GENOTYPE)))
    assert used
    for name in used:
        assert f"{name}: " in static("report.css")


@pytest.mark.parametrize("genotype", [GENOTYPE, RECURRENT_GENOTYPES["DARTS_V2"]])
def test_legend_is_text_and_the_same_as_in_pictures(genotype):
    cells = of_genotype(genotype)
    entries = legend_of(cells, [each for cell in cells for each in cell.operations])
    legend = drawn(genotype).partition('<ul class="legend signs">')[2].partition("</ul>")[0]
    items = legend.split("</li>")[:-1]
    assert len(items) == len(entries)
    for item, entry in zip(items, entries, strict=True):
        assert entry.text in " ".join(Page(f"{item}</li>").cells)
        assert (f"--fill:{entry.colour}" in item) == bool(entry.colour)
    assert "k−2" in legend or "t−1" in legend


def test_cells_that_two_runs_have_are_drawn_once(tmp_path):
    first = search(tmp_path / "search")
    genotype = load_genotype(first / files.GENOTYPE, recurrent=None)
    second = training(tmp_path / "train", genotype=genotype)
    other = training(tmp_path / "other")
    page = page_of(first, second, other)
    assert page.count('class="drawn"') == 2
    assert page.count("The same cells as search.") == 1


def test_cells_of_a_comparison_are_drawn_once_among_several_runs(tmp_path):
    folder = comparison(tmp_path / "comparison")
    page = page_of(folder, training(tmp_path / "train"))
    assert page.count('class="drawn"') == 2
    assert "The same cells as comparison DARTS_V2." in page


def test_a_recurrent_cell_has_one_drawing(tmp_path):
    assert page_of(text_search(tmp_path / "run")).count("<figcaption>Recurrent cell") == 1


def test_a_reduction_cell_like_the_normal_cell_is_not_drawn_again():
    cell, concat = GENOTYPE.normal, GENOTYPE.normal_concat
    text = drawn(Genotype(cell, concat, cell, concat))
    assert text.count("<svg") == 1
    assert "<figcaption>Normal cell and reduction cell, which are the same<" in text
    assert drawn(GENOTYPE).count("<svg") == 2


def dashed_lines(page: str) -> int:
    """Returns the number of dashed lines in the drawings of cells."""
    drawings = page.partition("<h2>Cells</h2>")[2].partition("<details")[0]
    return drawings.count("stroke-dasharray")


def test_undecided_choices_are_dashed_and_listed(tmp_path):
    """The fake search moves all alphas alike, so a confidence of the test's own is stored."""
    folder = search(tmp_path / "run", restart_every=2)
    assert dashed_lines(page_of(folder)) == 0
    genotype = load_genotype(folder / files.GENOTYPE)
    choices = {
        cell: tuple((*pair, 0.5 if number == 3 else 1.0) for number, pair in enumerate(pairs))
        for cell, pairs in (("normal", genotype.normal), ("reduce", genotype.reduce))
    }
    save_confidence(folder, Confidence(3, 200, choices))
    page = page_of(folder)
    assert dashed_lines(page) == 4
    assert "<span>undecided choice</span>" in page
    assert "14 of 16 choices are decided: made in at least 90% of 200 resamples" in page
    assert len(re.findall(r"<td[^>]*>50%</td>", page)) == 2
    assert ".signs .dashed" in static("report.css")
