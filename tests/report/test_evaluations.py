"""Results by class on a page: numbers, a heat map, mistakes with their pictures."""

from __future__ import annotations

import re

import fake_runs
import numpy as np
import pytest
from fake_evaluations import PIXEL, evaluation
from html_parser import Page

from darts_tf.report.evaluations import confusion_map, results_by_class
from darts_tf.report.page import write_report
from darts_tf.runs import files
from darts_tf.runs.evaluations import ClassResult, Confusion, evaluation_path, save_evaluation


def shown(html: str) -> str:
    return " ".join(" ".join(Page(html).cells).split())


@pytest.fixture
def run(tmp_path):
    return fake_runs.training(tmp_path / "run")


def page_of(folder) -> str:
    return write_report([folder]).read_text(encoding="utf-8")


def test_page_of_a_training_shows_its_test_and_others(run):
    save_evaluation(evaluation_path(run), evaluation())
    other = evaluation(dataset="/data/other", own=False, accuracy=0.25)
    save_evaluation(evaluation_path(run, "/data/other"), other)
    part = evaluation(limit=10)
    save_evaluation(evaluation_path(run, None, 10), part)
    text = page_of(run)
    headings = re.findall("<h2>(Test.*?)</h2>", text)
    assert headings[0] == "Test by class"
    assert sorted(headings[1:]) == ["Test by class, at most 10 images", "Test on /data/other"]
    assert "balanced accuracy 66.67 %" in shown(text)
    assert "a 6 75.0 50.0 60.0 c (2)" in shown(text)


def test_result_of_fewer_epochs_is_called_so(run):
    save_evaluation(evaluation_path(run), evaluation(epochs=3))
    words = "Test by class, before it was trained further (after 3 epochs)"
    assert f"<h2>{words}</h2>" in page_of(run)


def test_pictures_are_in_the_page(run):
    save_evaluation(evaluation_path(run), evaluation())
    sources = [value for name, value in Page(page_of(run)).attributes if name == "src"]
    assert sources == [PIXEL, PIXEL]
    assert "taken for c, 98\N{NO-BREAK SPACE}%" in page_of(run)
    assert 'title="photos/c/1.jpg"' in page_of(run)


def test_page_without_a_test_says_how_to_make_one(run, tmp_path):
    assert f"darts-tf evaluate --workdir {run}" in shown(page_of(run))
    unfinished = fake_runs.training(tmp_path / "other")
    (unfinished / files.MODEL).unlink()
    assert "darts-tf evaluate" not in page_of(unfinished)
    assert "darts-tf evaluate" not in page_of(fake_runs.search(tmp_path / "search"))


def test_heat_map_has_every_count_at_its_place():
    svg = confusion_map("abc", ((3, 1, 2), (0, 4, 0), (1, 1, 2)))
    counts = re.findall(r'class="count" x="([\d.]+)" y="([\d.]+)".*?>(\w+)<', svg)
    columns = sorted({float(x) for x, _, _ in counts})
    matrix = np.zeros((3, 3), int)
    for x, y, images in counts:
        matrix[columns.index(float(y)), columns.index(float(x))] = int(images)  # it is symmetric
    assert matrix.tolist() == [[3, 1, 2], [0, 4, 0], [1, 1, 2]]
    assert svg.count('class="right"') == 3
    assert "<title>a: 2 of 6 taken for c</title>" in svg
    # a cell's strength is the share of its row
    strengths = re.findall(r'fill-opacity="([\d.]+)"', svg)
    assert strengths[0] == f"{0.08 + 0.52 * 3 / 6:.2f}"


def test_heat_map_of_many_classes_has_no_numbers():
    svg = confusion_map([str(i) for i in range(100)], np.eye(100, dtype=int).tolist())
    assert 'class="count"' not in svg
    assert svg.count('class="right"') == 100


def test_long_names_differ_beside_the_heat_map():
    svg = confusion_map([f"a very long name {i}" for i in range(2)], ((1, 0), (0, 1)))
    shortened = re.findall(">(a very….*?)<", svg)
    assert shortened == ["a very… name 0"] * 2 + ["a very… name 1"] * 2
    assert "<title>a very long name 1: 1 of 1 classified correctly</title>" in svg


def test_counts_fit_their_cells():
    counts = [9_999, 10_000, 1_234_567, 10**9, 10**12, 10**14]
    svg = confusion_map("abcdef", np.diag(counts).tolist())
    texts = re.findall(r'class="count".*?>([^<]+)<', svg)
    assert texts == ["9999", "10k", "1M", "1G", "∞", "∞"]


def test_many_classes_are_listed_by_their_f1():
    classes = tuple(ClassResult(f"class {i}", 5, 0.5, 0.5, i / 150) for i in range(150))
    confusions = (Confusion("class 3", "class 4", 5),)
    html = results_by_class(
        evaluation(classes=classes, confusion_matrix=None, confusions=confusions, mistakes=())
    )
    before, _, after = html.partition("All 150 classes")
    assert "The 20 worst of 150 classes" in before
    assert before.count('data-column="class"') == 20
    assert after.count('data-column="class"') == 150 + 1
    assert "class 3 class 4 5" in shown(html)
    assert "made no mistakes" in shown(html)


def test_names_are_escaped():
    hostile = fake_runs.HOSTILE
    classes = tuple(ClassResult(hostile + str(i), 1, 1.0, 1.0, 1.0) for i in range(3))
    html = results_by_class(evaluation(classes=classes, dataset=hostile))
    assert "<script" not in html
    assert "script" not in Page(html).tags


def test_doubts_of_imported_weights_come_from_their_test(run):
    (run / files.METRICS).unlink()
    save_evaluation(evaluation_path(run), evaluation(accuracy=6 / 14, epochs=0))
    assert "43 % is no better than chance" in shown(page_of(run)).replace("42.9", "43")
