"""Text datasets by name: the embedded one, and folders such as Penn Treebank or WikiText-2."""

from __future__ import annotations

import collections
import logging
import os
import re
from collections.abc import Mapping

from darts_tf.configs.text_datasets import FILES, SPLITS, absolute, text_files
from darts_tf.data.text import UNK, TextDataset, make_text, read_text
from darts_tf.errors import InputError, shown

PARAGRAPHS = 16
"""Number of consecutive paragraphs of `pydoc` that go into the same split."""


def load_pydoc() -> list[str]:
    """Loads Python's own reference, as `help("topics")` shows it: about 80 thousand words.

    The text is that of the running Python: another version has other words, another vocabulary and
    another perplexity. A paragraph is a line. Letters are in lower case, and a run of the same
    punctuation mark is a word. Words that occur only once in train become `<unk>`, as in Penn
    Treebank. Paragraphs, in the order of the topics' names, are divided into blocks; of every ten
    blocks valid gets the ninth and test the tenth. Some topics contain others: only the first
    occurrence of a paragraph is kept, since otherwise much of test would also be in train.

    Returns:
        The texts of train, valid and test.

    Raises:
        InputError: this Python has no reference.
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
    """Divides a text into words in the way of `pydoc`: lower case, punctuation runs are words."""
    return [match.group() for match in re.finditer(r"\w+|([^\w\s])\1*", text.lower())]


def _known(line: str, counts: Mapping[str, int]) -> str:
    return " ".join(word if counts[word] > 1 else UNK for word in line.split())


TEXTS = {"pydoc": load_pydoc}
"""Functions that load the texts of `EMBEDDED_TEXTS` and return train, valid and test."""

SPLITTING = {"pydoc": pydoc_words, "spaces": str.split}
"""Functions that divide a line into words, by the name of an embedded text, or `spaces`."""


def splitting_of(dataset: str) -> str:
    """Returns the key in `SPLITTING` for a dataset: the name of an embedded text, or `spaces`."""
    return dataset if dataset in SPLITTING and dataset in TEXTS else "spaces"


def load_text(name_or_folder: str | os.PathLike[str], *, limit: int | None = None) -> TextDataset:
    """Loads a text into memory, at 4 bytes per word.

    An embedded name takes precedence over a folder of that name (write `./pydoc` for the folder).

    Args:
        name_or_folder: an entry of `TEXTS`, or a folder with `train.txt`, `valid.txt` and
            `test.txt`: UTF-8, one sentence per line, white space between words. They are read by
            `make_text`.
        limit: maximum number of words to keep per split; None keeps all.

    Raises:
        InputError: no text of that name, a file that is missing, empty or not UTF-8, or a limit
            that is not positive. The message is one line.
    """
    name = os.fspath(name_or_folder)
    if limit is not None and limit < 1:
        raise InputError(f"`limit` expected at least 1. Received: limit={limit}")
    if name in TEXTS:
        return make_text(name, TEXTS[name](), limit)
    folder = absolute(name)
    files = text_files(folder)
    _check_folder(folder, name, files)
    texts = [_split(os.path.join(folder, files[split])) for split in SPLITS]
    _warn_of_long_words(texts[0], os.path.join(folder, files["train"]))
    return make_text(folder, texts, limit)


def _check_folder(folder: str, name: str, files: Mapping[str, str]) -> None:
    missing = [f"{split}.txt" for split in SPLITS if split not in files]
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


def _warn_of_long_words(text: str, path: str) -> None:
    """Warns of a text without spaces between words, as Chinese or Japanese ones have."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(len(line.split()) == 1 for line in lines):
        logging.getLogger("darts_tf").warning(
            "%s has no spaces: each line counts as one word; separate the words, or the "
            "characters, by spaces",
            path,
        )
