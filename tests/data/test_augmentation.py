"""Crop, flip and cutout compared with NumPy loops over single images."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_tf.data import Augmentation, Preprocessing
from darts_tf.data.augmentation import DRAWS, augment, crop_and_flip, cut_out


def preprocessing_of(height: int, width: int, channels: int) -> Preprocessing:
    return Preprocessing(height, width, channels, (0.5,) * channels, (0.25,) * channels)


def reference(image, draws, augmentation, preprocessing):
    """Augments one image as the authors' training code does: crop, flip, normalise, cut out."""
    height, width, _ = image.shape
    p = augmentation.crop_padding
    padded = np.pad(image, ((p, p), (p, p), (0, 0)))
    top, left = (int(np.float32(draw) * np.float32(2 * p + 1)) for draw in draws[:2])
    image = padded[top : top + height, left : left + width]
    if augmentation.flip and draws[2] < 0.5:
        image = image[:, ::-1]
    image = (image / 255.0 - preprocessing.mean) / preprocessing.std
    y = int(np.float32(draws[3]) * np.float32(height))
    x = int(np.float32(draws[4]) * np.float32(width))
    half = augmentation.cutout // 2
    image[max(0, y - half) : max(0, y - half + augmentation.cutout),
          max(0, x - half) : max(0, x - half + augmentation.cutout)] = 0  # fmt: skip
    return image


@settings(max_examples=15, deadline=None)
@given(
    size=st.tuples(st.integers(8, 40), st.integers(8, 40), st.sampled_from([1, 3])),
    augmentation=st.builds(
        Augmentation,
        crop_padding=st.integers(0, 6),
        flip=st.booleans(),
        cutout=st.integers(0, 20),
    ),
    seed=st.integers(0, 2**31),
)
def test_augment_agrees_with_a_loop_over_images(size, augmentation, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 256, (6, *size), dtype=np.uint8)
    draws = rng.random((6, DRAWS), np.float32)
    preprocessing = preprocessing_of(*size)
    augmented = augment(tf.constant(images), tf.constant(draws), augmentation, preprocessing)
    expected = [
        reference(image, row, augmentation, preprocessing)
        for image, row in zip(images, draws, strict=True)
    ]
    np.testing.assert_allclose(augmented, expected, rtol=1e-5, atol=1e-6)


def test_augment_without_augmentation_is_exactly_the_normalised_image():
    images = np.random.default_rng(0).integers(0, 256, (4, 33, 9, 3), dtype=np.uint8)
    preprocessing = preprocessing_of(33, 9, 3)
    draws = tf.random.stateless_uniform((4, DRAWS), (0, 0))
    augmented = augment(tf.constant(images), draws, Augmentation(), preprocessing)
    np.testing.assert_array_equal(augmented, preprocessing.normalize(images))


def test_crop_pads_with_black_before_normalisation():
    white = tf.fill((1, 8, 8, 1), tf.constant(255, tf.uint8))
    draws = tf.zeros((1, DRAWS))
    augmented = augment(white, draws, Augmentation(crop_padding=3), preprocessing_of(8, 8, 1))
    expected = np.full((8, 8), 2.0)
    expected[:3] = expected[:, :3] = -2.0
    np.testing.assert_allclose(augmented[0, ..., 0], expected, rtol=1e-6)


def test_crop_and_flip_reaches_every_offset():
    image = np.arange(1, 26, dtype=np.uint8).reshape(1, 5, 5, 1)
    offsets = np.stack(np.meshgrid(range(5), range(5), indexing="ij"), -1).reshape(-1, 2)
    batch = np.repeat(image, 25, 0)
    cropped = crop_and_flip(batch, offsets.astype(np.int32), tf.fill([25], False), 2).numpy()
    padded = np.pad(image[0], ((2, 2), (2, 2), (0, 0)))
    expected = [padded[y : y + 5, x : x + 5] for y, x in offsets]
    np.testing.assert_array_equal(cropped, expected)


@pytest.mark.parametrize("side", [1, 4, 5, 16, 40])
def test_cut_out_hides_a_square_clipped_at_the_borders(side):
    centres = np.array([(0, 0), (16, 16), (31, 0), (5, 31)], np.int32)
    hidden = cut_out(tf.ones((4, 32, 32, 2)), centres, side).numpy() == 0
    for mask, (y, x) in zip(hidden, centres - side // 2, strict=True):
        rows = np.clip([y, y + side], 0, 32)
        columns = np.clip([x, x + side], 0, 32)
        assert mask.all(-1).sum() == (rows[1] - rows[0]) * (columns[1] - columns[0])
        assert mask[rows[0] : rows[1], columns[0] : columns[1]].all()


@pytest.mark.parametrize("name", ["crop_padding", "cutout"])
def test_augmentation_refuses_negative_pixels(name):
    with pytest.raises(ValueError, match=f"0 or more pixels. Received: {name}=-1"):
        Augmentation(**{name: -1})
