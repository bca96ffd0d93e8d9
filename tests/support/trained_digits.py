"""A small network trained on the digits, with its weights in a file, so that no test trains it.

Quantization and its bounds are meant for weights and activations of a trained network. The file is
created by half a minute of training:

    python tests/support/trained_digits.py
"""

from __future__ import annotations

import math
import pathlib
import tempfile

import numpy as np

from darts_tf.models.network import Network, build_network
from darts_tf.spaces.zoo import GENOTYPES

FILE = pathlib.Path(__file__).parent / "trained_digits.npz"
GENOTYPE = "DARTS_V2"
SIZES = {"channels": 6, "cells": 3}


def digits_network() -> Network:
    """Returns the network, which classifies 96 to 97 % of the digits' test images correctly."""
    network = build_network(
        GENOTYPES[GENOTYPE], **SIZES, classes=10, image_channels=1, auxiliary=False
    )
    with np.load(FILE) as file:
        values = file["weights"]
    shapes = [weight.shape for weight in network.weights]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(values, ends)[: len(shapes)]
    network.set_weights([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])
    return network


def main():
    """Trains the network and writes its weights."""
    from darts_tf.configs import TrainConfig
    from darts_tf.data import load_dataset
    from darts_tf.training.images import load_run, train

    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        config = TrainConfig(workdir=run, genotype=GENOTYPE, epochs=15, seed=1, **SIZES)
        metrics = train(config, GENOTYPES[GENOTYPE], load_dataset("digits"))
        network, *_ = load_run(run)
    flat = [np.ravel(weight) for weight in network.get_weights()]
    np.savez_compressed(FILE, weights=np.concatenate(flat).astype(np.float32))
    print(metrics)


if __name__ == "__main__":
    main()
