"""Texts by name: the embedded one, and folders as Penn Treebank and WikiText-2 come."""

from __future__ import annotations

import collections
import os
import re
from collections.abc import Mapping

from darts_tf.configs.text_datasets import FILES, absolute
from darts_tf.data.text import UNK, TextDataset, make_text, read_text
from darts_tf.errors import InputError, shown

PARAGRAPHS = 16
"""Consecutive paragraphs of `pydoc` that are in one split."""


def load_pydoc() -> list[str]:
    """Python's own reference, as its `help("topics")` shows it: some 80 thousand words.

    It is that of the Python that runs, so that other versions of Python give other words, another
    vocabulary and another perplexity. A paragraph is a line. Letters are small, runs of one and the
    same punctuation mark are words, and those that train has but once are `<unk>`, as in Penn
    Treebank. Of every ten blocks of paragraphs, in the order of the topics' names, valid has the
    ninth and test the tenth. Some topics contain others: a paragraph counts where it is first seen
    only, else much of test would be in train too.

    Returns:
        The texts of train, valid and test.

    Raises:
        InputError: this Python comes without it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise InputError(
            "Expected a Python with its reference in it (the module pydoc_data) for the dataset "
            "pydoc. Received: one without"
        ) from error
    paragraphs = (re.split(r"\n\s*\n", topics[name]) for name in sorted(topics))
    lines = dict.fromkeys(" ".join(pydoc_words(p)) for topic in paragraphs for p in topic)
    splits = [[], [], []]
    for i, line in enumerate(filter(None, lines)):
        splits[max(0, i // PARAGRAPHS % 10 - 7)].append(line)
    counts = collections.Counter(word for line in splits[0] for word in line.split())
    return ["\n".join(_known(line, counts) for line in split) for split in splits]


def pydoc_words(text: str) -> list[str]:
    """The words of a text as `pydoc` has them."""
    return [match.group() for match in re.finditer(r"\w+|([^\w\s])\1*", text.lower())]


def _known(line: str, counts: Mapping[str, int]) -> str:
    return " ".join(word if counts[word] > 1 else UNK for word in line.split())


TEXTS = {"pydoc": load_pydoc}
"""The texts of `EMBEDDED_TEXTS`: functions that give train, valid and test."""

SPLITTING = {"pydoc": pydoc_words, "spaces": str.split}
"""How a line is divided into words, by the name of the text that it is done for, or `spaces`."""


def splitting_of(dataset: str) -> str:
    """The key in `SPLITTING` for a dataset: its name, or that of a folder."""
    return dataset if dataset in SPLITTING and dataset in TEXTS else "spaces"


def load_text(name_or_folder: str | os.PathLike[str], *, limit: int | None = None) -> TextDataset:
    """Loads a text into memory, at 4 bytes a word.

    An embedded name wins over a folder of that name (write `./pydoc` for the folder).

    Args:
        name_or_folder: an entry of `TEXTS`, or a folder with `train.txt`, `valid.txt` and
            `test.txt`: UTF-8, a sentence a line, white space between words. `make_text` says what
            becomes of them.
        limit: most words to keep of each split; None keeps all.

    Raises:
        InputError: no text of that name, a file that is missing, empty or not UTF-8, or a limit
            that is not positive; one line that says which.
    """
    name = os.fspath(name_or_folder)
    if limit is not None and limit < 1:
        raise InputError(f"`limit` expected at least 1. Received: limit={limit}")
    if name in TEXTS:
        return make_text(name, TEXTS[name](), limit)
    folder = absolute(name)
    _check_folder(folder, name)
    return make_text(folder, [_split(os.path.join(folder, file)) for file in FILES], limit)


def _check_folder(folder: str, name: str) -> None:
    missing = [file for file in FILES if not os.path.isfile(os.path.join(folder, file))]
    if not missing:
        return
    if not os.path.isdir(folder):
        received = shown(name)
    elif os.path.isdir(os.path.join(folder, "train")):
        received = f"{name!r}, which looks like a folder of images"
    else:
        received = f"{name!r} without {missing[0]}"
    raise InputError(
        f"Expected {' or '.join(TEXTS)}, or a folder with {', '.join(FILES)}. Received: {received}"
    )


def _split(path: str) -> str:
    text = read_text(path)
    if not text or text.isspace():
        raise InputError(f"Expected a text with words in it. Received: {path!r} without any")
    return text
