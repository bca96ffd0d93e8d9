"""Permutations, halves of a split, limited splits and held-out images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from darts_tf.data import Split, held_out, load_dataset, load_text, split_halves
from darts_tf.data.random_streams import (
    STREAMS,
    permutation,
    permutation_key,
    shuffled_indices,
    stream_seed,
)
from darts_tf.data.splits import Files, Records, limited_indices


def numbered(size: int) -> Split:
    """Makes images whose pixels equal their number."""
    images = np.arange(size, dtype=np.uint8).reshape(size, 1, 1, 1) * np.ones((8, 8, 1), np.uint8)
    return Split(images, np.arange(size, dtype=np.int32) % 3)


@pytest.mark.parametrize("size", [1, 2, 17, 300])
def test_permutation_is_one_and_changes_with_seed_stream_and_counter(size):
    orders = [permutation(size, *key) for key in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(size))
    np.testing.assert_array_equal(orders[0], permutation(size, 0, 0, 0))
    if size > 10:
        assert len({order.tobytes() for order in orders}) == len(orders)


def test_permutations_of_many_epochs_are_all_different_and_even():
    size, epochs = 10, 1000
    keys = tf.repeat([permutation_key(3, 2, epoch) for epoch in range(epochs)], size, axis=0)
    positions = tf.tile(tf.range(size, dtype=tf.int64), [epochs])
    orders = shuffled_indices(positions, size, keys).numpy().reshape(epochs, size)
    # of 1000 random permutations of 10 elements, two are equal with a probability of 1/7
    assert len({order.tobytes() for order in orders}) >= epochs - 2
    counts = np.stack([(orders == number).sum(0) for number in range(size)])
    chi_squared = ((counts - epochs / size) ** 2 / (epochs / size)).sum()
    freedom = (size - 1) ** 2
    assert abs(chi_squared - freedom) < 5 * np.sqrt(2 * freedom)


def test_stream_seed_never_repeats():
    seeds = {
        tuple(stream_seed(seed, stream, counter).numpy())
        for seed in (-1, 0, 1)
        for stream in STREAMS
        for counter in range(5)
    }
    assert len(seeds) == 3 * len(STREAMS) * 5


@pytest.mark.parametrize("size", [2, 9, 100])
def test_split_halves_are_disjoint_and_complete(size):
    weights, alphas = split_halves(numbered(size), seed=4)
    assert len(weights.labels) == size // 2
    numbers = np.concatenate([weights.images, alphas.images])[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(numbers), np.arange(size))
    labels = np.concatenate([weights.labels, alphas.labels])
    np.testing.assert_array_equal(labels, numbers % 3)


def test_data_sets_are_shown_in_one_line(tmp_path, digits):
    line = "digits: 1,433 training and 364 test images, 8x8 grayscale, 10 classes"
    assert (str(digits), repr(digits)) == (line, f"<ImageDataset {line}>")
    assert repr(digits.train) == "Split(uint8 (1433, 8, 8, 1))"
    assert repr(Files([f"{tmp_path}/{i}.png" for i in range(1200)], np.zeros(1200))) == (
        "Files(1,200)"
    )
    text = load_text("pydoc")
    assert len(repr(text).splitlines()) == len(repr(text.vocabulary).splitlines()) == 1
    assert len(repr(text)) < 140
    assert repr(text.vocabulary) == f"<Vocabulary of {len(text.vocabulary):,} words>"


def test_split_halves_follow_the_seed():
    first, again, other = (split_halves(numbered(50), seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images != other.images).any()


def test_split_halves_refuse_a_single_image():
    with pytest.raises(ValueError, match="at least 2 images .* Received: images=1"):
        split_halves(numbered(1), 0)


def test_limited_indices_keep_the_shares_of_the_classes():
    labels = np.repeat([0, 1, 2, 3], [600, 300, 90, 10])
    indices = limited_indices(labels, 100, seed=0)
    assert len(set(indices)) == 100
    np.testing.assert_array_equal(np.bincount(labels[indices]), [60, 30, 9, 1])


@pytest.mark.parametrize("limit", [4, 5, 17, 102])
def test_limited_indices_leave_no_class_out(limit):
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 5], [100, 1, 1, 1]))
    indices = limited_indices(labels, limit, seed=0)
    assert len(set(indices)) == limit
    assert set(labels[indices]) == {0, 1, 2, 5}


def test_limited_indices_follow_the_seed():
    labels = np.arange(200) % 2
    first, again, other = (limited_indices(labels, 20, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("limit", [None, 6, 7])
def test_limited_indices_keep_all_of_a_small_split(limit):
    np.testing.assert_array_equal(limited_indices(np.arange(6), limit, 0), np.arange(6))


@pytest.mark.parametrize("limit", [-1, 0, 2])
def test_limited_indices_refuse_fewer_images_than_classes(limit):
    with pytest.raises(ValueError, match=f"at least 3, one image a class. Received: limit={limit}"):
        limited_indices(np.arange(30) % 3, limit, 0)


def test_held_out_images_are_of_every_class_and_not_trained_on():
    dataset = load_dataset("digits", limit=200)
    parted = held_out(dataset, 0.25, seed=3)
    assert (parted.train.size, parted.test.size) == (150, 50)
    assert set(parted.test.labels) == set(parted.train.labels) == set(range(10))
    together = np.concatenate([parted.train.images, parted.test.images])
    rows = sorted(image.tobytes() for image in together)
    assert rows == sorted(image.tobytes() for image in dataset.train.images)
    again, other = held_out(dataset, 0.25, seed=3), held_out(dataset, 0.25, seed=4)
    assert np.array_equal(again.test.images, parted.test.images)
    assert not np.array_equal(other.test.images, parted.test.images)


def test_held_out_refuses_a_class_of_too_few_images():
    dataset = load_dataset("digits", limit=10)  # one image per class
    with pytest.raises(ValueError, match="hold 0.1 of them out.* Received: 1 of '0'"):
        held_out(dataset, 0.1, seed=0)


# Changes of the data


def test_digest_changes_with_every_image_and_label():
    dataset = load_dataset("digits", limit=20)
    digests = {dataset.digest()}
    for name in ("train", "test"):
        images, labels = getattr(dataset, name)
        darker, exchanged = images.copy(), labels.copy()
        darker[-1, -1, -1] ^= 1
        exchanged[0] ^= 1
        for split in (Split(darker, labels), Split(images, exchanged)):
            digests.add(dataclasses.replace(dataset, **{name: split}).digest())
    assert len(digests) == 5
    assert load_dataset("digits", limit=20).digest() in digests


def test_digest_of_files_changes_with_their_names_and_sizes(tmp_path):
    def digest(root, contents):
        for name, content in contents.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        paths = [str(root / name) for name in sorted(contents)]
        split = Files(paths, np.arange(len(paths), dtype=np.int32))
        dataset = load_dataset("digits", limit=10)
        return dataclasses.replace(dataset, train=split, test=split).digest()

    first = digest(tmp_path / "a", {"cat/1.png": b"xx", "dog/2.png": b"y"})
    assert digest(tmp_path / "moved", {"cat/1.png": b"xx", "dog/2.png": b"y"}) == first
    assert digest(tmp_path / "b", {"cat/1.png": b"xxx", "dog/2.png": b"y"}) != first
    assert digest(tmp_path / "c", {"cat/1.png": b"xx", "dog/3.png": b"y"}) != first


def test_records_have_no_digest():
    dataset = load_dataset("digits", limit=10)
    assert dataclasses.replace(dataset, train=Records(lambda seed: None, 10)).digest() is None
