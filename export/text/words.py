"""Vocabulary and splitting rule of a language model, which are stored with every export."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np

from darts_tf.data import SPLITTING, Vocabulary
from darts_tf.data.text import EOS, UNK
from darts_tf.errors import InputError, unknown_name
from darts_tf.export import folder
from darts_tf.runtime.strict_json import parse_json


@dataclasses.dataclass(frozen=True)
class Words:
    """Vocabulary of a language model and the rule that splits a text into words.

    Attributes:
        vocabulary: words in the order of the logits.
        splitting: name of the rule, a key of `data.SPLITTING`.
    """

    vocabulary: Vocabulary
    splitting: str

    def descriptions(self) -> dict[str, str]:
        """Returns the contents of the files that store this, by file name."""
        settings = json.dumps({"splitting": self.splitting}, indent=2)
        return {folder.VOCABULARY: self.vocabulary.to_text(), folder.TEXT: settings + "\n"}

    @classmethod
    def from_descriptions(cls, vocabulary: bytes, settings: bytes) -> Words:
        """Creates an instance from the contents of the files that `descriptions` returns.

        Raises:
            InputError: the contents are something else.
        """
        stored = parse_json(settings)
        if not isinstance(stored, dict) or set(stored) != {"splitting"}:
            raise InputError(f"Expected an object with splitting. Received: {stored!r:.80}")
        if stored["splitting"] not in SPLITTING:
            raise unknown_name("splitting", stored["splitting"], SPLITTING)
        return cls(cls.vocabulary_from(vocabulary), stored["splitting"])

    @staticmethod
    def vocabulary_from(contents: bytes) -> Vocabulary:
        """Parses the contents of a vocabulary file."""
        return Vocabulary.from_text(contents.decode("utf-8"))

    def split(self, text: str) -> list[str]:
        """Splits a text into words as the dataset does, with `<eos>` for every line end."""
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        words = [SPLITTING[self.splitting](line) for line in lines]
        end = [EOS] if EOS in self.vocabulary.tokens else []
        return sum((line + end for line in words[:-1]), []) + words[-1]

    def unknown(self, words: Sequence[str]) -> list[str]:
        """Returns the words that are not in the vocabulary, each once."""
        return [word for word in dict.fromkeys(words) if word not in self.vocabulary.tokens]

    def tokens(self, words: Sequence[str]) -> np.ndarray:
        """Returns the tokens of words, int32 `(n,)`, with `<unk>` for unknown words.

        Raises:
            InputError: a word is unknown and the vocabulary has no `<unk>`.
        """
        return self.vocabulary.encode(" ".join(words))

    @property
    def beginning(self) -> np.ndarray:
        """Tokens before a text: `<eos>`, which begins a line, or none if there is no such word."""
        return np.array([self.vocabulary.tokens[EOS]] if EOS in self.vocabulary.tokens else [], int)

    @property
    def sayable(self) -> np.ndarray:
        """Mask of tokens that are words, bool `(vocabulary,)`: all but `<unk>`."""
        return np.array([word != UNK for word in self.vocabulary.words])
