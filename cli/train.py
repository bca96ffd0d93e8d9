"""`darts-tf train`: from a genotype to a trained network."""

from __future__ import annotations

from cli.evaluate import show_perplexity
from cli.progress import EpochProgress
from cli.search import introduced, prepare
from darts_tf import runs, text_training
from darts_tf.configs import TextTrainConfig, TrainConfig
from darts_tf.data import load_text
from darts_tf.distribution import is_chief
from darts_tf.presets import EXPECTED
from darts_tf.training import dataset_of, scaled_to, train
from darts_tf.zoo import load_genotype


def run(config: TrainConfig | TextTrainConfig) -> int:
    """Trains the network from scratch, tests it and keeps it."""
    prepare(config)
    if config.preset in EXPECTED:
        print(f"preset {config.preset}: the whole recipe reaches {EXPECTED[config.preset]}")
    if isinstance(config, TextTrainConfig):
        train_text(config)
    else:
        metrics = train_with_progress(config)
        watched = "valid" if config.validation_split else "test"
        print(f"\n{watched} accuracy {metrics[f'{watched}_accuracy']:.2%}")
    print(f"network: {config.workdir / runs.MODEL}")
    print(f"next: darts-tf export --workdir {config.workdir} --output DIR")
    return 0


def train_with_progress(config: TrainConfig) -> dict[str, float]:
    """Trains with a line per epoch on standard output."""
    genotype = load_genotype(_genotype(config))
    dataset = introduced(lambda: dataset_of(config))
    if config.max_macs:
        channels = scaled_to(config, genotype, dataset).channels
        print(f"{channels} channels, for at most {config.max_macs:,} MACs", flush=True)
    with EpochProgress(config.epochs) as progress:
        return train(config, genotype, dataset, report=progress.report, callbacks=(progress,))


def train_text(config: TextTrainConfig) -> None:
    """Trains a language model with a line per epoch on standard output, and tests it."""
    genotype = load_genotype(_genotype(config), recurrent=True)
    dataset = introduced(lambda: load_text(config.dataset, limit=config.limit))
    with EpochProgress(config.epochs) as progress:
        report, callbacks = progress.report, (progress,)
        best = text_training.train(config, genotype, dataset, report, callbacks)
    print(f"\nvalid perplexity {best['valid_perplexity']:.2f}, in epoch {best['epoch'] + 1}")
    if is_chief():
        show_perplexity(text_training.evaluate(config.workdir))


def _genotype(config: TrainConfig | TextTrainConfig) -> str:
    """Its name or file; a resumed run has a copy."""
    return str(config.workdir / runs.GENOTYPE) if config.resume else config.genotype
