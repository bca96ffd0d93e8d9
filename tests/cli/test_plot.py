"""`darts-tf plot`, and the picture of `inspect`."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from cli_helpers import one_line_of_wrong_use
from picture_strategies import SVG
from run_folders import begin

from darts_tf.cli.commands import plot
from darts_tf.cli.main import main
from darts_tf.plots import figures, films
from darts_tf.plots.figures import picture, plot_genotype, plot_supernet
from darts_tf.runs import files
from darts_tf.runs.alphas import extend_history, load_alphas, save_alphas
from darts_tf.runs.metrics import append_metrics
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def searched(here):
    """The folder of a search, next to those of a search on text and of one in stages."""
    folder = begin(here / "found", preset="tiny", dataset="digits", limit=64, relaxation="sigmoid")
    alphas = np.random.default_rng(0).normal(size=(3, 2, 5, 8))
    for epoch, each in enumerate(alphas):
        extend_history(folder, epoch, *each)
    save_alphas(folder, *alphas[-1])
    return folder


def last_line(capsys):
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("suffix", plot.PICTURES)
def test_a_genotype_becomes_the_library_s_picture(here, capsys, suffix):
    assert main(["plot", "PDARTS", "-o", f"new/cell.{suffix}", "--dark", "--cell", "normal"]) == 0
    title = "PDARTS, 97.50 % on CIFAR-10 as published"
    expected = picture(plot_genotype("PDARTS", cell="normal", title=title, dark=True), suffix)
    assert (here / "new" / f"cell.{suffix}").read_bytes() == expected
    assert last_line(capsys) == f"picture: new/cell.{suffix}"
    assert [path.name for path in (here / "new").iterdir()] == [f"cell.{suffix}"]


def test_suffixes_are_those_that_the_library_can_write():
    assert set(plot.PICTURES) == set(figures.FORMATS)
    assert set(plot.FILMS) == set(films.FORMATS)


@pytest.mark.parametrize(
    ("more", "name"),
    [
        (["--cell", "normal"], "DARTS_V2-normal.svg"),
        (["--recurrent", "--dark"], "DARTS_V2-recurrent-dark.svg"),
    ],
)
def test_without_output_the_file_is_named_after_the_genotype(here, capsys, more, name):
    assert main(["plot", "DARTS_V2", *more]) == 0
    assert last_line(capsys) == f"picture: {name}"
    ElementTree.fromstring((here / name).read_bytes())
    line = one_line_of_wrong_use(capsys, ["plot", "DARTS_V2", *more])
    assert f"Expected output to be a new file (or --overwrite). Received: {name}" in line


def test_a_file_is_replaced_where_that_is_asked_for(here):
    (here / "ENAS.svg").write_text("")
    assert main(["plot", "ENAS", "--recurrent", "-o", "ENAS.svg", "--overwrite"]) == 0
    assert (here / "ENAS.svg").stat().st_size > 1000


def test_files_of_both_kinds_are_drawn(here):
    GENOTYPES["DARTS_V1"].save("cell.json")
    RECURRENT_GENOTYPES["ENAS"].save("text.json")
    for name, genotype in (("cell", GENOTYPES["DARTS_V1"]), ("text", RECURRENT_GENOTYPES["ENAS"])):
        assert main(["plot", f"{name}.json"]) == 0
        expected = picture(plot_genotype(genotype, title=name), "svg")
        assert (here / f"{name}.svg").read_bytes() == expected


def test_a_run_s_cells_supernet_and_film(searched, here, capsys):
    GENOTYPES["PDARTS"].save(searched / files.GENOTYPE)
    assert main(["plot", str(searched)]) == 0
    assert last_line(capsys) == "picture: found.svg"
    (searched / files.GENOTYPE).unlink()
    alphas = load_alphas(searched)
    assert main(["plot", "found", "--supernet"]) == 0
    expected = plot_supernet(alphas, relaxation="sigmoid", title="found on digits")
    assert (here / "found-supernet.svg").read_bytes() == picture(expected, "svg")
    assert main(["plot", "found", "--animate", "--cell", "reduce"]) == 0
    root = ElementTree.fromstring((here / "found-reduce-search.svg").read_bytes())
    assert root.findall(f".//{SVG}animate")
    assert "found on digits: epoch 3 of 3" in root.get("aria-label")
    assert main(["plot", "found", "--animate", "-o", "film.gif"]) == 0
    assert (here / "film.gif").read_bytes().startswith(b"GIF89a")


def test_the_chosen_cells_are_those_that_the_supernet_s_picture_marks(searched, here):
    five = np.random.default_rng(1).normal(size=(2, 20, 8))  # five nodes, as in the genotype
    save_alphas(searched, *five)
    GENOTYPES["NASNet"].save(searched / files.GENOTYPE)
    assert main(["plot", "found", "--supernet", "--cell", "normal"]) == 0
    words = ElementTree.fromstring((here / "found-normal-supernet.svg").read_bytes())
    assert "sep_conv_5x5 from input 1 to node 2" in words.get("aria-label")


def test_a_search_on_a_text(searched, here):
    (searched / files.VOCABULARY).write_text("a\n")
    save_alphas(searched, np.zeros((6, 5)))
    assert main(["plot", "found", "--supernet"]) == 0
    label = ElementTree.fromstring((here / "found-supernet.svg").read_bytes()).get("aria-label")
    edges = ", ".join(f"tanh from input 0 to node {node}" for node in (1, 2, 3))
    assert label == f"found on digits; recurrent cell: {edges}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected a genotype, its file or a run's folder. Received: none"),
        (["DARTS_V3"], "Did you mean 'DARTS_V"),
        (["DARTS_V2", "-o", "a.jpg"], "one of .svg, .png, .pdf, .gif. Received: a.jpg"),
        (["DARTS_V2", "-o", "svg"], "one of .svg, .png, .pdf, .gif. Received: svg"),
        (["found", "--animate", "-o", "a.png"], "one of .svg, .gif. Received: a.png"),
        (["DARTS_V2", "--supernet"], "Expected a search's folder for --supernet. Received: DARTS"),
        (["DARTS_V2", "--animate"], "Expected a search's folder for --animate. Received: DARTS"),
        (["found", "--animate", "--supernet"], "one of --supernet and --animate. Received: both"),
        (["found"], "Received: found, a folder without genotype.json"),
        (["empty", "--supernet"], "Expected a file with the arrays normal and reduce"),
        (["empty", "--animate"], "Expected a file with the alphas of every epoch"),
        (["DARTS_V2", "-o", "bad.json/a.svg"], "Expected output in a folder"),
        (["bad.json"], "Expected a JSON object with the keys normal, normal_concat"),
        (["DARTS_V2", "--cell", "nrmal"], "Expected --cell to be one of normal, reduce, both"),
        (["DARTS_V2", "--drak"], "Did you mean --dark?"),
        (["staged", "--supernet"], "Expected one stage of this search, such as staged/stages/10"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(searched, here, capsys, arguments, message):
    (here / "empty").mkdir()
    (here / "bad.json").write_text("{}")
    for stage in ("1", "10", "9"):
        (here / "staged" / files.STAGES / stage).mkdir(parents=True)
    save_alphas(here / "staged", *np.zeros((2, 14, 8)))
    before = sorted(here.rglob("*"))
    assert message in one_line_of_wrong_use(capsys, ["plot", *arguments])
    assert sorted(here.rglob("*")) == before


def test_neither_tensorflow_nor_pyplot_is_started(here):
    run = "import sys; from darts_tf.cli.main import main; main(['plot', 'PDARTS'])"
    code = f"{run}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"tensorflow", "keras", "sklearn", "matplotlib.pyplot"} & set(done.stdout.split())


def test_inspect_draws_too(here, capsys):
    command = ["inspect", "--genotype", "DARTS_V1", "--recurrent", "--picture", "cell.svg"]
    assert main(command) == 0
    assert last_line(capsys) == "picture: cell.svg"
    expected = picture(plot_genotype(RECURRENT_GENOTYPES["DARTS_V1"]), "svg")
    assert (here / "cell.svg").read_bytes() == expected
    line = one_line_of_wrong_use(capsys, command)
    assert "Expected picture to be a new file. Received: cell.svg, a file that is there" in line


def test_titles_have_the_data_set_and_the_accuracy(searched, here):
    for epoch in range(3):
        append_metrics(searched, {"epoch": epoch, "valid_accuracy": 0.5 + 0.125 * epoch})
    derive(*load_alphas(searched), relaxation="sigmoid").save(searched / files.GENOTYPE)
    result = "supernet's validation accuracy 75.00 %"
    for argument, title in (
        ("--cell=normal", f"found on digits, {result}; "),
        ("--supernet", f"found on digits, {result}; "),
        ("--animate", f"found on digits: epoch 3 of 3, {result}; "),
    ):
        assert main(["plot", "found", argument, "-o", "a.svg", "--overwrite"]) == 0
        label = ElementTree.fromstring((here / "a.svg").read_bytes()).get("aria-label")
        assert label.startswith(title)


def test_title_of_a_file_or_recurrent_cell_has_no_published_accuracy(here):
    GENOTYPES["PDARTS"].save("PDARTS.json")
    for arguments in (["PDARTS.json"], ["DARTS_V2", "--recurrent"]):
        assert main(["plot", *arguments, "-o", "a.svg", "--overwrite"]) == 0
        label = ElementTree.fromstring((here / "a.svg").read_bytes()).get("aria-label")
        assert "published" not in label
