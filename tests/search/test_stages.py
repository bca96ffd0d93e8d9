"""Progressive stages (P-DARTS): operations that differ per edge, and runs in stages."""

from __future__ import annotations

import dataclasses
import functools
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from kill_and_resume import assert_same_run
from mixed_op_inputs import drawn
from mostly_slow import mostly_slow
from numerics import assert_close, by_nested_tapes, floatx
from stop_callbacks import Terminate
from tiny_searches import TRAIN, VALID, made_trainer, spread_alphas

from darts_tf.cli import jobs as program
from darts_tf.cli.commands import compare
from darts_tf.configs import SearchConfig
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.layers.mixed_op import MixedOp, PrunedMixedOp
from darts_tf.models.supernet import Supernet
from darts_tf.runs import files
from darts_tf.runs.alphas import load_alphas
from darts_tf.runtime.signals import Interrupted
from darts_tf.search import stages
from darts_tf.search.indicators import Probes, discretisation_gap
from darts_tf.search.stages import search_in_stages, strongest
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.search_spaces import SPACES, Space
from darts_tf.studies import tuning

EDGES = (
    ("none", "skip_connect", "dil_conv_3x3"),
    ("max_pool_3x3", "sep_conv_3x3", "dil_conv_3x3"),
    ("avg_pool_3x3", "skip_connect", "sep_conv_3x3"),
)
SEARCHES = ("search_in_stages", "search_images")
SEED = tf.constant([5, 0])


# A mixed operation


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("partial", [1, 2])
def test_pruned_mixture_is_that_of_each_edge_alone(stride, partial):
    pruned = PrunedMixedOp(4, stride, EDGES, partial)
    pruned.build((None, None, None, 4))
    state, weights = drawn(2, 8, 6, 4), tf.nn.softmax(drawn(3, 3, seed=1))
    edge_weights = tf.constant([0.5, 0.3, 0.2], "float64")
    outputs = pruned(state, weights, edge_weights, training=True)
    for edge, names in enumerate(EDGES):
        alone = MixedOp(4, stride, 1, names, partial)
        alone.build((None, None, None, 4))
        for op, name in zip(alone.ops, names, strict=True):
            _copy_group(pruned, name, edge, op)
        rows = slice(edge, edge + 1)
        (expected,) = alone(state, weights[rows], edge_weights[rows], training=True)
        assert_close(outputs[edge], expected, 1e-12)


def _copy_group(pruned, name, edge, op):
    """Copies an edge's weights from a layer that serves several edges, grouped along one axis."""
    index = list(dict.fromkeys(n for row in EDGES for n in row)).index(name)
    having = pruned.having[index]
    for ours, theirs in zip(
        op.trainable_variables, pruned.ops[index].trainable_variables, strict=True
    ):
        (axis,) = (i for i, n in enumerate(theirs.shape) if n != ours.shape[i])
        part = np.split(np.asarray(theirs), len(having), axis)[having.index(edge)]
        ours.assign(part)


@pytest.mark.usefixtures("float64")
def test_pruned_mixture_drops_skips_alone():
    pruned = PrunedMixedOp(4, 1, (("none", "skip_connect"), ("none", "avg_pool_3x3")))
    pruned.build((None, None, None, 4))
    state, weights = drawn(2, 8, 8, 4), tf.constant([[0.5, 0.5]] * 2, "float64")
    plain = pruned(state, weights, training=True)
    dropped = pruned(state, weights, training=True, op_dropout=(tf.constant(0.5), SEED))
    kept = dropped[0].numpy() != 0
    assert 0.3 < kept.mean() < 0.7
    assert_close(dropped[0].numpy()[kept], 2 * plain[0].numpy()[kept], 1e-12)
    assert_close(dropped[1], plain[1], 1e-12)


# A supernet

FEW = (
    (("none", "skip_connect"), ("skip_connect", "dil_conv_3x3")),
    (("max_pool_3x3", "dil_conv_3x3", "none"), ("none", "skip_connect", "avg_pool_3x3")),
)


@pytest.mark.slow
def test_supernet_of_edges_has_the_gradient_by_nested_tapes():
    with floatx("float64"):
        network = Supernet(2, 3, 3, nodes=1, edge_primitives=FEW)
        trainer = made_trainer(network)
    assert [tuple(a.shape) for a in network.alphas] == [(2, 2), (2, 3)]
    spread_alphas(network)
    weights, alphas = (
        [tf.constant(v) for v in values(vs)] for vs in (network.network_weights, network.alphas)
    )
    _, expected = by_nested_tapes(
        trainer.loss_at, weights, alphas, TRAIN, VALID, trainer.virtual_step
    )
    assert_close(trainer.arch_gradients(TRAIN, VALID)[1], expected, 1e-9)


def test_supernet_of_edges_is_saved_and_derived_by_their_names(tmp_path):
    supernet = Supernet(2, 3, 3, nodes=1, edge_primitives=FEW)
    for variable in supernet.alphas:
        variable.assign(np.tile(np.arange(variable.shape[1])[::-1], (2, 1)))
    genotype = supernet.genotype()
    assert genotype.normal == (("skip_connect", 1), ("skip_connect", 0))
    assert genotype.reduce == (("max_pool_3x3", 0), ("skip_connect", 1))
    supernet.save(tmp_path / "supernet.keras")
    copy = keras.saving.load_model(tmp_path / "supernet.keras")
    x = tf.ones((2, 8, 8, 3))
    assert_close(copy(x), supernet(x), 1e-6)
    assert copy.space.candidates == FEW


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (FEW[:1], "2 edges of two cells"),
        ((FEW[0], (FEW[1][0], ("none", "skip_connect"))), "as many on every edge"),
        ((FEW[0], (("none",), ("none",))), "another primitive beside none"),
        ((FEW[0], (("skip",), ("none",))), "Expected primitive to be one of"),
    ],
)
def test_supernet_refuses_other_edges(wrong, message):
    with pytest.raises(InputError, match=message):
        Supernet(2, 3, 3, nodes=1, edge_primitives=wrong)


