"""`darts-tf search`: from a dataset to a genotype."""

from __future__ import annotations

from cli.progress import EpochProgress
from darts_tf import runs
from darts_tf.configs import SearchConfig
from darts_tf.data import load_dataset
from darts_tf.genotype import Genotype
from darts_tf.searching import search


def run(config: SearchConfig) -> int:
    """Searches, and prints the genotype as it evolves."""
    genotype = search_with_progress(runs.settings(config))
    path = config.workdir / runs.GENOTYPE
    print(f"\n{genotype}\n\ngenotype: {path}")
    print(f"next: darts-tf train --genotype {path} --dataset {config.dataset} --workdir DIR")
    return 0


def search_with_progress(config: SearchConfig) -> Genotype:
    """Searches with a line per epoch on standard output."""
    dataset = load_dataset(
        config.dataset, image_size=config.image_size, limit=config.limit, seed=config.seed
    )
    print(describe(dataset), flush=True)
    progress = EpochProgress(config.epochs)
    return search(config, dataset, report=progress.report, callbacks=(progress,))


def describe(dataset) -> str:
    """One line on a dataset."""
    size = dataset.preprocessing
    kind = "gray" if size.channels == 1 else "colour"
    return (
        f"{dataset.name}: {len(dataset.train.labels):,} training and "
        f"{len(dataset.test.labels):,} test images, {size.height}x{size.width} {kind}, "
        f"{len(dataset.classes)} classes"
    )
