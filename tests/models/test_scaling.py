"""Networks as wide as a bound on their multiply-accumulates allows."""

from __future__ import annotations

import dataclasses

import pytest
from mostly_slow import mostly_slow

from darts_tf.cli.main import main
from darts_tf.configs import InspectConfig, TrainConfig
from darts_tf.errors import InputError
from darts_tf.models.counting import count_macs
from darts_tf.models.network import Network, build_network
from darts_tf.models.scaling import largest_channels, scaled
from darts_tf.spaces.zoo import GENOTYPES

MOBILE = (14, 1000, "imagenet", 224, 3)
SMALL = (3, 5, "cifar", (9, 8), 1)


def macs_of(genotype, channels, cells, classes, stem, image_size, image_channels):
    options = {"stem": stem, "auxiliary": False, "image_channels": image_channels}
    network = build_network(genotype, channels, cells, classes, **options)
    return count_macs(network, image_size)


@mostly_slow(
    (1,),
    ("name", "settings", "step"),
    [
        ("DARTS_V2", SMALL, 1),
        ("AmoebaNet", (3, 5, "imagenet", 65, 3), 2),
        *(pytest.param(name, SMALL, 1, marks=pytest.mark.slow) for name in GENOTYPES),
    ],
)
def test_largest_channels_cost_what_is_allowed_and_a_step_more_does_not(name, settings, step):
    genotype = GENOTYPES[name]
    exact = macs_of(genotype, 10 * step, *settings)
    assert largest_channels(genotype, *settings, exact) == 10 * step
    assert largest_channels(genotype, *settings, exact - 1) == 9 * step
    more = macs_of(genotype, 11 * step, *settings)
    assert largest_channels(genotype, *settings, more - 1) == 10 * step


@pytest.mark.slow
def test_darts_has_its_channels_and_more_in_the_mobile_setting():
    genotype = GENOTYPES["DARTS_V2"]
    assert largest_channels(genotype, *MOBILE, 529_911_552) == 48
    assert largest_channels(genotype, *MOBILE, 529_911_551) == 46
    assert largest_channels(genotype, *MOBILE, 600_000_000) == 50


def test_bound_below_the_smallest_network_is_refused():
    with pytest.raises(
        InputError, match="at least .*, which 2 channels cost. Received: max_macs=9"
    ):
        largest_channels(GENOTYPES["DARTS_V2"], 3, 5, "imagenet", 64, 3, 9)


def test_too_small_images_are_refused():
    with pytest.raises(InputError, match="at least 64x64 pixels"):
        largest_channels(GENOTYPES["DARTS_V2"], 3, 5, "imagenet", 32, 3, 10**9)


def test_scaled_changes_the_channels_alone_and_only_where_it_is_asked():
    config = InspectConfig(genotype="DARTS_V2", cells=3).completed(GENOTYPES["DARTS_V2"])
    assert scaled(config, GENOTYPES["DARTS_V2"], 5, 8, 1) is config
    bounded = dataclasses.replace(config, max_macs="1M")
    found = scaled(bounded, GENOTYPES["DARTS_V2"], 5, 8, 1)
    assert found != bounded
    assert {**found.to_dict(), "channels": 36} == bounded.to_dict()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("600M", 600_000_000), ("1.2G", 1_200_000_000), ("600000000", 600_000_000)),
        *(("0.5k", 500), ("2g", 2 * 10**9), (7, 7), (None, None)),
    ],
)
def test_bound_is_read_as_people_write_it(text, number):
    config = TrainConfig(genotype="DARTS_V2", workdir="run", max_macs=text)
    assert config.max_macs == number
    assert TrainConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    "text",
    ["", "M", "600MM", "-1M", "1e6", "0.0001k", "1,000", "600 M", "nan", "9" * 30, 1.5, True],
)
def test_bound_that_is_no_number_is_refused(text):
    with pytest.raises(InputError, match="Expected max_macs to be .* Received: max_macs="):
        TrainConfig(genotype="DARTS_V2", workdir="run", max_macs=text)


@pytest.mark.parametrize("text", ["0", "0M"])
def test_bound_is_positive(text):
    with pytest.raises(InputError, match="Expected max_macs to be positive"):
        TrainConfig(genotype="DARTS_V2", workdir="run", max_macs=text)


def test_nothing_is_built_to_be_counted(monkeypatch, capsys):
    def built(*args, **kwargs):
        raise AssertionError("a network was built")

    monkeypatch.setattr(Network, "__init__", built)
    assert main(["inspect", "--genotype", "DARTS_V2", "--max-macs", "100M"]) == 0
    assert "channels, for at most 100,000,000 MACs" in capsys.readouterr().out


def test_inspect_says_which_channels_were_chosen(capsys):
    words = ["inspect", "--genotype", "DARTS_V2", "--cells", "3", "--max-macs", "1.2M"]
    assert main(words) == 0
    channels = largest_channels(GENOTYPES["DARTS_V2"], 3, 10, "cifar", 32, 3, 1_200_000)
    assert f"{channels} channels, for at most 1,200,000 MACs" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "inspect"])
def test_rubbish_is_refused_in_one_line(command, tmp_path, capsys):
    workdir = ["--workdir", str(tmp_path / "run"), "--dataset", "digits"]
    workdir = workdir if command == "train" else []
    assert main([command, *workdir, "--genotype", "DARTS_V2", "--max-macs", "lots"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("a whole number, as in 600M or 1.2G. Received: max_macs='lots'")
