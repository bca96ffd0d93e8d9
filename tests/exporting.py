"""Networks, images and folders for the tests of exports."""

from __future__ import annotations

import pathlib

import numpy as np

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.network import Network, build_network
from darts_tf.zoo import GENOTYPES


def as_if_trained(network: Network, seed: int = 0) -> Network:
    """Gives every normalisation statistics, scale and shift as training could have left them."""
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


def small_network(genotype="DARTS_V2", image_channels=1, **settings) -> Network:
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
    """Straight from the formulas, in float64 from the logits on."""
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    inputs = ((images / 255 - mean) / std).astype(np.float32)
    logits = np.asarray(network(inputs, training=False), np.float64)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
