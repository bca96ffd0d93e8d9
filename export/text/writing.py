"""Exports a trained language model: as SavedModel and TFLite."""

from __future__ import annotations

import functools
import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from darts_tf.errors import InputError
from darts_tf.export import folder, parity, pipeline
from darts_tf.export.inference import HALF
from darts_tf.export.text.formats import TEXT_FORMATS
from darts_tf.export.text.inference import inference_copy
from darts_tf.export.text.words import Words
from darts_tf.models.counting import count_params
from darts_tf.models.language_model import LanguageModel

STREAMS = 4
"""Number of streams that a long enough text for comparisons is divided into."""


def export_language_model(
    model: LanguageModel,
    words: Words,
    output: str | os.PathLike[str],
    *,
    tokens: np.ndarray,
    formats: Sequence[str] = tuple(TEXT_FORMATS),
    name: str = "model",
    version: int | None = None,
    overwrite: bool = False,
    facts: Mapping[str, object] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Writes a folder with a language model, its vocabulary, genotype and reports, like `export`.

    Args:
        model: from `darts_tf.build_language_model`; it is not changed.
        words: vocabulary, and the rule that splits a text into words.
        output: folder to write, new or empty; parent folders are created.
        tokens: text to compare the models with Keras on, `(streams, time)`, with time at least 2:
            from each token but the last the next one is predicted.
        formats: names of `TEXT_FORMATS`.
        name: name of the model, for servers.
        version: version of the SavedModel; by default the one after the newest at `output`.
        overwrite: replace the earlier export at `output`, file by file.
        facts: more entries for the report, such as the source of the tokens.
        report: called with a line of text at every step.

    Returns:
        The report, which is also written, like that of `export`, with the perplexity on `tokens`.

    Raises:
        InputError: an invalid argument, or an output folder that holds other files.
        ParityError: every model differs too much from Keras; nothing is written then.
    """
    output = pathlib.Path(output).resolve()
    pipeline.check_formats(formats, TEXT_FORMATS)
    _check_tokens(tokens, len(words.vocabulary), model.vocabulary)
    folder.check_output(output, overwrite)
    version = folder.new_version(output, name, version)
    inference = inference_copy(model)
    reference = inference if model.compute_dtype in HALF else model
    read, targets = np.asarray(tokens)[:, :-1], np.asarray(tokens)[:, 1:]
    report(f"running Keras on {targets.size} words")
    expected = np.asarray(reference(read), np.float32)

    @functools.cache
    def rounding() -> float:
        """Returns the difference of Keras' own logits from those in float64, a lower limit."""
        return parity.compare(inference_copy(model, "float64")(read), expected).difference

    def quality(logits: np.ndarray) -> dict[str, float]:
        return {"perplexity": perplexity(logits, targets)}

    network_digest = pipeline.fingerprint(inference, model.genotype, words.descriptions(), name)
    summary = {
        **_summary(inference, words),
        **{"check_words": targets.size, "check_streams": len(targets)},
        **quality(expected),
        **(facts or {}),
        **{"name": name, "version": version, "network": network_digest},
        **{"formats": {}, "missed": {}, "left_out": {}},
    }

    def describe(written: pathlib.Path) -> None:
        folder.write_texts(written, words.descriptions())
        model.genotype.save(written / folder.GENOTYPE)

    return pipeline.publish(
        output,
        summary,
        {each: TEXT_FORMATS[each] for each in formats},
        pipeline.Comparison(expected, quality, rounding),
        describe=describe,
        write=lambda form, path: form.write(inference, words, path),
        logits=lambda form, path: form.open_logits(path)(read),
        report=report,
    )


def stretch(tokens: np.ndarray, count: int) -> np.ndarray:
    """Returns the beginning of a text, `(streams, time)`, with about `count` predicted words.

    Raises:
        InputError: the text has fewer than two words.
    """
    streams = max(1, min(STREAMS, count, len(tokens) // 2))
    time = min(1 + math.ceil(count / streams), len(tokens) // streams)
    if time < 2:
        raise InputError(f"Expected a text of two words or more. Received: {len(tokens)}")
    return np.asarray(tokens[: streams * time]).reshape(streams, time)


def perplexity(logits: np.ndarray, targets: np.ndarray) -> float:
    """Returns the exponential of the mean negative log-likelihood per word.

    Args:
        logits: `(streams, time, vocabulary)`.
        targets: tokens of the words that followed, `(streams, time)`.
    """
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    target_logits = np.take_along_axis(shifted, np.asarray(targets)[..., None], -1)[..., 0]
    losses = np.log(np.exp(shifted).sum(-1)) - target_logits
    return float(np.exp(min(losses.mean(), 700)))


def _summary(model: LanguageModel, words: Words) -> dict:
    parameters, vocabulary = count_params(model), len(words.vocabulary)
    return {
        "versions": pipeline.versions(),
        "genotype": json.loads(model.genotype.to_json()),
        "vocabulary": vocabulary,
        "units": model.cell.units,
        "splitting": words.splitting,
        "parameters": parameters,
        # every matrix is multiplied once per word; the classifier's biases are only added
        "macs": parameters - vocabulary,
    }


def _check_tokens(tokens: np.ndarray, words: int, vocabulary: int) -> None:
    if words != vocabulary:
        raise InputError(f"Expected one word per logit, {vocabulary}. Received: {words} words")
    tokens = np.asarray(tokens)
    fits = tokens.ndim == 2 and tokens.dtype.kind in "iu" and tokens.shape[1] > 1 and tokens.size
    if not fits or not 0 <= tokens.min() <= tokens.max() < vocabulary:
        raise InputError(
            f"Expected tokens (streams, time), integers from 0 to {vocabulary - 1}, two or more of "
            f"time. Received: {tokens.dtype} {tokens.shape}"
        )
