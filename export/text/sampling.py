"""Generation of text by a language model, one word at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from darts_tf.errors import InputError
from darts_tf.export.text.loading import ExportedText


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
    """Yields tokens, each drawn from the model's probabilities given all tokens before it.

    The text starts at the beginning of a line, with the prompt if there is one.

    Args:
        model: model that generates the text.
        count: number of tokens.
        prompt: tokens that the text continues, `(n,)`.
        temperature: divisor of the logits; below 1 likely words become likelier.
        top: number of most probable words to draw from; 0 for all.
        unknown: whether `<unk>` may be drawn.
        seed: seed of the random numbers; the same seed gives the same tokens.

    Raises:
        InputError: no prompt for a vocabulary without `<eos>`, or no word that could be drawn.
    """
    allowed = np.ones_like(model.words.sayable) if unknown else model.words.sayable
    if not allowed.any():
        raise InputError("Expected a vocabulary with words. Received: one with only <unk>")
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
        logits: logits of all tokens, `(vocabulary,)`.
        allowed: whether each token may be drawn, bool `(vocabulary,)`.
        temperature: divisor of the logits.
        top: number of most probable words to draw from; 0 for all.
        draw: random generator; one number is drawn.
    """
    logits = np.where(allowed, np.asarray(logits, np.float64), -np.inf)
    if top:
        logits[np.argsort(-logits, kind="stable")[top:]] = -np.inf
    with np.errstate(over="ignore"):  # at a temperature near 0 all but the best become 0
        shares = np.exp((logits - logits.max()) / temperature)
    return int(draw.choice(len(shares), p=shares / shares.sum()))
