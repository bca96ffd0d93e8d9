"""Networks, images and folders for tests of exports."""

from __future__ import annotations

import functools
import pathlib
from typing import NamedTuple

import numpy as np
from one_node_genotype import ONE_NODE
from PIL import Image

from darts_tf import export
from darts_tf.configs import TrainConfig
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.models.network import Network, build_network
from darts_tf.runs import folder as run_folder
from darts_tf.spaces.zoo import GENOTYPES


def as_if_trained(network: Network, seed: int = 0) -> Network:
    """Sets plausible statistics, scale and shift of a trained network in every normalization."""
    draw = np.random.default_rng(seed)
    numbers = {
        "gamma": lambda shape: draw.uniform(0.5, 1.5, shape),
        "beta": lambda shape: draw.normal(0, 0.2, shape),
        "moving_mean": lambda shape: draw.normal(0, 0.2, shape),
        "moving_variance": lambda shape: draw.uniform(0.1, 2, shape),
    }
    for variable in network.variables:
        if variable.name in numbers:
            variable.assign(numbers[variable.name](variable.shape))
    return network


def small_network(genotype=ONE_NODE, image_channels=1, **settings) -> Network:
    settings = {"channels": 4, "cells": 3, "classes": 10, "auxiliary": False, **settings}
    genotype = GENOTYPES[genotype] if isinstance(genotype, str) else genotype
    return as_if_trained(build_network(genotype, image_channels=image_channels, **settings))


def preprocessing_of(height=8, width=8, channels=1) -> Preprocessing:
    return Preprocessing(height, width, channels, (0.3, 0.4, 0.5)[:channels], (0.2,) * channels)


def drawn_images(preprocessing: Preprocessing, count=5, seed=0) -> np.ndarray:
    shape = (count, preprocessing.height, preprocessing.width, preprocessing.channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def names(classes=10) -> list[str]:
    return [f"class {i}" for i in range(classes)]


def probabilities_of(network: Network, preprocessing: Preprocessing, images) -> np.ndarray:
    """Returns probabilities by the formulas, in float64 from the logits on."""
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    inputs = ((images / 255 - mean) / std).astype(np.float32)
    logits = np.asarray(network(inputs, training=False), np.float64)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns the contents of every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


FLOAT = ("saved_model", "tflite")
"""Formats without quantization, which agree for any network."""

TFLITE = "out/model_float32.tflite"
"""Image files in the folder of `run_and_export`."""


def run_and_export(folder: pathlib.Path, digits) -> Network:
    """Writes a run, `run`, its export, `out`, and three digits as PNG; returns the network."""
    network = small_network()
    config = TrainConfig(workdir=folder / "run", genotype="one_node")
    with run_folder.started_run(config, digits, network.genotype) as run:
        network.save(run / "model.keras")
    images = digits.test.images[:5]
    described = (digits.preprocessing, digits.classes)
    export.export(network, *described, folder / "out", formats=FLOAT, images=images)
    for i, image in enumerate(images[:3]):
        Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    return network


class Written(NamedTuple):
    """An export: its folder, network, report, printed lines and images."""

    output: pathlib.Path
    network: Network
    report: dict
    lines: list[str]
    images: np.ndarray


@functools.cache
def shared_network() -> Network:
    return small_network(auxiliary=True)


def small_export(output: pathlib.Path, **settings) -> Written:
    """Exports `shared_network` with default settings, which may be overridden."""
    network, preprocessing, lines = shared_network(), preprocessing_of(), []
    images = drawn_images(preprocessing, 17)
    given = {"images": images, "classes": names(), "formats": FLOAT, **settings}
    report = export.export(network, preprocessing, output=output, report=lines.append, **given)
    return Written(output, network, report, lines, images)
