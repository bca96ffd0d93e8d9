"""The paper's protocol: its runs and processes, its choice, and its report, by hand."""

from __future__ import annotations

import dataclasses
import json
import statistics

import fake_protocol_runs
import pytest
from fake_protocol_runs import FOUND, SUPERNET, VALID, begin, leave, lines, worker

from darts_tf.configs import SelectConfig
from darts_tf.errors import InputError, InUse
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.metrics import append_metrics, append_time
from darts_tf.runtime import atomic
from darts_tf.runtime.signals import Diverged
from darts_tf.spaces.collapse import describe_collapse
from darts_tf.spaces.genotype import Genotype
from darts_tf.studies import protocol, protocol_report
from darts_tf.studies.protocol import select

SIZE = {"params": 3_000_000, "macs": 500_000_000}

TINY = {"preset": "tiny", "dataset": "digits"}


@pytest.fixture
def no_networks(monkeypatch):
    """Replaces the measurement of networks, so that none is built."""
    monkeypatch.setattr(protocol, "_size", lambda *given: SIZE)


def done(config, said=None) -> tuple[dict, list[str]]:
    """Runs a protocol; returns its report and the folders of the runs it started."""
    did = []

    def run(each):
        did.append(each.workdir.relative_to(config.workdir).as_posix())
        leave(each)

    said = [] if said is None else said
    return select(config, run, said.append), did


SKIPS = Genotype(
    normal=(("skip_connect", 0), ("skip_connect", 1)) * 4,
    normal_concat=(2, 3, 4, 5),
    reduce=FOUND[0].reduce,
    reduce_concat=FOUND[0].reduce_concat,
)


# Runs and messages


def test_text_is_refused_before_anything_is_written(tmp_path):
    config = SelectConfig(workdir=tmp_path / "all", dataset="pydoc")
    with pytest.raises(InputError, match="a dataset of images. Received: dataset='pydoc', a text"):
        done(config)
    assert not config.workdir.exists()


def test_report_has_what_a_hand_computes(tmp_path, monkeypatch, no_networks):
    monkeypatch.setattr(fake_protocol_runs, "FOUND", (*FOUND[:3], SKIPS))
    config = SelectConfig(workdir=tmp_path / "all", **TINY)
    found, did = done(config)
    stages = (("search", range(4)), ("brief", range(4)), ("final", range(3)))
    assert did == [
        f"{stage}/search-3-seed-{seed}" if stage == "final" else f"{stage}/seed-{seed}"
        for stage, seeds in stages
        for seed in seeds
    ]
    # equal accuracies are in the order of their seeds
    assert [(each["seed"], each["rank"]) for each in found["candidates"]] == [
        *((3, 1), (1, 2), (2, 3), (0, 4)),
    ]
    first = found["candidates"][0]
    assert (first["valid_accuracy"], first["supernet_valid_accuracy"]) == (VALID[3], SUPERNET[3])
    assert (first["search_seconds"], first["brief_seconds"]) == (100, 10)
    assert {name: first[name] for name in SIZE} == SIZE
    degenerate = [each["degenerate"] for each in found["candidates"]]
    assert degenerate == [describe_collapse(SKIPS), "", "", ""]
    best = found["best"]
    assert best["test_errors"] == {0: pytest.approx(4), 1: pytest.approx(3), 2: pytest.approx(2)}
    assert (best["test_error"], best["test_error_deviation"]) == pytest.approx((3, 1))
    assert {name: stage["seconds"] for name, stage in found["stages"].items()} == {
        **{"search": 400, "brief": 40, "final": 3},
    }
    assert found["seconds"] == 443
    stored = files.read_json(config.workdir / "select.json")
    assert stored["candidates"][0]["genotype"] == json.loads(SKIPS.to_json())
    assert stored["best"]["runs"]["1"] == "final/search-3-seed-1"
    assert Genotype.from_json((config.workdir / "genotype.json").read_text()) == SKIPS
    text = (config.workdir / "select.md").read_text().splitlines()
    assert text[2] == "| 1 | 3 | 93.75 | 75.00 | 3.00 | 500.00 | 100 | 10 |"
    assert text[5] == "| 4 | 0 | 75.00 | 50.00 | 3.00 | 500.00 | 100 | 10 |"
    accuracies = "97.00 ± 1.00 % (seed 0: 96.00, seed 1: 97.00, seed 2: 98.00)"
    assert text[7:14] == [
        f"- search seed 3: {describe_collapse(SKIPS)}",
        "- cells of two seeds share 6.0 of 16 edges on average, 1 to 11; "
        "two random cells share 1.5",
        f"- best: search seed 3, test accuracy {accuracies}",
        "- searches: 4 of 4 done, 6.7 min",
        "- brief trainings: 4 of 4 done, 40 s",
        "- full trainings: 3 of 3 done, 3 s",
        "- all: 7.4 min",
    ]


