"""Networks as wide as a bound on their multiply-accumulates allows: the mobile setting."""

from __future__ import annotations

import dataclasses
import functools
import math

from darts_tf.costs.parts import Target
from darts_tf.errors import InputError
from darts_tf.layers.stems import MINIMUM_CHANNELS, check_image_size
from darts_tf.models.counting import genotype_costs
from darts_tf.spaces.genotype import AnyGenotype


@functools.cache
def largest_channels(
    genotype: AnyGenotype,
    cells: int,
    classes: int,
    stem: str,
    image_size: int | tuple[int, int],
    image_channels: int,
    max_macs: int,
) -> int:
    """The most channels of the first cell with which a network costs no more than `max_macs`.

    What is counted is `count_macs`: convolutions and dense layers. With the ImageNet stem, whose
    first convolution has half of the channels, the number is even.

    Every convolution and the classifier have the network's channels at one end or at both, so
    that the multiply-accumulates are `a n**2 + b n` for `n` times the fewest channels: the counts
    for `n` = 1 and 2 give `a` and `b`, and so the count of every other network.

    Args:
        genotype: the cells.
        cells: stacked cells.
        classes: number of labels.
        stem: `"cifar"` or `"imagenet"`.
        image_size: rows and columns of the image; one number for both.
        image_channels: 3 for colour, 1 for gray.
        max_macs: for one image.

    Raises:
        InputError: even the fewest channels cost more, or the images are too small.
    """
    fewest = MINIMUM_CHANNELS[stem]
    size = (image_size,) * 2 if isinstance(image_size, int) else image_size
    check_image_size(*size, stem)
    once, twice = (
        sum(
            component.macs
            for component in genotype_costs(
                Target(times * fewest, cells, *size, stem, classes, image_channels), genotype
            )
        )
        for times in (1, 2)
    )
    if once > max_macs:
        raise InputError(
            f"Expected max_macs to be at least {once}, which {fewest} channels cost. "
            f"Received: {max_macs=}"
        )
    a = (twice - 2 * once) // 2
    b = once - a
    return fewest * ((math.isqrt(b * b + 4 * a * max_macs) - b) // (2 * a))


def scaled(config, genotype: AnyGenotype, classes: int, image_size, image_channels: int):
    """A config with the channels that its `max_macs` allows; the same config where that is None.

    Args:
        config: of a command that builds a network.
        genotype: the cells.
        classes: number of labels.
        image_size: rows and columns of the image; one number for both.
        image_channels: 3 for colour, 1 for gray.

    Raises:
        InputError: as `largest_channels`.
    """
    if config.max_macs is None:
        return config
    arguments = (config.cells, classes, config.stem, image_size, image_channels, config.max_macs)
    return dataclasses.replace(config, channels=largest_channels(genotype, *arguments))
