"""Parameters and multiply-accumulates, against published numbers and counting in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from clean_registry import registrations_taken_back
from mostly_slow import mostly_slow
from numpy_reference import Reference, mixed_recurrent_step, recurrent_step
from reference_names import network_shapes, random_state_dict

import darts_tf
from darts_tf.costs.formulas import word_costs
from darts_tf.models import counting
from darts_tf.models.counting import costs, count_elementwise, count_macs, count_params, layer_of
from darts_tf.models.language_model import build_language_model
from darts_tf.models.network import build_network
from darts_tf.models.recurrent_supernet import RecurrentSupernet
from darts_tf.models.supernet import Supernet
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

PUBLISHED = {  # parameters on CIFAR-10 (36 channels, 20 cells) and ImageNet (48 channels, 14 cells)
    "DARTS_V1": (3_169_414, 4_510_432),
    "DARTS_V2": (3_349_342, 4_718_752),
    "NASNet": (3_830_950, 5_564_320),
    "AmoebaNet": (3_145_078, 4_627_360),
    "PCDARTS": (3_634_678, 5_270_560),
    "PDARTS": (3_433_798, 4_944_352),
    "DRNAS": (4_099_294, 5_738_464),
    "DRNAS_IMAGENET": (4_048_750, 5_726_368),
    # no published count at this size: these are the counts of the NumPy run below
    "AmoebaNet_C": (3_220_246, 4_570_720),
    "ENAS": (4_394_710, 6_267_424),
    "PNASNet": (4_481_110, 6_394_912),
    "PCDARTS_IMAGENET": (3_721_510, 5_342_464),
    "SHAPLEY": (3_603_358, 5_138_848),
    "SHAPLEY_IMAGENET": (3_814_822, 5_423_872),
    "OLES": (4_222_414, 5_736_544),
    "OLES_CIFAR100": (2_587_942, 3_874_528),
}
MACS = {
    "DARTS_V1": (500.99e6, 505.86e6),
    "DARTS_V2": (528.36e6, 529_911_552),
    "DRNAS": (635.14e6, 633_832_320),  # published: the first, and below the second
    "DRNAS_IMAGENET": (617_938_560, 624.41e6),
}
AUXILIARY = (476_426, 1_260_776)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "DARTS_V2" else pytest.mark.slow) for n in PUBLISHED],
)
def test_networks_have_the_published_parameters_and_macs(name):
    genotype = GENOTYPES[name]
    cifar = build_network(genotype, 36, 20, 10, auxiliary=True)
    imagenet = build_network(genotype, 48, 14, 1000, stem="imagenet", auxiliary=True)
    assert (count_params(cifar), count_params(imagenet)) == PUBLISHED[name]
    if name in MACS:
        on_cifar, on_imagenet = MACS[name]
        assert count_macs(cifar, 32) == pytest.approx(on_cifar, abs=0.005e6)
        exact = isinstance(on_imagenet, int)
        assert count_macs(imagenet, 224) == pytest.approx(on_imagenet, abs=0 if exact else 0.005e6)
        heads = (n.auxiliary_head.trainable_variables for n in (cifar, imagenet))
        assert tuple(sum(int(np.prod(v.shape)) for v in head) for head in heads) == AUXILIARY


def test_zoo_is_covered():
    assert set(PUBLISHED) == set(GENOTYPES)


@mostly_slow(
    (0, 1, len(GENOTYPES)),
    ("name", "stem", "size"),
    [
        *((name, "cifar", (9, 8)) for name in GENOTYPES),
        *((name, "imagenet", (64, 70)) for name in GENOTYPES),
    ],
)
def test_counts_are_those_of_a_plain_run(name, stem, size):
    """Compares with NumPy code that counts its products and elementwise values as it computes."""
    genotype = GENOTYPES[name]
    network = build_network(genotype, 4, 3, 5, stem=stem)
    state = random_state_dict(network_shapes(genotype, 4, 3, 5, stem=stem))
    reference = Reference(state)
    reference.network(genotype, np.zeros((1, *size, 3)), 3, stem)
    assert count_macs(network, size) == reference.macs
    assert count_elementwise(network, size) == reference.elementwise
    trained = (
        array.size
        for key, array in state.items()
        if not key.startswith("auxiliary_head") and key.endswith(("weight", "bias"))
    )
    assert count_params(network) == sum(trained)
    parts = costs(network, size)
    assert sum(part.params for part in parts) == count_params(network)


def test_costs_list_every_part_with_its_output():
    network = build_network(GENOTYPES["DARTS_V2"], 4, 3, 5)
    parts = costs(network, 9)
    assert [part.name for part in parts] == [
        "stem",
        "cell 0 (normal)",
        "cell 1 (reduction)",
        "cell 2 (reduction)",
        "classifier",
    ]
    outputs = [(part.height, part.width, part.channels) for part in parts]
    assert outputs == [(9, 9, 12), (9, 9, 16), (5, 5, 32), (3, 3, 64), (1, 1, 5)]
    assert sum(part.params for part in parts) == count_params(network)
    assert parts[0].macs == 9 * 9 * 27 * 12
    assert parts[-1].macs == 64 * 5


def test_auxiliary_head_is_left_out():
    genotype = GENOTYPES["DARTS_V2"]
    pair = [build_network(genotype, 4, 3, 5, auxiliary=auxiliary) for auxiliary in (True, False)]
    for count in (count_params, count_macs, count_elementwise):
        assert count(pair[0]) == count(pair[1])


@pytest.fixture
def registrations():
    with registrations_taken_back():
        yield


def test_only_users_primitives_are_built_to_be_counted(registrations, monkeypatch):
    def doubled(channels, stride, affine):
        return keras.layers.Conv2D(channels, 3, stride, "same", use_bias=False)

    darts_tf.register_primitive("conv", doubled, macs=lambda c, s, h, w: 9 * c * c * -(-h // s) * w)
    built = []
    monkeypatch.setattr(counting, "layer_of", lambda part: built.append(part) or layer_of(part))
    pairs = (("conv", 0), ("sep_conv_3x3", 1))
    genotype = Genotype(pairs, (2,), pairs, (2,))
    network = build_network(genotype, 4, 3, 5, auxiliary=False)
    parts = costs(network, 9)
    assert built
    assert {part.name for part in built} == {"conv"}
    assert sum(part.params for part in parts) == count_params(network)
    first = 9 * 4 * 4 * 9 * 9  # by the user's rule, in the first cell
    plain = Genotype((("skip_connect", 0), pairs[1]), (2,), pairs, (2,))
    without = costs(build_network(plain, 4, 3, 5, auxiliary=False), 9)
    assert parts[1].macs - without[1].macs == first


def test_alphas_are_left_out():
    supernet = Supernet(2, 3, 5)
    assert count_params(supernet) + 2 * 14 * 8 == sum(
        int(np.prod(v.shape)) for v in supernet.trainable_variables
    )


# Language models


PUBLISHED_TEXT = {(850, 10_000): 22_960_000, (700, 33_278): 33_127_878}


@pytest.mark.parametrize("size", PUBLISHED_TEXT)
def test_language_models_have_the_published_parameters(size):
    assert sum(part.params for part in word_costs(*size, nodes=8)) == PUBLISHED_TEXT[size]


def test_recurrent_search_has_the_published_parameters():
    assert count_params(RecurrentSupernet(10_000, 300)) == 4_810_000


class Counting(np.ndarray):
    """Array that counts the multiply-accumulates of its products."""

    __array_priority__ = 1
    macs = 0

    def __matmul__(self, kernel):
        Counting.macs += len(self) * kernel.size
        return (np.asarray(self) @ kernel).view(Counting)


def ones(*shape):
    return np.ones(shape).view(Counting)


@pytest.mark.parametrize("name", [*RECURRENT_GENOTYPES, None])
def test_counts_of_a_language_model_are_those_of_a_plain_step(name, monkeypatch):
    """Counts a step of one word; None stands for a search's cell, which multiplies per edge."""
    monkeypatch.setattr(Counting, "macs", 0)
    if name is None:
        model, step = RecurrentSupernet(7, 4, nodes=5), mixed_recurrent_step
        options = {"running": (np.zeros(4), np.ones(4))}
    else:
        model, step = build_language_model(RECURRENT_GENOTYPES[name], 7, 4), recurrent_step
        options = {}
    step(model.cell, ones(1, 4), ones(1, 4), None, **options)
    ones(1, 4) @ np.asarray(model.embedding).T
    assert count_macs(model) == Counting.macs
    weights = (v for v in model.trainable_variables if v.name != "alphas")
    assert count_params(model) == sum(int(np.prod(v.shape)) for v in weights)
    parts = word_costs(4, 7, model.cell.nodes)
    assert count_params(model) == sum(part.params for part in parts)
