"""Texts: their tokens, the embedded text, folders, and a one-line error for each bad text."""

from __future__ import annotations

import collections
import sys
import types

import numpy as np
import pytest
from text_folders import SPLITS, write_texts

from darts_tf.configs.text_datasets import EMBEDDED_TEXTS, is_text
from darts_tf.data import (
    TEXTS,
    load_dataset,
    load_text,
)
from darts_tf.data.sources import lasting_name
from darts_tf.errors import InputError


@pytest.fixture(scope="module")
def pydoc():
    return load_text("pydoc")


# Words


def test_words_count_up_as_they_are_first_seen_and_lines_end_with_eos(tmp_path):
    text = load_text(write_texts(tmp_path))
    assert text.vocabulary.words == ("a", "b", "<eos>", "c", "d", "<unk>")
    assert text.train.tolist() == [0, 1, 0, 2, 2, 3, 1, 2]
    assert text.valid.tolist() == [1, 4, 2]
    assert text.test.tolist() == [0, 5, 4, 2]
    assert {getattr(text, split).dtype for split in SPLITS} == {np.dtype(np.int32)}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a\r\nb\rc\n", "a <eos> b <eos> c <eos>"),
        ("a\x0bb\x0cc\x85d\u2028e\u3000f\xa0g", "a b c d e f g <eos>"),
        ("\ufeffÄ ä\n", "Ä ä <eos>"),
        ("\n\na", "<eos> <eos> a <eos>"),
    ],
)
def test_lines_and_words_are_those_that_python_reads(tmp_path, written, read):
    text = load_text(write_texts(tmp_path, train=written))
    assert [text.vocabulary.words[token] for token in text.train] == read.split()
    without_mark = tmp_path / "x.txt"
    without_mark.write_bytes(written.lstrip("\ufeff").encode())
    with without_mark.open(encoding="utf-8") as file:
        assert [word for line in file for word in (*line.split(), "<eos>")] == read.split()


@pytest.mark.parametrize("name", ["ptb-small", "wikitext-2-small"])
def test_real_text_is_read_as_the_reference_does(shared, name):
    folder = shared / "data" / name
    text = load_text(folder)
    words = {}
    for split in SPLITS:
        lines = (folder / f"{split}.txt").read_text(encoding="utf-8").split("\n")
        expected = [word for line in lines[:-1] for word in (*line.split(), "<eos>")]
        words |= dict.fromkeys(expected)
        decoded = [text.vocabulary.words[token] for token in getattr(text, split)]
        assert decoded == expected
    assert text.vocabulary.words == tuple(words)


def test_limit_takes_the_first_words_and_leaves_the_vocabulary(tmp_path):
    whole, text = load_text(write_texts(tmp_path)), load_text(tmp_path, limit=3)
    assert text.vocabulary == whole.vocabulary
    for split in SPLITS:
        np.testing.assert_array_equal(getattr(text, split), getattr(whole, split)[:3])


# Python's reference


def test_pydoc_is_four_fifths_train_of_a_few_thousand_words(pydoc):
    sizes = np.array([len(getattr(pydoc, split)) for split in SPLITS])
    assert sizes.sum() > 40_000
    np.testing.assert_allclose(sizes / sizes.sum(), [0.8, 0.1, 0.1], atol=0.04)
    assert 1000 < len(pydoc.vocabulary) < 10_000
    assert {"the", "python", "(", "<unk>", "<eos>"} <= set(pydoc.vocabulary.words)


def test_pydoc_trains_every_word_twice_but_the_unknown(pydoc):
    counts = np.bincount(pydoc.train, minlength=len(pydoc.vocabulary))
    assert counts.min() >= 2
    assert 0.005 < counts[pydoc.vocabulary.tokens["<unk>"]] / counts.sum() < 0.05


def test_pydoc_has_no_paragraph_twice(pydoc):
    def paragraphs(split):
        words = " ".join(pydoc.vocabulary.words[token] for token in getattr(pydoc, split))
        return [line for line in words.split("<eos>") if line and "<unk>" not in line]

    counts = collections.Counter(line for split in SPLITS for line in paragraphs(split))
    assert counts.most_common(1)[0][1] == 1


def of_topics(monkeypatch, **topics) -> list[list[str]]:
    """Returns the lines of the splits if these topics are Python's reference."""
    module = types.ModuleType("pydoc_data.topics")
    module.topics = topics
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", module)
    return [text.split("\n") if text else [] for text in TEXTS["pydoc"]()]


