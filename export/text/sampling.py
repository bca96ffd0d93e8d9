"""Text that a language model makes, a word at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from darts_tf.export.text.loading import ExportedText

from darts_tf.errors import InputError


def sample(
    model: ExportedText,
    count: int,
    *,
    prompt: np.ndarray = (),
    temperature: float = 1.0,
    top: int = 0,
    unknown: bool = False,
    seed: int = 0,
) -> Iterator[int]:
    """Yields tokens, each drawn from the model's probabilities after all before it.

    A line begins, with the prompt if there is one.

    Args:
        model: what makes the text.
        count: of tokens.
        prompt: tokens that the text goes on from, `(n,)`.
        temperature: what the logits are divided by: below 1 likely words become likelier.
        top: draw from so many most probable words alone; 0 for all.
        unknown: whether `<unk>` may be drawn.
        seed: the same one gives the same tokens.

    Raises:
        InputError: nothing to begin from, or no word that could be drawn.
    """
    allowed = np.ones_like(model.words.sayable) if unknown else model.words.sayable
    if not allowed.any():
        raise InputError("Expected a vocabulary with words. Received: one of <unk> alone")
    tokens = np.concatenate([model.words.beginning, np.asarray(prompt, int)])
    if not len(tokens):
        raise InputError("Expected a prompt, since the vocabulary has no <eos>. Received: none")
    draw = np.random.default_rng(seed)
    state = np.zeros((1, model.units), np.float32)
    for _ in range(count):
        logits, state = model.advance(tokens[None], state)
        tokens = np.array([choose(logits[0, -1], allowed, temperature, top, draw)])
        yield int(tokens[0])


def choose(
    logits: np.ndarray,
    allowed: np.ndarray,
    temperature: float,
    top: int,
    draw: np.random.Generator,
) -> int:
    """Draws a token.

    Args:
        logits: of all tokens, `(vocabulary,)`.
        allowed: which of them may be drawn, bool `(vocabulary,)`.
        temperature: as for `sample`.
        top: as for `sample`.
        draw: the random numbers, of which one is taken.
    """
    logits = np.where(allowed, np.asarray(logits, np.float64), -np.inf)
    if top:
        logits[np.argsort(-logits, kind="stable")[top:]] = -np.inf
    with np.errstate(over="ignore"):  # at a temperature near 0 all but the best become nothing
        shares = np.exp((logits - logits.max()) / temperature)
    return int(draw.choice(len(shares), p=shares / shares.sum()))
