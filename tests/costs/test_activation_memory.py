"""Memory of activations: the rule by hand, and on networks small enough to follow."""

from __future__ import annotations

import pytest
from mostly_slow import mostly_slow

from darts_tf.cli.main import main
from darts_tf.costs.activation_memory import Made, alive, peak_memory
from darts_tf.costs.formulas import component_costs
from darts_tf.costs.parts import Target
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import GENOTYPES

# a cell of one node, which adds a skip of one input and a pool of the other
PAIRS = (("skip_connect", 0), ("max_pool_3x3", 1))
PLAIN = Genotype(PAIRS, (2,), PAIRS, (2,))


def test_a_tensor_lives_from_its_making_to_its_last_reading():
    chain = [Made(1, ()), Made(10, (0,)), Made(100, (1,)), Made(1000, (2, 0))]
    assert alive(chain) == [1, 1 + 10, 1 + 10 + 100, 1 + 100 + 1000]
    assert alive([Made(1, ()), Made(10, ()), Made(100, (0,))]) == [1, 11, 101]
    assert alive([]) == []


def test_peak_of_a_small_network_is_what_one_counts_by_hand():
    """Two channels, 8x8 gray images; of the three cells the last two are reductions."""
    target = Target(2, 3, 8, 8, classes=5, image_channels=1)
    image, stem = 8 * 8, 8 * 8 * 6
    out0, out1, out2 = 8 * 8 * 2, 4 * 4 * 4, 2 * 2 * 8
    p0 = p1 = pool = total = 8 * 8 * 2
    cell_0 = [
        stem + p0,
        stem + p0 + p1,  # the stem stays for the next cell
        stem + p0 + p1 + pool,
        stem + p0 + pool + total,  # the skip gives p0 itself
        stem + total + out0,
    ]
    p0 = p1 = 8 * 8 * 4
    skip = pool = total = 4 * 4 * 4
    cell_1 = [
        stem + out0 + p0,
        out0 + p0 + p1,
        out0 + p0 + p1 + skip,  # at stride 2 it makes a tensor
        out0 + p1 + skip + pool,
        out0 + skip + pool + total,
        out0 + total + out1,
    ]
    p0 = p1 = 4 * 4 * 8
    skip = pool = total = 2 * 2 * 8
    cell_2 = [
        out0 + out1 + p0,
        out1 + p0 + p1,
        p0 + p1 + skip,
        p1 + skip + pool,
        skip + pool + total,
        total + out2,
    ]
    classifier = [out2 + 8, 8 + 5]
    expected = [[image, image + stem], cell_0, cell_1, cell_2, classifier]
    assert peak_memory(target, PLAIN) == [4 * max(steps) for steps in expected]


@pytest.mark.parametrize(("stem", "size"), [("cifar", (32, 32)), ("imagenet", (70, 64))])
@mostly_slow((0, 3), "name", GENOTYPES)
def test_every_part_needs_at_least_its_output(name, stem, size):
    target = Target(4, 3, *size, stem, classes=5)
    parts = component_costs(target, GENOTYPES[name])
    peaks = peak_memory(target, GENOTYPES[name])
    for part, peak in zip(parts, peaks, strict=True):
        assert peak > 4 * part.height * part.width * part.channels


def test_memory_grows_with_the_places_and_the_channels():
    small, large, wide = (
        peak_memory(Target(channels, 3, side, side, classes=5), GENOTYPES["DARTS_V2"])[1:-1]
        for channels, side in ((4, 32), (4, 64), (8, 32))
    )
    assert large == [4 * peak for peak in small]
    assert wide == [2 * peak for peak in small]


def test_inspect_shows_the_most_of_it(capsys):
    assert main(["inspect", "--genotype", "DARTS_V2", "--cells", "3", "--channels", "4"]) == 0
    peaks = peak_memory(Target(4, 3, 32, 32), GENOTYPES["DARTS_V2"])
    assert f"memory {max(peaks):,} bytes" in capsys.readouterr().out


def test_inspect_keeps_every_part_in_one_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["--stem", "imagenet", "--cells", "20", "--channels", "48"]
    assert main(["inspect", "--genotype", "DARTS_V2", *words]) == 0
    assert "cell 13 (reduction)" in capsys.readouterr().out
