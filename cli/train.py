"""`darts-tf train`: from a genotype to a trained network."""

from __future__ import annotations

from cli.progress import EpochProgress
from cli.search import introduced, prepare
from darts_tf import runs
from darts_tf.configs import TrainConfig
from darts_tf.presets import EXPECTED
from darts_tf.training import dataset_of, scaled_to, train
from darts_tf.zoo import load_genotype


def run(config: TrainConfig) -> int:
    """Trains the network from scratch, tests it and keeps it."""
    prepare(config)
    if config.preset in EXPECTED:
        print(f"preset {config.preset}: the whole recipe reaches {EXPECTED[config.preset]}")
    metrics = train_with_progress(config)
    print(f"\ntest accuracy {metrics['test_accuracy']:.2%}")
    print(f"network: {config.workdir / runs.MODEL}")
    print(f"next: darts-tf export --workdir {config.workdir} --output DIR")
    return 0


def train_with_progress(config: TrainConfig) -> dict[str, float]:
    """Trains with a line per epoch on standard output."""
    own = config.workdir / runs.GENOTYPE
    genotype = load_genotype(own if config.resume else config.genotype)
    dataset = introduced(lambda: dataset_of(config))
    if config.max_macs:
        channels = scaled_to(config, genotype, dataset).channels
        print(f"{channels} channels, for at most {config.max_macs:,} MACs", flush=True)
    with EpochProgress(config.epochs) as progress:
        return train(config, genotype, dataset, report=progress.report, callbacks=(progress,))
