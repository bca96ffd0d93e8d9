"""Reports of runs: complete, escaped, in one file, for every kind of run."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from fake_runs import (
    HOSTILE,
    SKIPS,
    comparison,
    described,
    export,
    lines,
    search,
    study,
    text_search,
    training,
)
from html_parser import Page
from mostly_slow import mostly_slow

from darts_tf import configs
from darts_tf.cli.main import main
from darts_tf.errors import InputError
from darts_tf.report.findings import signs, state, verdict
from darts_tf.report.page import render, write_report
from darts_tf.report.run import run_of
from darts_tf.runs import files as run_files
from darts_tf.runs.alphas import save_alphas
from darts_tf.spaces.genotype import Genotype

ROOT = pathlib.Path(__file__).resolve().parents[2]


def page_of(folder, *more, **options) -> str:
    return write_report([folder, *more], **options).read_text(encoding="utf-8")


def shown(page: str) -> str:
    """Returns the text of a page in one line."""
    return " ".join(" ".join(Page(page).cells).split())


def asked_for(text: str) -> list[str]:
    """Lists the external resources that a page would load."""
    names = {name for name, _ in Page(text).attributes}
    links = [value for name, value in Page(text).attributes if name.endswith("href")]
    found = sorted(names & {"src", "srcset", "action", "poster"})
    found += [link for link in links if not link.startswith("#")]
    return found + re.findall(r"url\([^#]|@import|<link|fetch\(|XMLHttp", text)


def protocol(folder):
    config = configs.SelectConfig(workdir=folder, dataset="digits", seeds=(0, 1), final_seeds=(0,))
    described(folder, config)
    for seed in config.seeds:
        place = search(folder / "search" / f"seed-{seed}", 2, seed=seed)
        genotype = dataclasses.asdict(Genotype.from_json((place / run_files.GENOTYPE).read_bytes()))
        found = {"genotype": genotype, "valid_accuracy": 0.5 + 0.1 * seed, "seconds": 4.0}
        run_files.write_json(place / run_files.RESULT, found)
    return folder


def staged(folder):
    config = configs.SearchConfig(
        workdir=folder, epochs=2, stages=("3:8:0", "4:8:0"), overwrite=True
    )
    described(folder, config)
    for number in range(2):
        search(config.stage(number).workdir, 2)
    return folder


def perturbed(folder):
    search(folder, 2, selection="perturbation")
    said = "INFO normal edge 0 to 2: sep_conv_3x3 (accuracy without none 3.12%, x 4.00%)"
    (folder / run_files.LOG).write_text(f"2026-01-02 03:04:05,678 {said}\n" * 2)
    return folder


KINDS = {
    "search": (search, ("6 of 6 epochs", "parameters", "Alphas by epoch")),
    "search on text": (text_search, ("Recurrent cell", "multiply-adds per word", "Perplexity")),
    "search with partial channels": (
        lambda folder: search(folder, 2, partial_channels=4),
        ("share of the edge",),
    ),
    "search in stages": (staged, ("Finished: stage 2 of 2", "Stages")),
    "search by perturbation": (perturbed, ("1 of 36 choices", "normal edge 0 to 2")),
    "training": (training, ("test accuracy", "60.00 %")),
    "protocol": (protocol, ("Not finished: 2 of 5 runs", "search seed", "60.00")),
    "comparison": (comparison, ("88.75 ± 0.50", "what the columns mean", "DARTS_V1")),
    "study": (study, ("3 of 4 trials", "Best validation accuracy so far", "0.03")),
    "search not begun": (lambda folder: search(folder, done=0), ("Not finished: 0 of 6 epochs",)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_has_a_page_that_says_what_it_is(kind, tmp_path):
    make, said = KINDS[kind]
    text = page_of(make(tmp_path / "run"))
    for each in said:
        assert each in shown(text), each
    assert f"darts-tf {run_of(tmp_path / 'run').config.command} " in shown(text)
    assert asked_for(text) == []


def test_page_is_the_same_for_the_same_files(tmp_path):
    search(tmp_path / "run")
    assert page_of(tmp_path / "run") == page_of(tmp_path / "run")


def test_unfinished_and_stopped_runs_say_so(tmp_path):
    half = run_of(search(tmp_path / "half", done=3))
    assert state(half) == ("Not finished: 3 of 6 epochs.", True)
    stopped = run_of(search(tmp_path / "stopped", epochs=30, done=5, stop_skips=3))
    assert stopped.stop.kept == 3
    assert "stopped after epoch 5: the normal cell has 4 skip" in state(stopped).words
    assert 'value="3"' in render(stopped)  # the slider starts at the kept epoch


def test_degenerate_cells_and_indicators_are_told_in_words(tmp_path):
    folder = search(tmp_path / "run")
    described(folder, run_of(folder).config, **MANY)
    SKIPS.save(folder / run_files.GENOTYPE)
    found = [sign.words for sign in signs(run_of(folder)) if sign.bad]
    assert found[0] == "Degenerate: the normal cell is 8 of 8 skip connections."
    assert "by the alphas: 0 of 8 after the first epoch, 5 after the last" in found[1]
    assert "from 1 to 6, 6.00 times" in found[2]
    assert "loses 25.0 points" in found[3]
    assert len(found) == 4


MANY = {"images": {"train": 2000, "test": 1000}}


def test_a_sound_search_has_nothing_to_worry_about(tmp_path):
    run = run_of(text_search(tmp_path / "run"))
    assert not [sign for sign in signs(run) if sign.bad]
    assert verdict(run) == ("Sound: nothing was found that speaks against this result.", False)


def test_verdict_is_never_sound_with_a_doubt(tmp_path):
    folder = training(tmp_path / "run")  # 60 % of 32 images
    described(folder, run_of(folder).config, **MANY)
    assert verdict(run_of(folder)).words.startswith("Sound")
    described(folder, run_of(folder).config, images={"train": 900, "test": 32})
    assert verdict(run_of(folder)) == ("Doubtful, for 2 reasons.", True)
    text = page_of(folder)
    before, _, after = text.partition("Doubtful, for 2 reasons.")
    assert "<h2>Soundness</h2>" in before
    assert "<li class=bad>Only 900 training images of 10 classes, 90 per class" in after
    assert "on 32 images only" in after
    unfinished = run_of(training(tmp_path / "other", epochs=4))
    (unfinished.folder / run_files.METRICS).unlink()
    assert run_of(unfinished.folder).doubts == ()


def test_search_with_alphas_as_they_began_is_doubtful(tmp_path):
    folder = search(tmp_path / "run", 2)
    described(folder, run_of(folder).config, **MANY)
    save_alphas(folder, np.zeros((14, 8)), np.zeros((14, 8)))
    (folder / run_files.METRICS).unlink()
    good = {"accuracy": 0.9, "valid_accuracy": 0.9, "entropy_normal": 2.076}
    lines(folder, [good, good])
    run = run_of(folder)
    assert verdict(run) == ("Doubtful, for one reason.", True)
    words = [sign.words for sign in signs(run)]
    assert words[0].startswith("The cells are practically the draw that the search began with")
    assert any("practically no edge is decided" in each for each in words)


def test_texts_of_files_are_escaped(tmp_path):
    folder = training(tmp_path / "run")
    described(folder, configs.TrainConfig(workdir=folder, genotype=HOSTILE, dataset=HOSTILE))
    described(folder, run_of(folder).config, name=HOSTILE)
    lines(folder, [{HOSTILE: 1.0}])
    said = f"2026-01-02 03:04:05,678 WARNING {HOSTILE}\n"
    (folder / run_files.LOG).write_text(said, encoding="utf-8")
    text = page_of(folder, export=export(tmp_path / "export"))
    assert Page(text).tags.count("script") == 1  # the page's own
    assert shown(text).count("<script>alert('x')</script>&") >= 5


def test_settings_of_its_own_come_first_and_all_can_be_unfolded(tmp_path):
    text = page_of(search(tmp_path / "run", channels=24))
    before, _, after = text.partition("settings with the preset value")
    assert '<td data-column="setting">channels</td><td data-column="here">24</td>' in before
    assert '<td data-column="setting">momentum</td>' in after


def test_a_study_of_settings_tells_the_command_of_its_best_ones(tmp_path):
    folder = study(tmp_path / "run")
    search(folder / "trials" / "0002", 2, learning_rate=0.03)
    run_files.write_json(folder / run_files.BEST, {"trial": "0002"})
    assert "--epochs 2 --learning-rate 0.03 --workdir DIR" in shown(page_of(folder))
    run_files.write_json(folder / run_files.BEST, {"trial": "../0002"})
    refused("best.json", [folder])


def test_versions_and_warnings_come_from_the_log(tmp_path):
    folder = search(tmp_path / "run", 2)
    log = [
        "2026-01-02 03:04:05,678 INFO versions: python 3.11, keras 3.12",
        "no line of a log",
        "2026-01-02 03:04:06,678 WARNING it is late",
        "2026-01-02 03:04:07,678 INFO epoch 1 took 0.1 s",
    ]
    (folder / run_files.LOG).write_text("\n".join(log) + "\n")
    found = run_of(folder).log
    assert (found.begun, found.ended) == ("2026-01-02 03:04:05", "2026-01-02 03:04:07")
    assert found.versions == ("python 3.11, keras 3.12",)
    assert found.warnings == ("2026-01-02 03:04:06: it is late",)
    assert "With python 3.11, keras 3.12." in shown(page_of(folder))


def test_an_export_of_the_same_cells_is_found_beside_the_run(tmp_path):
    folder = training(tmp_path / "train")
    assert "model_float32.tflite" not in page_of(folder)
    export(tmp_path / "other", genotype=SKIPS)
    assert "model_float32.tflite" not in page_of(folder)
    export(tmp_path / "export")
    assert "accuracy 87.5%" in shown(page_of(folder))
    assert "accuracy 87.5%" in shown(page_of(folder, export=tmp_path / "other"))


def test_several_runs_are_compared(tmp_path):
    folders = [search(tmp_path / "one", 3), search(tmp_path / "two", 4, channels=24, seed=7)]
    output = write_report(folders)
    assert output == tmp_path / "report.html"
    text = output.read_text()
    table = text.partition("Settings that differ")[2].partition("</table>")[0]
    names = re.findall(r'data-column="setting">(\w+)<', table)
    assert names == ["epochs", "seed", "channels"]
    assert text.count('data-column="run"') == 2
    assert text.count("darts-tf search --dataset") == 2
    chart = text.partition("Accuracy (%), valid")[2].partition("</figure>")[0]
    assert chart.count('class="line') == 2


def test_many_runs_are_below_each_other(tmp_path):
    folders = [search(tmp_path / str(i), 1, seed=i, channels=24) for i in range(3)]
    text = page_of(*folders)
    table = text.partition("Settings that differ")[2].partition("</table>")[0]
    assert re.findall(r'data-column="(\w+)">(\w+)<', table) == [
        *(("run", "0"), ("seed", "0"), ("run", "1"), ("seed", "1"), ("run", "2"), ("seed", "2"))
    ]


def test_runs_of_one_name_are_told_apart(tmp_path):
    folders = [search(tmp_path / name / "run", 1) for name in ("a", "b")]
    text = page_of(*folders, output=tmp_path / "out.html")
    assert {"a/run", "b/run"} <= set(Page(text).cells)


# Invalid input


def refused(words, folders, **options):
    with pytest.raises(InputError, match=words) as error:
        write_report(folders, **options)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_run_is_refused_with_those_inside(tmp_path):
    search(tmp_path / "demo" / "search", 1)
    search(tmp_path / "demo" / "train", 1)
    refused("which contains the runs search, train", [tmp_path / "demo"])
    refused("which is not there", [tmp_path / "nothing"])


def test_a_run_twice_and_an_export_of_several_are_refused(tmp_path):
    folder = search(tmp_path / "run", 1)
    refused("each run once", [folder, tmp_path / "run" / ".." / "run"])
    other = search(tmp_path / "other", 1)
    refused("one run with an export", [folder, other], export=tmp_path)
    refused("an export's folder", [folder], export=tmp_path)


def test_what_is_no_report_is_not_replaced(tmp_path):
    folder = search(tmp_path / "run", 1)
    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html><p>my thesis</p>")
    refused("an earlier report", [folder], output=mine)
    assert mine.read_text().endswith("thesis</p>")
    refused("is a file", [folder], output=mine / "report.html")
    refused("a folder", [folder], output=tmp_path)


def test_a_failure_leaves_the_earlier_report(tmp_path):
    folder = search(tmp_path / "run", 1)
    before = page_of(folder)
    (folder / run_files.METRICS).write_text("[]\n")
    refused("metrics.jsonl, line 1", [folder])
    assert (folder / run_files.PAGE).read_text() == before
    assert not list(folder.glob(f".{run_files.PAGE}*"))


RUBBISH = (
    *("", "[]", "{}", "null", "7", '"text"', "{" * 50, "\x00\xff", "[[[1]]]", "nan"),
    *('{"epoch": -1}', '{"epoch": 1e400}', '{"name": {}}', "a,b\n1\n"),
)


@mostly_slow(1, "kind", ["search", "training", "protocol", "comparison", "study"])
def test_rubbish_in_any_file_is_one_line_or_no_harm(kind, tmp_path, capsys):
    folder = KINDS[kind][0](tmp_path / "run")
    export(tmp_path / "export")
    files = [p for p in folder.rglob("*") if p.is_file() and "seed-1" not in p.parts]
    for path in (*files, tmp_path / "export" / "export_report.json"):
        kept = path.read_bytes()
        for rubbish in RUBBISH:
            path.write_text(rubbish + "\n", encoding="latin-1")
            status = main(["report", str(folder)])
            said = capsys.readouterr()
            assert status in (0, 2), (path, rubbish, said.err)
            assert len(said.err.splitlines()) == (status == 2), (path, rubbish, said.err)
            assert "Traceback" not in said.err
        path.write_bytes(kept)


def test_numbers_that_are_none_are_left_out(tmp_path):
    folder = training(tmp_path / "run", 1)
    bad = '{"epoch": 0, "loss": null, "test_loss": 1e999, "accuracy": "high", "x": [1], "y": true}'
    (folder / run_files.METRICS).write_text(f"{bad}\n")
    text = page_of(folder)
    assert '<figure class="chart"' not in text


# The command


def test_program_starts_no_tensorflow(tmp_path):
    folder = search(tmp_path / "run", 1)
    code = (
        "import sys; from darts_tf.cli.main import main; "
        f"status = main(['report', {str(folder)!r}, '-o', {str(tmp_path / 'page.html')!r}]); "
        "print(status, *{'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n") == [f"report: {tmp_path / 'page.html'}", "0", ""]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "one folder of a run or more"),
        (["nowhere"], "with its config.json. Received: 'nowhere', which is not there"),
        (["a", "--outptu", "b"], "Did you mean --output"),
    ],
    ids=["none", "nowhere", "flag"],
)
def test_wrong_use_is_one_line(argv, words, capsys):
    assert main(["report", *argv]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_a_run_with_a_report_can_be_overwritten(tmp_path):
    from darts_tf.runs import folder as run_folder

    folder = search(tmp_path / "run", 1)
    page_of(folder)
    run_folder.check_workdir(folder, overwrite=True)
