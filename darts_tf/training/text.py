"""Training and testing of a recurrent genotype's language model."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from darts_tf.configs import TextTrainConfig
from darts_tf.data import (
    TextDataset,
    Vocabulary,
    check_same_vocabulary,
    evaluation_segments,
    load_text,
    read_vocabulary,
    train_segments,
)
from darts_tf.errors import InputError
from darts_tf.models.language_model import (
    LanguageModel,
    RecurrentModel,
    build_language_model,
    load_language_model,
)
from darts_tf.runs import files
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.atomic import replacing
from darts_tf.runtime.distribution import is_chief, make_strategy
from darts_tf.runtime.execution import compiles
from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.training.callbacks import Record, run_callbacks
from darts_tf.training.feeds import check_streams, text_feed
from darts_tf.training.language_trainer import LanguageTrainer
from darts_tf.training.loop import fit, run_with_trainer
from darts_tf.training.losses import cross_entropy
from darts_tf.training.optimizers import SGD

TESTED_STEPS = 100
"""Words per stream in a test step; the result does not depend on it."""


def train(
    config: TextTrainConfig,
    genotype: RecurrentGenotype,
    dataset: TextDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    build_model: Callable[..., RecurrentModel] = build_language_model,
) -> dict[str, float]:
    """Trains a genotype's language model from scratch, and saves that of the best epoch.

    Creates the run's folder, writes metrics and checkpoints at least after every epoch, and the
    model at the end. The best epoch is chosen on the validation text; the test text is not used.

    Args:
        config: the settings.
        genotype: the cell.
        dataset: the text to train on.
        report: called with every epoch's metrics.
        callbacks: additional Keras callbacks.
        build_model: builds the model, to compare with other models.

    Returns:
        The metrics of the best epoch, including `valid_perplexity`.

    Raises:
        InputError: a batch larger than a text, or a folder that is in use, both before anything is
            written; or other settings than those of the run to resume.
        Interrupted: Ctrl-C or SIGTERM was received; a checkpoint has been written.
        Diverged: losses or gradients were not finite, again after rolling back once.
        OSError: a file could not be written; earlier checkpoints are unchanged.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    strategy = make_strategy(config.strategy, config.devices)
    check_streams(config, dataset, strategy.num_replicas_in_sync)
    segments = functools.partial(train_segments, dataset.train)
    feed = text_feed(config, dataset, segments, config.time_steps_spread)
    model = functools.partial(
        build_model, genotype, len(dataset.vocabulary), config.units, **config.dropouts
    )
    build = functools.partial(build_trainer, config, model)
    with run_with_trainer(config, dataset, strategy, build, genotype) as (folder, trainer):
        record = Record(folder, dict, report, writes=is_chief())
        fit(trainer, config, folder, feed, [*run_callbacks(config, record), *callbacks])
        if is_chief():
            trainer.take_averages()
            with replacing(folder / files.MODEL) as path:
                trainer.network.save(path)
        best = int(np.argmin(trainer.tested_losses.numpy()))
    return read_metrics(folder)[best]


def build_trainer(
    config: TextTrainConfig, build_model: Callable[[], RecurrentModel]
) -> LanguageTrainer:
    """Builds a language model and returns its compiled trainer."""
    trainer = LanguageTrainer(
        build_model(),
        config.batch_size,
        config.valid_batch_size,
        config.time_steps,
        epochs=config.epochs,
        average_after=config.average_after,
        activation_regularization=config.activation_regularization,
        temporal_regularization=config.temporal_regularization,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
    )
    trainer.compile(
        optimizer=SGD(config.learning_rate),
        loss=cross_entropy,
        jit_compile=compiles(config.jit_compile),
    )
    return trainer


def load_run(workdir: str | os.PathLike[str]) -> tuple[LanguageModel, Vocabulary]:
    """Loads the language model of a training run and its vocabulary.

    Raises:
        InputError: no finished training run in the folder, or its files do not match each other.
    """
    model = load_language_model(files.existing(workdir, files.MODEL))
    vocabulary = read_vocabulary(files.existing(workdir, files.VOCABULARY))
    if len(vocabulary) != model.vocabulary:
        raise InputError(
            f"Expected a vocabulary of {model.vocabulary} words, as the model has. "
            f"Received: {str(workdir)!r} with {len(vocabulary)} in {files.VOCABULARY}"
        )
    return model, vocabulary


def settings_of(workdir: str | os.PathLike[str]) -> TextTrainConfig:
    """Reads the settings of a training run.

    Raises:
        InputError: no training run on text in the folder.
    """
    return TextTrainConfig.from_dict(files.read_json(files.existing(workdir, files.CONFIG)))


def evaluate(
    workdir: str | os.PathLike[str],
    *,
    batch_size: int = 1,
    limit: int | None = None,
    dataset: TextDataset | None = None,
) -> dict[str, float]:
    """Tests the language model of a training run on the test split of its text.

    Args:
        workdir: folder of the run.
        batch_size: number of streams into which the text is divided; see `perplexity`.
        limit: maximum number of words; by default the run's limit.
        dataset: the text; by default that of the run is loaded, of which `limit` is a part.

    Returns:
        `test_loss`, `test_perplexity` and `test_words`, the number of predicted words.

    Raises:
        InputError: no finished training run in the folder, its text has another vocabulary, or
            too few words for the batch.
    """
    model, vocabulary = load_run(workdir)
    config = settings_of(workdir)
    dataset = dataset or load_text(config.dataset, limit=limit or config.limit)
    check_same_vocabulary(vocabulary, dataset.vocabulary)
    metrics = perplexity(model, dataset.test, batch_size)
    return {f"test_{name}": value for name, value in metrics.items()}


def perplexity(model: LanguageModel, tokens: np.ndarray, batch_size: int = 1) -> dict[str, float]:
    """Computes the perplexity of a model on a text.

    With one stream every word but the first is predicted from all words before it, as in the
    authors' test. More streams are faster but measure something else, since each begins with a zero
    state.

    Args:
        model: a language model.
        tokens: int32, `(n,)`.
        batch_size: number of streams.

    Returns:
        `loss`, the mean negative log-likelihood of a word; `perplexity`, its exponential; and
        `words`, the number of predicted words.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def losses(tokens, targets, state):
        logits, state = model(tokens, initial_state=state, return_state=True)
        values = tf.nn.sparse_softmax_cross_entropy_with_logits(
            targets, tf.cast(logits, tf.float32)
        )
        return tf.reduce_sum(tf.cast(values, tf.float64)), state

    total, words = 0.0, 0
    state = tf.zeros((batch_size, model.state_units), model.compute_dtype)
    for segment in evaluation_segments(tokens, batch_size, bptt=TESTED_STEPS):
        loss, state = losses(segment.tokens, segment.targets, state)
        total += float(loss)
        words += int(tf.size(segment.targets))
    mean = total / words
    return {"loss": mean, "perplexity": math.exp(min(mean, 700)), "words": words}