def test_pydoc_of_a_tiny_reference(monkeypatch):
    topics = {"b": "Two  words,\n\n\ntwo\nwords,\n", "a": "***\nx == _y1 [x]", "c": "\n"}
    assert of_topics(monkeypatch, **topics) == [
        ["<unk> x <unk> <unk> <unk> x <unk>", "<unk> <unk> <unk>"],
        [],
        [],
    ]


def test_pydoc_puts_the_ninth_and_tenth_block_into_valid_and_test(monkeypatch):
    topics = {f"{i:03}": f"is {i} {i}\n\nand\nagain" for i in range(319)}
    train, *others = of_topics(monkeypatch, **topics)
    # the paragraph in all topics is the second one
    numbers = [[i - 1 for i in range(320) if i // 16 % 10 == block] for block in (8, 9)]
    assert others == [["is <unk> <unk>"] * len(block) for block in numbers]
    assert train[:3] == ["is 0 0", "<unk> <unk>", "is 1 1"]
    assert len(train) == 256


def test_pydoc_says_that_a_python_lacks_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(InputError, match="Received: one without"):
        load_text("pydoc")


# Names and folders of texts


def test_every_embedded_text_can_be_loaded():
    assert tuple(TEXTS) == EMBEDDED_TEXTS


def test_text_is_distinguished_from_images(tmp_path, monkeypatch):
    write_texts(tmp_path / "text", test=None)
    write_texts(tmp_path / "images")
    (tmp_path / "images" / "train").mkdir()
    assert is_text("pydoc")
    assert is_text(tmp_path / "text")
    for other in (
        "digits",
        "cifar10",
        tmp_path,
        tmp_path / "images",
        tmp_path / "no",
        "\0",
        "x" * 999,
    ):
        assert not is_text(other)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pydoc").mkdir()
    assert is_text("pydoc")
    assert not is_text("./pydoc")
    assert (lasting_name("pydoc"), lasting_name("text")) == ("pydoc", str(tmp_path / "text"))
    with pytest.raises(InputError, match="dataset of images. Received: text, which is a text"):
        load_dataset("text")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"valid": None}, "Received: .*text' without valid.txt"),
        ({"train": ""}, "words in it. Received: .*train.txt' without any"),
        ({"test": " \n\n"}, "words in it. Received: .*test.txt' without any"),
        ({"train": b"a b \xff\n"}, "UTF-8. Received: .*train.txt', invalid start byte at byte 4"),
        ({"train": "a b".encode("utf-16")}, "UTF-8. Received: .*train.txt', invalid start byte"),
        ({"train": "a b".encode("utf-16-le")}, "UTF-8. Received: .*train.txt', with a zero byte"),
    ],
)
def test_bad_folder_is_refused_in_one_line(tmp_path, texts, message):
    with pytest.raises(InputError, match=message) as error:
        load_text(write_texts(tmp_path / "text", **texts))
    assert len(str(error.value).splitlines()) == 1


def test_what_is_no_text_is_refused_in_one_line(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="Expected pydoc, or a folder with train.txt.* of images"):
        load_text(tmp_path)
    with pytest.raises(InputError, match="Expected pydoc, or .* Received: 'pydocs'"):
        load_text("pydocs")
    with pytest.raises(InputError, match="limit=0"):
        load_text("pydoc", limit=0)


@pytest.mark.parametrize(
    "names",
    [
        ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
        ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
    ],
)
def test_texts_are_read_under_their_published_names(tmp_path, names):
    for i, name in enumerate(names):
        (tmp_path / name).write_text(f"word {i}\n")
    assert is_text(tmp_path)
    assert load_text(tmp_path).vocabulary.words == ("word", "0", "<eos>", "1", "2")
    (tmp_path / names[1]).unlink()
    with pytest.raises(InputError, match=r"without valid\.txt"):
        load_text(tmp_path)


def test_folder_of_images_with_lists_beside_is_no_text(tmp_path):
    write_texts(tmp_path)
    assert is_text(tmp_path)
    (tmp_path / "notes").mkdir()
    assert is_text(tmp_path)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "1.JPG").touch()
    assert not is_text(tmp_path)


@pytest.mark.parametrize(("text", "warns"), [("我们\n你好吗\n", True), ("two words\none\n", False)])
def test_text_without_spaces_gets_a_warning(tmp_path, caplog, text, warns):
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text(text, encoding="utf-8")
    load_text(tmp_path)
    assert ("each line counts as one word" in caplog.text) == warns
