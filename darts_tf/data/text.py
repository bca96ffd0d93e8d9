"""Text datasets: a vocabulary, and three splits as sequences of tokens."""

from __future__ import annotations

import array
import dataclasses
import functools
import hashlib
import io
import os
import pathlib
from collections.abc import Iterable

import numpy as np

from darts_tf.configs.text_datasets import SPLITS
from darts_tf.errors import InputError, shown

EOS = "<eos>"
"""Word that ends every line."""
UNK = "<unk>"
"""Word that replaces words outside the vocabulary of a published text."""


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Vocabulary of a language model.

    Attributes:
        words: distinct words, none empty or with white space in it; a word's index is its token.
    """

    words: tuple[str, ...]

    def __repr__(self) -> str:
        """Writes the number of words in place of the words."""
        return f"<Vocabulary of {len(self):,} words>"

    def __len__(self) -> int:
        return len(self.words)

    @functools.cached_property
    def tokens(self) -> dict[str, int]:
        """Tokens by word."""
        return {word: token for token, word in enumerate(self.words)}

    def encode(self, text: str) -> np.ndarray:
        """Encodes words separated by white space; unknown words become `<unk>`.

        Returns:
            int32, `(n,)`; no `<eos>` is added.

        Raises:
            InputError: an unknown word, and no `<unk>` in the vocabulary.
        """
        unknown = self.tokens.get(UNK)
        tokens = [self.tokens.get(word, unknown) for word in text.split()]
        if None in tokens:
            word = shown(text.split()[tokens.index(None)])
            raise InputError(f"Expected words of the vocabulary ({len(self)}). Received: {word}")
        return np.array(tokens, np.int32)

    def decode(self, tokens: Iterable[int]) -> str:
        """Returns the words of tokens, separated by spaces, with a line break for `<eos>`."""
        words = (self.words[token] for token in tokens)
        lines = " ".join("\n" if word == EOS else word for word in words)
        return "\n".join(line.strip(" ") for line in lines.split("\n"))

    def to_text(self) -> str:
        """Returns one word per line, in the order of the tokens."""
        return "".join(f"{word}\n" for word in self.words)

    @classmethod
    def from_text(cls, text: str) -> Vocabulary:
        """Makes a vocabulary from the result of `to_text`.

        Raises:
            InputError: a line that is not exactly one word, a repeated word, or an empty text.
        """
        words = text.split("\n")[: -1 if text.endswith("\n") else None]
        for i, word in enumerate(words):
            if word.split() != [word]:
                raise InputError(f"Expected one word a line. Received: line {i + 1}, {shown(word)}")
        vocabulary = cls(tuple(words))
        if len(vocabulary.tokens) < len(words):
            twice = next(word for i, word in enumerate(words) if vocabulary.tokens[word] != i)
            raise InputError(f"Expected every word once. Received: {shown(twice)} more than once")
        return vocabulary


@dataclasses.dataclass(frozen=True)
class TextDataset:
    """Text for language models.

    Attributes:
        name: name or folder from which it was loaded.
        vocabulary: all words of the three splits.
        train: tokens for training, in order, int32, `(n,)`.
        valid: tokens for training the alphas and for model selection, int32.
        test: tokens for the test, int32.
    """

    name: str
    vocabulary: Vocabulary
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    def __str__(self) -> str:
        """Writes numbers of words in one line."""
        return (
            f"{self.name}: {len(self.train):,} training, {len(self.valid):,} validation and "
            f"{len(self.test):,} test words, vocabulary of {len(self.vocabulary):,}"
        )

    def __repr__(self) -> str:
        """Writes `str` of it in brackets: tokens and words would fill pages."""
        return f"<TextDataset {self}>"

    def description(self) -> dict[str, object]:
        """Returns sizes and a SHA-256 of all data, which a run saves and compares on resume."""
        digest = hashlib.sha256(self.vocabulary.to_text().encode())
        for split in SPLITS:
            digest.update(getattr(self, split).astype("<i4").tobytes())
        sizes = {split: len(getattr(self, split)) for split in SPLITS}
        return {"words": sizes, "vocabulary": len(self.vocabulary), "text": digest.hexdigest()}


def make_text(name: str, texts: Iterable[str], limit: int | None = None) -> TextDataset:
    """Makes a dataset of three texts with one sentence per line and white space between words.

    As in the authors' code, every line ends with the word `<eos>`, even an empty one. Words keep
    their case. Tokens are numbered in the order of the words' first occurrence in train, valid and
    test. So the authors' weights fit if they were trained on the same files.

    Args:
        name: name of the dataset.
        texts: the texts of train, valid and test.
        limit: number of words to keep at the beginning of each split; the vocabulary does not
            change. None keeps all.
    """
    tokens: dict[str, int] = {}
    streams = []
    for text in texts:
        stream = array.array("i")
        for line in io.StringIO(text, newline=None):
            stream.extend([tokens.setdefault(word, len(tokens)) for word in (*line.split(), EOS)])
        streams.append(np.array(stream[:limit], np.int32))
    return TextDataset(name, Vocabulary(tuple(tokens)), *streams)


def check_same_vocabulary(expected: Vocabulary, received: Vocabulary) -> None:
    """Raises InputError unless a text has the vocabulary of a model.

    Args:
        expected: vocabulary of the model.
        received: vocabulary of the text.

    Raises:
        InputError: names the first difference.
    """
    for token, words in enumerate(zip(expected.words, received.words, strict=False)):
        if words[0] != words[1]:
            one, other = map(shown, words)
            raise InputError(
                "Expected a text with the vocabulary that the model was trained with, in which "
                f"word {token} is {one}. Received: one in which it is {other}"
            )
    if len(expected) != len(received):
        raise InputError(
            f"Expected a text with the {len(expected)} words that the model was trained with. "
            f"Received: one with {len(received)}, of which the first ones are the same"
        )


def read_text(path: str | os.PathLike[str]) -> str:
    """Reads a UTF-8 text file; a byte order mark is dropped.

    Raises:
        InputError: no file, or one that cannot be read or is not UTF-8; the message is one line
            with its name.
    """
    name = repr(os.fspath(path))
    if not os.path.isfile(path):
        raise InputError(f"Expected a text file. Received: {name}, which is none")
    try:
        text = pathlib.Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            f"Expected a file that can be read. Received: {name} ({error.strerror})"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"Expected a text in UTF-8. Received: {name}, {error.reason} at byte {error.start}"
        ) from error
    if "\0" in text:  # e.g. UTF-16 without a byte order mark
        raise InputError(f"Expected a text in UTF-8. Received: {name}, with a zero byte in it")
    return text


def read_vocabulary(path: str | os.PathLike[str]) -> Vocabulary:
    """Reads the vocabulary that a run has saved.

    Raises:
        InputError: no such file, or another content.
    """
    text = read_text(path)
    try:
        return Vocabulary.from_text(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
