"""Vocabularies: text form, comparison, in a run's folder; and hostile text files."""

from __future__ import annotations

import re

import pytest
from audit_reader import fuzz
from damaged_bytes import CODE
from hypothesis import strategies as st
from run_folders import begin, contents, refused
from text_folders import write_texts

from darts_tf.data import Vocabulary, check_same_vocabulary, load_text, read_vocabulary
from darts_tf.data.corpora import FILES
from darts_tf.errors import InputError
from darts_tf.runs import files as run_files


def test_vocabulary_comes_back_from_text_and_words():
    vocabulary = Vocabulary(("the", "<eos>", "é", "<unk>", "..."))
    assert Vocabulary.from_text(vocabulary.to_text()) == vocabulary
    tokens = vocabulary.encode("the  ...\nsnake é")
    assert tokens.tolist() == [0, 4, 3, 2]
    assert vocabulary.decode([0, 4, 1, 1, 2, 3]) == "the ...\n\né <unk>"
    with pytest.raises(InputError, match=r"vocabulary \(1\). Received: 'snake'"):
        Vocabulary(("a",)).encode("a snake")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (("a", "c", "b"), "word 1 is 'b'. Received: one in which it is 'c'"),
        (("a", "b"), "the 3 words .* Received: one with 2, "),
        (("a", "b", "c", "d"), "the 3 words .* Received: one with 4, "),
    ],
)
def test_vocabulary_that_does_not_fit_is_refused_with_the_first_difference(other, message):
    expected = Vocabulary(("a", "b", "c"))
    check_same_vocabulary(expected, Vocabulary(("a", "b", "c")))
    with pytest.raises(InputError, match=message):
        check_same_vocabulary(expected, Vocabulary(other))


def test_run_keeps_the_vocabulary_and_resumes_with_the_same_text_only(tmp_path):
    text = load_text(write_texts(tmp_path / "text"))
    folder = begin(tmp_path / "run", text)
    assert read_vocabulary(folder / run_files.VOCABULARY) == text.vocabulary
    description = run_files.read_json(folder / run_files.DATASET)
    assert description["words"] == {"train": 8, "valid": 3, "test": 4}
    begin(folder, text, resume=True)
    other = load_text(write_texts(tmp_path / "text", valid="d b\n"))
    refused(
        "Expected the dataset that .* but its text changed since then", folder, other, resume=True
    )
    begin(folder, other, overwrite=True)
    assert read_vocabulary(folder / run_files.VOCABULARY) == other.vocabulary
    assert set(contents(folder)) == {
        ".lock",
        "config.json",
        "dataset.json",
        "run.log",
        "vocabulary.txt",
    }


# Hostile files

WORDS = st.one_of(
    st.sampled_from(
        ["a", "<eos>", "<unk>", "\ufeff", "\x1b[31m", CODE, "../../x", "é", "w" * 5000]
    ),
    st.text(max_size=5),
)
TEXT = st.lists(
    st.tuples(WORDS, st.sampled_from([" ", "\n", "\r\n", "\t", "\u2028", ""])), max_size=6
)
HOSTILE = st.one_of(
    TEXT.map(lambda pairs: "".join(w + space for w, space in pairs).encode("utf-8", "replace")),
    st.binary(max_size=20),
    st.sampled_from([b"", b"\n", b"\xff\xfea\x00", b"a\x00b\x00", b"\xed\xa0\x80", b"a\nb\na\n"]),
)


def test_folder_is_taken_or_refused(tmp_path):
    folder = tmp_path.resolve() / "text"
    folder.mkdir()

    def read(contents):
        for file, content in zip(FILES, contents, strict=True):
            (folder / file).unlink(missing_ok=True)
            if content is not None:
                (folder / file).write_bytes(content)

        def reader():
            text = load_text(folder)
            words = text.vocabulary.words
            assert Vocabulary.from_text(text.vocabulary.to_text()).words == words
            assert words[text.train[-1]] == words[text.test[-1]] == "<eos>"

        return reader

    files = st.tuples(*[st.one_of(HOSTILE, HOSTILE, st.none(), st.just(b"a b\n"))] * 3)
    assert fuzz(files, 200, read, folder=folder) > 0.3


def test_vocabulary_is_taken_or_refused(tmp_path):
    path = tmp_path.resolve() / "vocabulary.txt"

    def read(content):
        path.write_bytes(content)

        def reader():
            words = read_vocabulary(path).words
            assert words
            assert len(set(words)) == len(words)
            assert all(re.fullmatch(r"\S+", word) for word in words)

        return reader

    assert fuzz(HOSTILE, 200, read, folder=path.parent) > 0.3
