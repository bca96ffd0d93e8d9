"""`darts-tf select`: its output, stopping and resuming, and one real protocol."""

from __future__ import annotations

import pytest
from cli_helpers import one_line_of_wrong_use
from fake_protocol_runs import begin, leave

from darts_tf.cli.commands import select as program
from darts_tf.cli.main import main
from darts_tf.runs import files
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.signals import Interrupted
from darts_tf.studies import protocol

DIGITS = ("--preset", "tiny", "--dataset", "digits")
TINY = (*DIGITS, "--seeds", "0,3", "--final-seeds", "1,2")
JOBS = (
    *("search/seed-0", "search/seed-3", "brief/seed-0", "brief/seed-3"),
    *("final/search-3-seed-1", "final/search-3-seed-2"),
)


def test_protocol_that_is_stopped_in_every_run_repeats_none(tmp_path, monkeypatch, capsys):
    folder, seen = tmp_path / "all", []

    def run(config):
        seen.append((config.workdir.relative_to(folder).as_posix(), config.resume))
        if not config.resume:
            begin(config)
            raise Interrupted("")
        leave(config)

    monkeypatch.setattr(program, "_run", run)
    monkeypatch.setattr(protocol, "_size", lambda *given: {"params": 1, "macs": 1})
    assert main(["select", *TINY, "--workdir", str(folder)]) == 130
    kept = f"; completed work is kept, and --workdir {folder} --resume resumes it"
    assert capsys.readouterr().err == f"darts-tf: stopped{kept}\n"
    statuses = [main(["select", "--workdir", str(folder), "--resume"]) for _ in JOBS]
    assert statuses == [130] * 5 + [0]
    assert seen == [(job, resume) for job in JOBS for resume in (False, True)]
    out = capsys.readouterr().out
    assert f"search, seed 3 (2 of 2): {folder / 'search' / 'seed-3'}, resumed" in out
    assert "best: search seed 3, test accuracy 97.50 ± 0.71 % (seed 1: 97.00, seed 2: 98.00)" in out
    trained = folder / "final" / "search-3-seed-1"
    assert out.splitlines()[-3:] == [
        f"report: {folder / 'select.json'} and {folder / 'select.md'}",
        f"genotype: {folder / 'genotype.json'}",
        f"next: darts-tf export {trained} --output {folder}-export",
    ]
    assert main(["select", "--workdir", str(folder), "--resume"]) == 0
    assert len(seen) == 12


def test_wrong_use_is_told_in_one_line(tmp_path, capfd, monkeypatch):
    wrong = {
        ("--dataset", "pydoc"): "Expected a dataset of images. Received: dataset='pydoc', a text",
        ("--train", "epoch=5"): "Did you mean 'epochs'?",
        ("--preset", "p-darts", "--dataset", "digits"): "p-darts",
        ("--resume",): "Expected workdir to hold a run to resume",
        ("--validation-split", "0"): "Expected validation_split above 0",
    }
    folder = tmp_path / "all"
    for words, message in wrong.items():
        words = [*words, *(() if "--dataset" in words or "--resume" in words else DIGITS[2:])]
        line = one_line_of_wrong_use(capfd, ["select", *words, "--workdir", folder])
        assert message in line
    assert not folder.exists()
    (tmp_path / "thesis.txt").write_text("")
    line = one_line_of_wrong_use(capfd, ["select", *DIGITS, "--workdir", tmp_path])
    assert "Expected workdir to be a new or empty folder (or --overwrite, or --resume)" in line
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 0}}')
    line = one_line_of_wrong_use(capfd, ["select", *DIGITS, "--workdir", folder])
    assert "Expected one worker" in line


def test_protocol_has_ordinary_runs(tmp_path, capsys, monkeypatch, one_node):
    monkeypatch.chdir(tmp_path)
    settings = ["arch_gradient=first_order", f"space={one_node}"]
    words = ["--seeds", "1", "--final-seeds", "2", "--search", *settings]
    assert main(["select", *DIGITS, *words, "--workdir", "all"]) == 0
    found = files.read_json(tmp_path / "all" / "select.json")
    final = tmp_path / "all" / "final" / "search-1-seed-2"
    (only,) = found["candidates"]
    brief = read_metrics(tmp_path / "all" / only["brief"])[-1]
    assert only["valid_accuracy"] == brief["valid_accuracy"]
    assert "test_accuracy" not in brief
    error = 100 * (1 - read_metrics(final)[-1]["test_accuracy"])
    assert found["best"]["test_error"] == pytest.approx(error)
    assert files.read_json(tmp_path / "all/search/seed-1/config.json")["arch_gradient"] == (
        "first_order"
    )
    genotypes = [tmp_path / "all" / name / "genotype.json" for name in ("", "search/seed-1", final)]
    assert len({path.read_text() for path in genotypes}) == 1
    accuracy = 100 - error
    assert f"{accuracy:.2f} % (seed 2: {accuracy:.2f})" in capsys.readouterr().out
    assert min(stage["seconds"] for stage in found["stages"].values()) > 0
