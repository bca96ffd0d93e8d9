"""How a text becomes what a language model reads; it is kept with every exported model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
from darts_tf.export import folder

from darts_tf.data import SPLITTING, Vocabulary
from darts_tf.data.text import EOS, UNK
from darts_tf.errors import InputError, unknown_name
from darts_tf.runtime.strict_json import parse_json


@dataclasses.dataclass(frozen=True)
class Words:
    """What a language model's user needs beside it.

    Attributes:
        vocabulary: the words in the order of the logits.
        splitting: how a line is divided into words, a key of `data.SPLITTING`.
    """

    vocabulary: Vocabulary
    splitting: str

    def descriptions(self) -> dict[str, str]:
        """Texts of the files that hold this, by their names."""
        settings = json.dumps({"splitting": self.splitting}, indent=2)
        return {folder.VOCABULARY: self.vocabulary.to_text(), folder.TEXT: settings + "\n"}

    @classmethod
    def from_descriptions(cls, vocabulary: bytes, settings: bytes) -> Words:
        """From the contents of those files.

        Raises:
            InputError: they hold something else.
        """
        found = parse_json(settings)
        if not isinstance(found, dict) or set(found) != {"splitting"}:
            raise InputError(f"Expected an object with splitting. Received: {found!r:.80}")
        if found["splitting"] not in SPLITTING:
            raise unknown_name("splitting", found["splitting"], SPLITTING)
        return cls(cls.vocabulary_from(vocabulary), found["splitting"])

    @staticmethod
    def vocabulary_from(contents: bytes) -> Vocabulary:
        """The vocabulary in a file's contents."""
        return Vocabulary.from_text(contents.decode("utf-8"))

    def split(self, text: str) -> list[str]:
        """The words of a text as its dataset has them, with `<eos>` at the end of every line."""
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        words = [SPLITTING[self.splitting](line) for line in lines]
        end = [EOS] if EOS in self.vocabulary.tokens else []
        return sum((line + end for line in words[:-1]), []) + words[-1]

    def unknown(self, words: Sequence[str]) -> list[str]:
        """Those of the words that are not in the vocabulary, each once."""
        return [word for word in dict.fromkeys(words) if word not in self.vocabulary.tokens]

    def tokens(self, words: Sequence[str]) -> np.ndarray:
        """Tokens of words, int32 `(n,)`, unknown ones as `<unk>`.

        Raises:
            InputError: an unknown word, and no `<unk>` in the vocabulary.
        """
        return self.vocabulary.encode(" ".join(words))

    @property
    def beginning(self) -> np.ndarray:
        """What a model reads before a text, int32: `<eos>`, since a line begins; else nothing."""
        return np.array([self.vocabulary.tokens[EOS]] if EOS in self.vocabulary.tokens else [], int)

    @property
    def sayable(self) -> np.ndarray:
        """Whether a token is a word, bool `(vocabulary,)`: all but `<unk>` are."""
        return np.array([word != UNK for word in self.vocabulary.words])
