"""What a text is: a vocabulary, and three streams of words as positions in it."""

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
"""The word at the end of every line."""
UNK = "<unk>"
"""The word in place of those that a text was published without."""


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The words that a language model knows.

    Attributes:
        words: all different, none empty or with white space in it; a word's position is its token.
    """

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    @functools.cached_property
    def tokens(self) -> dict[str, int]:
        """From word to token."""
        return {word: token for token, word in enumerate(self.words)}

    def encode(self, text: str) -> np.ndarray:
        """The tokens of words with white space between them; unknown ones become `<unk>`.

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
        """The words of tokens, with a space between them and a line end for `<eos>`."""
        words = (self.words[token] for token in tokens)
        lines = " ".join("\n" if word == EOS else word for word in words)
        return "\n".join(line.strip(" ") for line in lines.split("\n"))

    def to_text(self) -> str:
        """A word a line, in the order of the tokens."""
        return "".join(f"{word}\n" for word in self.words)

    @classmethod
    def from_text(cls, text: str) -> Vocabulary:
        """The vocabulary of which `to_text` gave this.

        Raises:
            InputError: a line that is not one word, a word twice, or no word at all.
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
    """A text for language models.

    Attributes:
        name: the name or folder it was loaded from.
        vocabulary: all words of the three splits.
        train: int32, `(n,)`: the tokens to train on, in their order.
        valid: those for the alphas, and to choose by.
        test: those to test on.
    """

    name: str
    vocabulary: Vocabulary
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    def description(self) -> dict[str, object]:
        """What a run writes down, and compares where it is resumed: sizes, and a SHA-256 of all."""
        digest = hashlib.sha256(self.vocabulary.to_text().encode())
        for split in SPLITS:
            digest.update(getattr(self, split).astype("<i4").tobytes())
        sizes = {split: len(getattr(self, split)) for split in SPLITS}
        return {"words": sizes, "vocabulary": len(self.vocabulary), "text": digest.hexdigest()}


def make_text(name: str, texts: Iterable[str], limit: int | None = None) -> TextDataset:
    """A dataset of three texts: a line is a sentence, words are what white space divides.

    As in the authors' code every line ends with the word `<eos>`, an empty one too, words keep
    their case, and tokens count up in the order in which words are first seen in train, valid and
    test: weights of theirs, trained on the same files, fit.

    Args:
        name: of the dataset.
        texts: of train, valid and test.
        limit: most words to keep of each split, the first ones; the vocabulary stays that of all.
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
    """Refuses a text on another vocabulary than that of a model.

    Args:
        expected: of the model.
        received: of the text.

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
    """A file's text; a byte order mark before it is left out.

    Raises:
        InputError: no file, or one that cannot be read or is not UTF-8; one line with its name.
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
    if "\0" in text:  # such as UTF-16 without a mark
        raise InputError(f"Expected a text in UTF-8. Received: {name}, with a zero byte in it")
    return text


def read_vocabulary(path: str | os.PathLike[str]) -> Vocabulary:
    """The vocabulary that a run keeps.

    Raises:
        InputError: no such file, or it holds something else.
    """
    text = read_text(path)
    try:
        return Vocabulary.from_text(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
