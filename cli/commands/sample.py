"""`darts-tf sample`: generation of text by a language model."""

from __future__ import annotations

import sys

from darts_tf import export
from darts_tf.cli import output, startup
from darts_tf.configs import SampleConfig
from darts_tf.data.text import UNK
from darts_tf.errors import escaped, listed


def run(config: SampleConfig) -> int:
    """Prints the prompt, as the model reads it, and the words that continue it."""
    with startup.held_stderr():
        model = export.load_text_model(config.model)
        prompt_words = model.words.split(config.prompt)
        prompt = model.words.tokens(prompt_words)
        sampled = export.sample(
            model,
            config.words,
            prompt=prompt,
            temperature=config.temperature,
            top=config.top,
            unknown=config.unknown,
            seed=config.seed,
        )
        tokens = list(sampled)
    if unknown := model.words.unknown(prompt_words):
        print(f"darts-tf: read as {UNK}: {escaped(listed(unknown))}", file=sys.stderr)
    output.result(model.words.vocabulary.decode([*prompt, *tokens]).rstrip("\n"))
    return 0
