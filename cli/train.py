"""`darts-tf train`: from a genotype to a trained network."""

from __future__ import annotations

from cli import output
from cli.evaluate import show_perplexity
from cli.progress import EpochProgress
from cli.search import begin, follow, introduced, prepare
from darts_tf.configs import TextTrainConfig, TrainConfig
from darts_tf.configs.presets import EXPECTED
from darts_tf.data import load_text
from darts_tf.runs import files
from darts_tf.runtime.distribution import is_chief
from darts_tf.spaces.zoo import load_genotype
from darts_tf.training import text
from darts_tf.training.images import dataset_of, scaled_to, train


def run(config: TrainConfig | TextTrainConfig) -> int:
    """Trains the network from scratch, tests it and keeps it."""
    prepare(config)
    begin("train", config)
    if config.preset in EXPECTED:
        output.say(f"preset {config.preset}: the whole recipe reaches {EXPECTED[config.preset]}")
    if isinstance(config, TextTrainConfig):
        metrics = train_text(config)
    else:
        metrics = train_with_progress(config)
        watched = "valid" if config.validation_split else "test"
        output.result(f"\n{watched} accuracy {metrics[f'{watched}_accuracy']:.2%}")
    model = config.workdir / files.MODEL
    output.event("end", command="train", run=config.workdir, network=model, metrics=metrics)
    output.result(f"network: {model}")
    follow("next", f"export --workdir {config.workdir} --output DIR")
    return 0


def train_with_progress(config: TrainConfig) -> dict[str, float]:
    """Trains with a line per epoch on standard output."""
    genotype = load_genotype(_genotype(config))
    dataset = introduced(lambda: dataset_of(config))
    if config.max_macs:
        channels = scaled_to(config, genotype, dataset).channels
        output.say(f"{channels} channels, for at most {config.max_macs:,} MACs")
    with EpochProgress(config.epochs, run=config.workdir) as progress:
        return train(config, genotype, dataset, report=progress.report, callbacks=(progress,))


def train_text(config: TextTrainConfig) -> dict[str, float]:
    """Trains a language model with a line per epoch on standard output, and tests it."""
    genotype = load_genotype(_genotype(config), recurrent=True)
    dataset = introduced(lambda: load_text(config.dataset, limit=config.limit))
    with EpochProgress(config.epochs, run=config.workdir) as progress:
        report, callbacks = progress.report, (progress,)
        best = text.train(config, genotype, dataset, report, callbacks)
    output.result(
        f"\nvalid perplexity {best['valid_perplexity']:.2f}, in epoch {best['epoch'] + 1}"
    )
    if not is_chief():
        return best
    tested = text.evaluate(config.workdir)
    show_perplexity(tested)
    return {**best, **tested}


def _genotype(config: TrainConfig | TextTrainConfig) -> str:
    """Its name or file; a resumed run has a copy."""
    return str(config.workdir / files.GENOTYPE) if config.resume else config.genotype
