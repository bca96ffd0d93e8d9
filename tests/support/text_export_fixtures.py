"""A tiny language model, its run and its export, for tests of exports."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np

from darts_tf import export
from darts_tf.configs import TextTrainConfig
from darts_tf.data import Vocabulary, load_text
from darts_tf.models.language_model import LanguageModel, build_language_model
from darts_tf.runs import folder as run_folder
from darts_tf.spaces.zoo import RECURRENT_GENOTYPES

UNITS = 8
KNOWN = ("<eos>", "<unk>", "über", *(f"w{i}" for i in range(27)))
"""The 30 words of the text below, in order."""
SIZE = len(KNOWN)
GENOTYPE = "DARTS_V2"


def small_model(vocabulary=SIZE, units=UNITS, genotype=GENOTYPE, **dropouts) -> LanguageModel:
    """Returns a model with plausible trained weights, not all near zero."""
    model = build_language_model(RECURRENT_GENOTYPES[genotype], vocabulary, units, **dropouts)
    draw = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(draw.normal(0, 0.5, variable.shape))
    return model


def words_of(*known: str, splitting="spaces") -> export.Words:
    return export.Words(Vocabulary(known or KNOWN), splitting)


def drawn_tokens(streams=3, time=9, vocabulary=SIZE, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, vocabulary, (streams, time), np.int32)


def logits_of(model: LanguageModel, tokens) -> np.ndarray:
    """Returns the logits of new streams."""
    return np.asarray(model(np.asarray(tokens)))


def probabilities_of(model: LanguageModel, tokens) -> np.ndarray:
    """Returns probabilities of the word after one stream's tokens, by the formula in float64."""
    logits = logits_of(model, [tokens])[0, -1].astype(np.float64)
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


class Texts(NamedTuple):
    """A run on text, its export, model and report, and the folder of the text."""

    run: pathlib.Path
    output: pathlib.Path
    model: LanguageModel
    report: dict
    text: pathlib.Path


def write_text(folder: pathlib.Path) -> pathlib.Path:
    """Writes a text with the words of `KNOWN`, in order."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        lines = [" ".join(draw.choice(KNOWN[1:], 12)) for _ in range(30)]
        begins = ["", " ".join(KNOWN[1:])] if split == "train" else []
        (folder / f"{split}.txt").write_text("\n".join([*begins, *lines]) + "\n", "utf-8")
    return folder


def run_and_export_text(folder: pathlib.Path) -> Texts:
    """Writes a run, `run`, of an untrained model, and its export, `out`."""
    model = small_model(hidden_dropout=0.3, word_dropout=0.1)
    dataset = load_text(write_text(folder / "text"))
    assert dataset.vocabulary.words == KNOWN
    config = TextTrainConfig(workdir=folder / "run", genotype=GENOTYPE, dataset=dataset.name)
    with run_folder.started_run(config, dataset, model.genotype) as run:
        model.save(run / "model.keras")
    words = words_of()
    tokens = drawn_tokens(4, 17)
    report = export.export_language_model(model, words, folder / "out", tokens=tokens)
    return Texts(folder / "run", folder / "out", model, report, folder / "text")