# Stages


def test_strongest_operations_are_kept_in_their_order():
    alphas = [[0.1, 0.3, 0.2, 0.0], [4.0, 3.0, 2.0, 5.0]]
    names = (("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"),) * 2
    kept = (("max_pool_3x3", "skip_connect"), ("none", "sep_conv_3x3"))
    assert strongest(Space(1, (names, names)), (alphas, alphas), 2) == Space(1, (kept, kept))


def config(folder, **fields):
    settings = {"arch_gradient": "first_order", "epochs": 1, "batch_size": 8}
    settings["stages"] = ("3:8:0.0", "4:2:0.5")
    return SearchConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


@pytest.mark.slow
def test_search_in_stages_that_was_stopped_ends_as_one_that_was_not(tmp_path, one_node):
    """Stops in the second stage, which resumes from its own checkpoint, operations included."""
    small = functools.partial(config, space=one_node, stages=("3:4:0.0", "4:2:0.5"))
    dataset = load_dataset("digits", limit=32)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    genotype = search_in_stages(small(whole), dataset)
    first, last = (load_alphas(whole / files.STAGES / name) for name in "12")
    assert [a.shape for a in (*first, *last)] == [(2, 4)] * 2 + [(2, 2)] * 2
    kept = strongest(SPACES[one_node], first, 2).candidates
    named = files.read_json(whole / files.STAGES / "2" / files.EDGE_PRIMITIVES)
    assert named == [[list(names) for names in cell] for cell in kept]
    assert derive(*last, edge_primitives=kept) == genotype
    message = "^ in stage 2 after step 1 of 2 of epoch 1; .* --workdir .*/stopped --resume goes on"
    with pytest.raises(Interrupted, match=message):
        search_in_stages(small(stopped), dataset, callbacks=(StopSecond(),))
    search_in_stages(dataclasses.replace(small(stopped), resume=True), dataset)
    for name in "12":
        assert_same_run(stopped / files.STAGES / name, whole / files.STAGES / name)
    genotypes = [(folder / files.GENOTYPE).read_bytes() for folder in (whole, stopped)]
    assert genotypes[0] == genotypes[1]


class StopSecond(Terminate):
    """Terminates the second search that it is part of."""

    searches = 0

    def on_train_begin(self, logs=None):
        self.searches += 1

    def on_train_batch_end(self, batch, logs=None):
        if self.searches == 2:
            super().on_train_batch_end(batch, logs)


def test_stages_are_searches_with_settings_of_their_own(tmp_path):
    second = config(tmp_path).stage(1)
    assert (second.cells, second.op_dropout, second.stages) == (4, 0.5, ())
    assert second.workdir == tmp_path / files.STAGES / "2"
    assert config(tmp_path).stage_operations == [8, 2]


@pytest.mark.parametrize(
    "wrong", [("3:8",), ("3:8:x",), ("2:8:0",), ("3:5:0",), ("3:8:1",), ("3:8:0", "4:1:0")]
)
def test_config_refuses_stages_that_cannot_be(wrong):
    with pytest.raises(InputError, match="stages as cells:operations:op_dropout, .* Received: st"):
        SearchConfig(workdir="run", stages=wrong)


def test_preset_is_the_papers():
    config = SearchConfig.from_preset("p-darts", workdir="run")
    each = [config.stage(number) for number in range(3)]
    assert [(s.cells, s.op_dropout) for s in each] == [(5, 0.1), (11, 0.4), (17, 0.7)]
    assert each[-1].max_skips == 2
    assert config.stage_operations == [8, 5, 3]
    assert (config.epochs, config.arch_from_epoch, config.batch_size) == (25, 10, 96)
    assert (config.arch_learning_rate, config.learning_rate_min) == (6e-4, 0.0)


@mostly_slow(1, "staged", [True, False])
def test_commands_search_in_stages_where_the_settings_have_some(tmp_path, monkeypatch, staged):
    """Checks calls of the commands against the signatures of the searches."""
    made = {name: mock.create_autospec(getattr(stages, name)) for name in SEARCHES}
    for name, search in made.items():
        monkeypatch.setattr(stages, name, search)
    given = {"stages": ("3:8:0", "4:5:0.3")} if staged else {}
    settings = SearchConfig.from_preset("tiny", workdir=tmp_path, **given)
    dataset = load_dataset("digits", limit=32)
    program.search_with_progress(settings)
    compare._find(dataset, settings)
    tuning._run(settings)
    assert [made[name].call_count for name in SEARCHES] == ([3, 0] if staged else [0, 3])


def test_gap_of_a_stage_is_of_the_operations_that_its_edges_have():
    kept = (EDGES[0], EDGES[2]), (EDGES[1], EDGES[2])
    network = Supernet(2, 3, nodes=1, edge_primitives=kept)
    seen = []
    probes = Probes(None, lambda mixture: (seen.append(mixture), (0.5, 1.0))[1])
    discretisation_gap(network, probes)
    genotype = network.genotype()
    for cell, pairs in enumerate((genotype.normal, genotype.reduce)):
        for primitive, source in pairs:
            row = np.asarray(seen[1][cell][source])
            assert [kept[cell][source][i] for i in np.flatnonzero(row)] == [primitive]
