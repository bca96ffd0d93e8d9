"""Whole searches, on very little data."""

from __future__ import annotations

import gc
import signal

import keras
import pytest
from event_file_reader import scalars_of, tags_of
from stop_callbacks import Terminate
from tensorflow.python.framework.func_graph import FuncGraph

from darts_tf.configs import SearchConfig
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.runs import checkpoints, files
from darts_tf.runs.alphas import load_alphas
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.signals import Interrupted
from darts_tf.search.images import search_images
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.search_spaces import SPACES
from darts_tf.spaces.zoo import load_genotype
from darts_tf.training.tensorboard import tag_of


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=32)


pytestmark = pytest.mark.usefixtures("one_node")


def config(folder, **fields):
    settings = {"arch_gradient": "first_order", "epochs": 2, "batch_size": 8, "space": "one_node"}
    return SearchConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "run"
    lines = []
    genotype = search_images(config(folder, profile_steps="3,4"), dataset, report=lines.append)
    return folder, genotype, lines


def test_search_leaves_a_whole_run_folder(finished):
    folder, genotype, lines = finished
    assert load_genotype(folder / files.GENOTYPE) == genotype
    assert derive(*load_alphas(folder), edge_primitives=SPACES["one_node"].candidates) == genotype
    assert [line["epoch"] for line in lines] == [0, 1]
    assert {"loss", "accuracy", "arch_loss", "valid_loss", "valid_accuracy"} <= set(lines[0])
    kept = files.read_json(folder / files.CONFIG)
    assert (kept["arch_gradient"], kept["dataset"]) == ("first_order", "digits")
    assert "epoch 2 took" in (folder / files.LOG).read_text()
    absent = {files.MODEL, files.VOCABULARY, files.SELECTION, files.PAGE}
    absent |= {files.EVALUATION, files.EVALUATIONS, files.CONFIDENCE}
    absent |= {*files.OF_MANY, *files.STAGED} - {files.EDGE_PRIMITIVES}
    kept = set(files.NAMES) - absent
    assert {path.name for path in folder.iterdir()} == kept


def test_search_has_its_metrics_and_pictures_in_tensorboard(finished):
    folder, _, lines = finished
    found = scalars_of(folder / files.TENSORBOARD)
    assert {tuple(steps) for steps in found.values()} == {(1, 2)}
    for name in ("loss", "arch_loss", "valid_accuracy", "gradient_norm", "arch_gradient_norm"):
        told = [line[name] for line in lines]
        assert list(found[tag_of(name)].values()) == pytest.approx(told, rel=1e-6)
        assert min(told) > 0 or name == "valid_accuracy"
    tags = {"alphas/normal", "alphas/reduce", "cells", "genotype", "_hparams_/session_end_info"}
    assert tags | set(found) <= tags_of(folder / files.TENSORBOARD)


def test_profile_of_steps_is_where_tensorboard_looks(finished):
    folder, *_ = finished
    (trace,) = (folder / files.TENSORBOARD / "plugins" / "profile").glob("*/*.xplane.pb")
    assert trace.stat().st_size > 1000
    assert "profile of steps 3 to 4" in (folder / files.LOG).read_text()


def test_search_writes_what_it_reports_but_for_the_time(finished):
    folder, _, lines = finished
    assert all(line["seconds"] > 0 for line in lines)
    kept = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
    assert read_metrics(folder) == kept


def test_search_keeps_its_last_checkpoints(finished):
    positions = [
        checkpoints.read(path)[0] for path in checkpoints.newest(finished[0] / "checkpoints")
    ]
    assert [(p.epoch, p.step, p.steps) for p in positions] == [(2, 0, 2), (1, 0, 2), (0, 0, 2)]


def test_search_follows_the_cosine_schedule(finished):
    rates = [line["learning_rate"] for line in finished[2]]
    assert rates == pytest.approx([0.025, 0.013])


@pytest.mark.slow
def test_interrupted_search_says_so_and_keeps_the_step(dataset, tmp_path):
    folder, before = tmp_path / "run", signal.getsignal(signal.SIGTERM)
    message = "^ after step 1 of 2 of epoch 1; everything is saved, and --workdir .*run --resume re"
    with pytest.raises(Interrupted, match=message) as stop:
        search_images(config(folder), dataset, callbacks=(Terminate(),))
    assert stop.value.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    (newest, *_) = checkpoints.newest(folder / files.CHECKPOINTS)
    assert checkpoints.read(newest)[0] == checkpoints.Position(0, 1, 2)


def test_resumed_search_with_other_settings_is_refused(finished, dataset):
    folder, *_ = finished
    before = (folder / files.CONFIG).read_bytes()
    with pytest.raises(InputError, match="Expected batch_size=8, .* Received: batch_size=4"):
        search_images(config(folder, resume=True, batch_size=4), dataset)
    with pytest.raises(InputError, match="Received: one with other images"):
        search_images(config(folder, resume=True), load_dataset("digits", limit=40))
    assert (folder / files.CONFIG).read_bytes() == before


def test_search_with_a_batch_larger_than_half_the_images_writes_nothing(dataset, tmp_path):
    with pytest.raises(InputError, match="batch_size"):
        search_images(config(tmp_path / "run", batch_size=17), dataset)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_search_leaves_no_graphs_behind(dataset, tmp_path):
    """Guards against leaks of half a gigabyte per run in processes with several runs."""
    before = graphs()
    search_images(config(tmp_path / "run", epochs=1), dataset)
    assert graphs() == before


def graphs() -> int:
    keras.backend.clear_session()
    gc.collect()
    return sum(isinstance(each, FuncGraph) for each in gc.get_objects())
