"""`darts-tf train`: from a genotype to a trained network."""

from __future__ import annotations

from darts_tf import runs
from darts_tf.configs import TrainConfig
from darts_tf.data import load_dataset
from darts_tf.genotype import load_genotype
from darts_tf.training import train


def run(config: TrainConfig) -> int:
    """Trains the network from scratch, tests it and keeps it."""
    config = runs.settings(config)
    genotype = load_genotype(config.genotype)
    dataset = load_dataset(
        config.dataset, image_size=config.image_size, limit=config.limit, seed=config.seed
    )
    folder = runs.begin(config, dataset)
    genotype.save(folder / runs.GENOTYPE)
    metrics = train(config, genotype, dataset, folder)
    print(f"test accuracy {metrics['test_accuracy']:.2%}\n\nwritten: {folder / runs.MODEL}")
    return 0