def test_what_diverges_is_ranked_last_and_the_others_go_on(tmp_path, no_networks):
    config = SelectConfig(workdir=tmp_path / "all", **TINY, seeds=(0, 1), final_seeds=(0,))
    said = []

    def run(each):
        leave(each)
        if each.workdir.parts[-2:] in (("search", "seed-0"), ("brief", "seed-1")):
            raise Diverged("three steps were not finite")

    found = select(config, run, said.append)
    assert [line for line in said if "three steps were not finite" in line]
    searched = {each["seed"]: each["supernet_valid_accuracy"] for each in found["candidates"]}
    assert (searched[0], searched[1]) == (0.0, SUPERNET[1])
    assert [each["seed"] for each in found["candidates"]] == [0, 1]
    assert found["candidates"][1]["valid_accuracy"] == 0.0
    assert found["best"]["seed"] == 0


def test_full_training_that_diverges_ends_the_protocol(tmp_path, no_networks):
    config = SelectConfig(workdir=tmp_path / "all", **TINY, seeds=(0,), final_seeds=(0,))

    def run(each):
        leave(each)
        if each.workdir.parts[-2] == "final":
            raise Diverged("three steps were not finite")

    with pytest.raises(Diverged):
        select(config, run, lambda line: None)


def test_report_says_how_far_it_is(tmp_path, no_networks):
    config = SelectConfig(workdir=tmp_path / "all", **TINY, seeds=(0, 1))
    seen = []

    def run(each):
        path = config.workdir / "select.json"
        if path.exists():
            found = files.read_json(path)
            stages = [f"{stage['done']}/{stage['of']}" for stage in found["stages"].values()]
            seen.append((*stages, [each["rank"] for each in found["candidates"]], found["best"]))
        leave(each)

    select(config, run, lambda line: None)
    none = [None, None]
    assert seen[:3] == [
        *(("1/2", "0/2", "0/3", none, None), ("2/2", "0/2", "0/3", none, None)),
        ("2/2", "1/2", "0/3", [1, None], None),
    ]
    assert seen[3][:3] == ("2/2", "2/2", "0/3")
    assert (seen[3][4]["seed"], seen[3][4]["test_error"]) == (1, None)
    assert seen[5][4]["test_errors"] == {"0": pytest.approx(4), "1": pytest.approx(3)}


def test_networks_of_a_published_cell_have_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(fake_protocol_runs, "FOUND", (fake_protocol_runs.GENOTYPES["DARTS_V2"],))
    options = {"preset": "cifar10", "seeds": (0,), "final_seeds": (0,)}
    found, _ = done(SelectConfig(workdir=tmp_path / "all", **options))
    (only,) = found["candidates"]
    assert (only["params"], only["macs"]) == (3_349_342, 528_359_040)
    assert found["best"]["test_error_deviation"] is None


# Resuming


def test_more_seeds_are_added_and_none_are_dropped(tmp_path, no_networks):
    config = SelectConfig(workdir=tmp_path / "all", **TINY, seeds=(0, 1), final_seeds=(0,))
    assert done(config)[1][-1] == "final/search-1-seed-0"
    again = dataclasses.replace(config, resume=True)
    assert done(again)[1] == []
    more = dataclasses.replace(again, seeds=(0, 1, 2, 3), final_seeds=(0, 1))
    found, did = done(more)
    assert did == [
        *("search/seed-2", "search/seed-3", "brief/seed-2", "brief/seed-3"),
        *("final/search-3-seed-0", "final/search-3-seed-1"),
    ]
    assert found["best"]["test_errors"].keys() == {0, 1}
    assert found["stages"]["final"] == {"seconds": 3, "done": 2, "of": 2}
    for fewer in ({"seeds": (0, 1, 2)}, {"final_seeds": (1,)}):
        message = f"{next(iter(fewer))} to have all of 0, 1.* Received: "
        with pytest.raises(InputError, match=message):
            done(dataclasses.replace(more, **fewer))
    assert done(more)[1] == []
    with pytest.raises(InputError, match="Expected brief_epochs=None, with which the run "):
        done(dataclasses.replace(more, brief_epochs=2))


