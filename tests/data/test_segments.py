"""Batches of texts: hand-computed cases, the authors' distribution of lengths, seeking."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from collect_batches import assert_same, collected

from darts_tf.data import (
    evaluation_segment_steps,
    evaluation_segments,
    load_text,
    most_segment_steps,
    search_segments,
    segment_steps,
    train_segments,
)
from darts_tf.data.segments import columns, drawn_segments
from darts_tf.errors import InputError

PATHS = [str(folder) for folder in pathlib.Path(__file__).resolve().parents[:1]]
OPTIONS = {"bptt": 35, "spread": 5, "seed": 3}
SEARCH = {"bptt": 4, "spread": 0, "seed": 0}


def stream(size: int) -> np.ndarray:
    """Makes a text in which every word is its own position, from 1."""
    return np.arange(1, size + 1, dtype=np.int32)


def cut(tokens, batch_size, first, drawn):
    """Cuts a segment by Python slices."""
    n = len(tokens) // batch_size
    rows = [tokens[i * n : (i + 1) * n] for i in range(batch_size)]
    length = min(drawn, n - 1 - first)
    words = (np.stack([row[first + i : first + i + length] for row in rows]) for i in (0, 1))
    return *words, drawn


# By hand


def test_evaluation_segments_of_a_tiny_text():
    first, last = collected(evaluation_segments(stream(13), 2, bptt=3))
    np.testing.assert_array_equal(first.tokens, [[1, 2, 3], [7, 8, 9]])
    np.testing.assert_array_equal(first.targets, [[2, 3, 4], [8, 9, 10]])
    np.testing.assert_array_equal(last.tokens, [[4, 5], [10, 11]])
    np.testing.assert_array_equal(last.targets, [[5, 6], [11, 12]])
    assert [first.drawn, last.drawn] == [3, 3]


def test_evaluation_segments_of_one_column_predict_every_word_but_the_first():
    for size in (2, 3, 7, 8, 50):
        segments = collected(evaluation_segments(stream(size), 1, bptt=7))
        assert len(segments) == evaluation_segment_steps(stream(size), 1, bptt=7)
        targets = np.concatenate([segment.targets[0] for segment in segments])
        np.testing.assert_array_equal(targets, stream(size)[1:])


def test_search_segments_of_a_tiny_text():
    # 2 columns of 20 and of 7 words; valid's first words repeat after 6, and its end truncates
    segments = collected(search_segments(stream(41), stream(15), 2, epochs=1, **SEARCH))
    firsts = np.cumsum([0, *(one.drawn for one, _ in segments)])
    assert {int(one.drawn) for one, _ in segments} <= {2, 4}
    assert firsts[-1] >= 18 > firsts[-2]
    for first, (one, partner) in zip(firsts, segments, strict=False):
        expected = cut(stream(41), 2, first, one.drawn)
        assert_same([tuple(one)], [expected])
        assert_same([tuple(partner)], [cut(stream(15), 2, first % 6, 4)])


# Lengths


def test_train_segments_follow_each_other_to_the_end_of_the_text():
    size, batch = 40_000, 4
    segments = collected(train_segments(stream(size), batch, epochs=2, **OPTIONS))
    counts = [segment_steps(stream(size), batch, epoch=epoch, **OPTIONS) for epoch in (0, 1)]
    assert counts[0] != counts[1]
    assert len(segments) == sum(counts)
    assert max(counts) <= most_segment_steps(stream(size), batch, bptt=35, spread=5)
    for epoch in (segments[: counts[0]], segments[counts[0] :]):
        firsts = np.cumsum([0, *(one.drawn for one in epoch)])
        for first, one in zip(firsts, epoch, strict=False):
            assert_same([tuple(one)], [cut(stream(size), batch, first, one.drawn)])
        assert firsts[-1] >= 9_998 > firsts[-2]


def test_lengths_are_distributed_as_the_references_are():
    drawn = drawn_segments(700_000, epoch=0, **OPTIONS)[1].numpy()
    rng = np.random.default_rng(0)
    usual = np.where(rng.random(200_000) < 0.95, 35, 35 / 2)
    expected = np.array([max(5, int(rng.normal(mean, 5))) for mean in usual]).clip(None, 55)
    assert drawn.min() >= 5
    assert drawn.max() <= 55
    assert abs(drawn.mean() - expected.mean()) < 5 * expected.std() / len(drawn) ** 0.5
    for bound in (12, 20, 26, 30, 35, 40, 46):
        share = (expected < bound).mean()
        error = (share * (1 - share) / len(drawn)) ** 0.5
        assert abs((drawn < bound).mean() - share) < 5 * error


def test_epoch_ends_when_a_column_has_less_than_two_words_to_predict():
    for length in range(3, 80):
        first, drawn = drawn_segments(length, bptt=4, spread=0, seed=0, epoch=0)
        assert first[0] == 0
        np.testing.assert_array_equal(first[1:], np.cumsum(drawn)[:-1])
        assert len(first) <= most_segment_steps(stream(length), 1, bptt=4, spread=0)
        assert first[-1] < length - 2 <= first[-1] + drawn[-1]


def test_lengths_of_a_search_are_the_usual_one_or_its_half():
    drawn = drawn_segments(100_000, bptt=35, spread=0, seed=1, epoch=2)[1].numpy()
    assert set(drawn) == {17, 35}
    assert 0.03 < (drawn == 17).mean() < 0.07


def test_lengths_follow_seed_and_epoch():
    def drawn(seed, epochs):
        options = {**OPTIONS, "seed": seed, "epochs": epochs}
        return [int(one.drawn) for one in collected(train_segments(stream(4000), 4, **options))]

    first, again = drawn(3, 2), drawn(3, 1)
    assert first[: len(again)] == again
    assert first[len(again) :] != again
    assert drawn(4, 1) != again


# From any step on


def test_segments_start_at_any_step_bit_for_bit():
    texts = stream(600), stream(130)
    options = {**SEARCH, "epochs": 3}
    full = collected(search_segments(*texts, 4, **options))
    steps = [segment_steps(texts[0], 4, epoch=epoch, **SEARCH) for epoch in range(3)]
    for epoch, step in ((0, 1), (0, steps[0]), (1, 7), (2, steps[2] - 1)):
        rest = collected(search_segments(*texts, 4, **options, start=(epoch, step)))
        assert_same(rest, full[sum(steps[:epoch]) + step :])


def test_parts_of_segments_are_their_columns():
    whole = collected(search_segments(stream(300), stream(60), 5, epochs=1, **SEARCH))
    for first, here in ((0, 3), (1, 2)):
        part = (first, here, 3)
        options = {**SEARCH, "epochs": 1, "part": part, "start": (0, 2)}
        pieces = collected(search_segments(stream(300), stream(60), 5, **options))
        assert len(pieces) == here * len(whole[2:])
        for i, pair in enumerate(whole[2:]):
            for j in (0, 1):
                segments = [piece[j] for piece in pieces[i * here : (i + 1) * here]]
                tokens = np.concatenate([piece.tokens for piece in segments])
                begin = 5 * first // 3
                np.testing.assert_array_equal(tokens, pair[j].tokens[begin:])
                for piece in segments:
                    assert piece[2:] == pair[j][2:]


def digests(text, segments) -> list[str]:
    """Returns digests of a text and its segments."""
    digest = hashlib.sha256()
    for one in segments.as_numpy_iterator():
        for part in one:
            digest.update(np.ascontiguousarray(part).tobytes())
    return [text.description()["text"], digest.hexdigest()]


@pytest.mark.slow
def test_text_and_segments_are_the_same_in_every_process():
    code = (
        "import test_segments as here\n"
        "segments = here.train_segments(here.stream(5000), 3, epochs=2, **here.OPTIONS)\n"
        "print(*here.digests(here.load_text('pydoc'), segments))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        **{"capture_output": True, "text": True, "check": True},
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "PYTHONHASHSEED": "5"},
    )
    segments = train_segments(stream(5000), 3, epochs=2, **OPTIONS)
    assert run.stdout.split() == digests(load_text("pydoc"), segments)


def test_one_trace_serves_all_lengths():
    traces = []

    @tf.function(autograph=False, reduce_retracing=True)
    def step(iterator):
        traces.append(None)
        return tf.reduce_sum(iterator.get_next().tokens)

    iterator = iter(train_segments(stream(4000), 4, epochs=1, **OPTIONS))
    for _ in range(10):
        step(iterator)
    assert len(traces) == 1


# Real text, and invalid arguments


def test_real_text_is_cut_as_the_reference_does(shared):
    text = load_text(shared / "data" / "ptb-small")
    one, partner = next(iter(search_segments(text.train, text.valid, 64, epochs=1, **OPTIONS)))
    assert_same([tuple(one)], [cut(text.train, 64, 0, one.drawn)])
    assert_same([partner[:3]], [cut(text.valid, 64, 0, 35)])
    (*_, last) = evaluation_segments(text.test, 1, bptt=35)
    assert last.targets[0, -1] == text.test[-1] == text.vocabulary.tokens["<eos>"]


def test_batch_larger_than_the_text_is_refused():
    for batch_size in (0, -1, 5, 999):
        with pytest.raises(
            InputError, match=f"at most 4 for .* 14 words.* batch_size={batch_size}"
        ):
            train_segments(stream(14), batch_size, epochs=1, **OPTIONS)
    with pytest.raises(InputError, match="at most 7"):
        evaluation_segments(stream(14), 8, bptt=35)
    with pytest.raises(InputError, match="at most 5 for a text of 10 words"):
        search_segments(stream(100), stream(10), 6, epochs=1, **OPTIONS)
    with pytest.raises(InputError, match="text of 3 words or more. Received: 2"):
        train_segments(stream(2), 1, epochs=1, **OPTIONS)
    assert columns(stream(14), 4).tolist() == np.reshape(stream(12), (4, 3)).tolist()


@pytest.mark.parametrize("wrong", [{"bptt": 0}, {"spread": -1}, {"start": (0, -1)}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="Received: bptt="):
        train_segments(stream(100), 1, epochs=1, **{**OPTIONS, **wrong})
