"""Batches: every image once per epoch, reproducible, seekable, with the documented shapes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from collect_batches import assert_same, collected
from mostly_slow import mostly_slow

from darts_tf.data import (
    Augmentation,
    Preprocessing,
    Split,
    evaluation_batches,
    sample,
    search_batches,
    split_halves,
    steps_per_epoch,
    train_batches,
)

# an identity as normalisation, so that a batch contains the images themselves
RAW = Preprocessing(8, 8, 1, (0.0,), (1 / 255,))
PLAIN = Augmentation()
EVERYTHING = Augmentation(crop_padding=2, flip=True, cutout=3)


def numbered(size: int, first: int = 0) -> Split:
    """Makes images whose pixels equal their number, which is also their label."""
    labels = np.arange(first, first + size, dtype=np.int32)
    return Split(np.ones((1, 8, 8, 1), np.uint8) * labels.astype(np.uint8)[:, None, None, None],
                 labels)  # fmt: skip


def noise(size: int) -> Split:
    rng = np.random.default_rng(size)
    return Split(rng.integers(0, 256, (size, 8, 8, 1), dtype=np.uint8), np.arange(size) % 10)


def test_train_batches_hold_every_image_once_an_epoch_in_new_order():
    batches = collected(train_batches(numbered(23), RAW, PLAIN, 5, seed=0, epochs=4))
    assert [len(y) for _, y in batches] == [5, 5, 5, 5, 3] * 4
    epochs = np.concatenate([y for _, y in batches]).reshape(4, 23)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(23), (4, 1)))
    assert len({epoch.tobytes() for epoch in epochs}) == 4
    for x, y in batches:
        np.testing.assert_allclose(x[:, 0, 0, 0], y, atol=1e-4)
        assert (x.dtype, y.dtype) == (np.float32, np.int32)


def test_train_batches_without_augmentation_are_exactly_the_normalised_images():
    split = noise(11)
    preprocessing = Preprocessing(8, 8, 1, (0.3,), (0.2,))
    ((x, y),) = collected(train_batches(numbered(11), RAW, PLAIN, 11, seed=5, epochs=1))
    ((x, _),) = collected(train_batches(split, preprocessing, PLAIN, 11, seed=5, epochs=1))
    np.testing.assert_array_equal(x, preprocessing.normalize(split.images[y]))


@mostly_slow((2,), "start", [1, 4, 5, 12])
def test_train_batches_start_at_any_step_bit_for_bit(start):
    options = {"seed": 7, "epochs": 3}
    full = collected(train_batches(noise(18), RAW, EVERYTHING, 5, **options))
    rest = collected(train_batches(noise(18), RAW, EVERYTHING, 5, **options, start_step=start))
    assert_same(rest, full[start:])


@mostly_slow((1,), "start", [3, 7])
def test_search_batches_start_at_any_step_bit_for_bit(start):
    halves = split_halves(noise(31), 0)
    options = {"seed": 7, "epochs": 3}
    full = collected(search_batches(*halves, RAW, EVERYTHING, 4, **options))
    rest = collected(search_batches(*halves, RAW, EVERYTHING, 4, **options, start_step=start))
    assert_same(rest, full[start:])


def test_batches_follow_the_seed():
    first, again, other = (
        collected(train_batches(noise(20), RAW, EVERYTHING, 8, seed=seed, epochs=1))
        for seed in (0, 0, 1)
    )
    assert_same(first, again)
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


def test_augmentation_differs_between_images_steps_and_epochs():
    split = Split(np.repeat(noise(1).images, 12, 0), np.zeros(12, np.int32))
    augmentation = Augmentation(crop_padding=4, flip=True)
    batches = collected(train_batches(split, RAW, augmentation, 6, seed=0, epochs=2))
    images = np.concatenate([x for x, _ in batches])
    # 162 equally likely outcomes for each of 24 images
    assert len({image.tobytes() for image in images}) > 15


def test_search_batches_draw_the_alphas_half_as_an_endless_stream():
    weights, alphas = numbered(10), numbered(13, first=100)
    batches = collected(search_batches(weights, alphas, RAW, PLAIN, 4, seed=0, epochs=13))
    assert [(len(y), len(z)) for (_, y), (_, z) in batches] == [(4, 4), (4, 4), (2, 2)] * 13
    stream = np.concatenate([z for _, (_, z) in batches]).reshape(10, 13)
    np.testing.assert_array_equal(np.sort(stream, axis=1), np.tile(np.arange(100, 113), (10, 1)))
    assert len({epoch.tobytes() for epoch in stream}) == 10
    for _, (x, z) in batches:
        np.testing.assert_allclose(x[:, 0, 0, 0], z, atol=1e-4)


def test_search_batches_augment_both_halves_independently():
    split = noise(8)
    batches = collected(search_batches(split, split, RAW, EVERYTHING, 8, seed=0, epochs=2))
    for (x, y), (x_valid, y_valid) in batches:
        assert (y != y_valid).any()
        order, order_valid = np.argsort(y, kind="stable"), np.argsort(y_valid, kind="stable")
        assert (x[order] != x_valid[order_valid]).any()


def test_evaluation_batches_keep_the_order():
    split = noise(10)
    batches = collected(evaluation_batches(split, RAW, 4))
    assert [len(y) for _, y in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), split.labels)
    np.testing.assert_array_equal(
        np.concatenate([x for x, _ in batches]), RAW.normalize(split.images)
    )
    assert [len(y) for _, y in collected(evaluation_batches(split, RAW, 64))] == [10]


def test_batches_know_their_shapes_and_their_number():
    image, label = tf.TensorSpec((None, 8, 8, 1)), tf.TensorSpec((None,), tf.int32)
    dataset = train_batches(noise(10), RAW, EVERYTHING, 4, seed=0, epochs=2, start_step=1)
    assert dataset.element_spec == (image, label)
    assert dataset.cardinality() == 5
    dataset = search_batches(noise(10), noise(11), RAW, EVERYTHING, 4, seed=0, epochs=2)
    assert dataset.element_spec == ((image, label), (image, label))
    assert dataset.cardinality() == 6
    assert evaluation_batches(noise(10), RAW, 4).element_spec == (image, label)


def test_batches_keep_the_images_out_of_the_graph():
    split = Split(np.zeros((2000, 32, 32, 3), np.uint8), np.zeros(2000, np.int32))
    preprocessing = Preprocessing(32, 32, 3, (0.5,) * 3, (0.5,) * 3)
    dataset = train_batches(split, preprocessing, EVERYTHING, 4, seed=0, epochs=1)
    function = dataset._input_dataset._map_func.function
    assert function.graph.as_graph_def().ByteSize() < 100_000


@pytest.mark.parametrize(("size", "batch_size", "steps"), [(10, 1, 10), (10, 3, 4), (10, 10, 1)])
def test_steps_per_epoch_keeps_the_last_partial_batch(size, batch_size, steps):
    assert steps_per_epoch(noise(size), batch_size) == steps


@pytest.mark.parametrize("batch_size", [-1, 0, 11])
def test_batch_size_must_fit_the_split(batch_size):
    message = f"`batch_size` expected at most [12]0, .* Received: batch_size={batch_size}"
    with pytest.raises(ValueError, match=message):
        train_batches(noise(10), RAW, PLAIN, batch_size, seed=0, epochs=1)
    for halves in ((noise(10), noise(20)), (noise(20), noise(10))):
        with pytest.raises(ValueError, match=message):
            search_batches(*halves, RAW, PLAIN, batch_size, seed=0, epochs=1)


def test_evaluation_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="at least 1. Received: batch_size=0"):
        evaluation_batches(noise(4), RAW, 0)


@pytest.mark.parametrize("start", [-1, 7])
def test_start_step_must_lie_in_the_run(start):
    with pytest.raises(ValueError, match=f"from 0 to 6. Received: start_step={start}"):
        train_batches(noise(10), RAW, PLAIN, 4, seed=0, epochs=2, start_step=start)


def test_sample_lies_evenly_over_a_split_in_memory():
    images, labels = sample(numbered(10), RAW, 4)
    assert labels.tolist() == [0, 2, 5, 7]
    np.testing.assert_array_equal(images[:, 0, 0, 0], labels)
    for count in (10, 99):
        assert sample(numbered(10), RAW, count).labels.tolist() == list(range(10))