def test_run_that_was_begun_otherwise_is_refused(tmp_path, no_networks):
    config = SelectConfig(workdir=tmp_path / "all", **TINY, seeds=(0,))
    protocol.begin(config)
    run = config.search_run(0)
    leave(dataclasses.replace(run, momentum=0.5))
    with pytest.raises(InputError, match="Expected momentum=0.5, with which the run started"):
        done(dataclasses.replace(config, resume=True))
    (run.workdir / files.CONFIG).unlink()
    fake_protocol_runs.leave(run)
    path = str(tmp_path / "other.json")
    FOUND[1].save(path)
    begin(config.brief_run(0, path))
    with pytest.raises(InputError, match="seed-0 to train the cell of .* Received: another geno"):
        done(dataclasses.replace(config, resume=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "result.json: "),
        ('{"seconds": 1, "valid_accuracy": null}', "Expected the numbers valid_accuracy, seconds"),
        (
            '{"seconds": 1, "valid_accuracy": 1}',
            "result.json: Expected a JSON object with the keys",
        ),
        ("[]", "Received: \\[\\]"),
    ],
)
def test_broken_result_is_named(tmp_path, text, message):
    folder = tmp_path / "search" / "seed-0"
    atomic.write_text(folder / files.RESULT, text)
    with pytest.raises(InputError, match=message):
        protocol_report.result_of(folder)


def test_search_in_stages_ends_with_its_last_stage(tmp_path):
    settings = SelectConfig(workdir=tmp_path, **TINY, search=("stages=3:8:0,4:3:0.4",))
    config = settings.search_run(0)
    FOUND[0].save(config.workdir / files.GENOTYPE)
    for number in range(2):
        folder = config.stage(number).workdir
        folder.mkdir(parents=True)
        append_metrics(folder, {"epoch": 0, "valid_accuracy": 0.5 + number / 4})
        append_time(folder, 0, 3.0)
    found = protocol._result(config, diverged=False)
    assert (found["valid_accuracy"], found["seconds"]) == (0.75, 6.0)


# Several processes


def test_overwrite_deletes_all_runs_but_none_under_way(tmp_path, no_networks):
    config = SelectConfig(workdir=tmp_path / "all", **TINY, seeds=(0,), final_seeds=(0,))
    done(config)
    anew = dataclasses.replace(config, overwrite=True)
    lock = config.workdir / files.CLAIMS / "brief-seed-0.lock"
    message = "no other process is running in. Received: workdir="
    with atomic.locked(lock, ""), pytest.raises(InUse, match=message):
        done(anew)
    foreign = config.workdir / "brief" / "thesis.txt"
    foreign.write_text("")
    with pytest.raises(InputError, match="nothing but the run to overwrite"):
        done(anew)
    foreign.unlink()
    assert len(done(anew)[1]) == 3


def test_run_of_another_command_is_waited_for(tmp_path, monkeypatch, no_networks):
    config = SelectConfig(workdir=tmp_path / "all", **TINY, seeds=(0,), final_seeds=(0,))
    protocol.begin(config)
    run = config.search_run(0)
    begin(run)
    held = run_folder.locked(run.workdir)
    held.__enter__()
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            held.__exit__(None, None, None)

    monkeypatch.setattr(protocol.time, "sleep", nap)
    said = []
    assert len(done(dataclasses.replace(config, resume=True), said)[1]) == 3
    assert naps == [protocol.PAUSE] * 3
    assert said[:2] == [
        "waiting for other processes, in search/seed-0",
        f"search, seed 0 (1 of 1): {run.workdir}, resumed",
    ]


def test_run_that_another_has_ended_meanwhile_is_not_repeated(tmp_path, monkeypatch, no_networks):
    config = SelectConfig(workdir=tmp_path / "all", **TINY, seeds=(0, 1), final_seeds=(0,))
    listed = protocol.open_jobs(config)
    done(config)
    stale = iter([listed])
    monkeypatch.setattr(protocol, "open_jobs", lambda config: next(stale, []))
    assert done(dataclasses.replace(config, resume=True))[1] == []


@pytest.mark.parametrize("dies", [False, True])
def test_processes_share_the_runs_and_take_over_those_of_the_dead(tmp_path, dies):
    config = SelectConfig(workdir=tmp_path / "all", **TINY)
    protocol.begin(config)
    log = tmp_path / "log"
    workers = [worker(config.workdir, log, dies and first) for first in (True, False)]
    outputs = [each.communicate(timeout=600)[0] for each in workers]
    assert [each.returncode for each in workers] == [-9 if dies else 0, 0], outputs
    did = [line for line in lines(log) if "job" in line]
    jobs = [line["job"] for line in did]
    taken = {each.pid: sum(line["process"] == each.pid for line in did) for each in workers}
    if dies:
        (again,) = (line for line in did if line["resume"])
        assert jobs.count(again["job"]) == 2
        assert list(taken.values()) == [1, 11]
    else:
        assert not any(line["resume"] for line in did)
        assert min(taken.values()) >= 2  # of the four searches
    assert len(set(jobs)) == 11 == len(jobs) - dies
    found = files.read_json(config.workdir / "select.json")
    assert found["best"]["test_error"] == pytest.approx(statistics.fmean([4, 3, 2]))
    assert found["seconds"] == 443
