"""Random resized crops compared with torchvision's rule in NumPy and with whole decoded images."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import tensorflow as tf
from mostly_slow import mostly_slow
from PIL import Image

from darts_tf.data import Preprocessing
from darts_tf.data.augmentation import ENCODED_DRAWS, Augmentation, augment_encoded
from darts_tf.data.cropping import AREA, DRAWS, RATIO, TRIES, crop_window, random_resized_crop
from darts_tf.data.preprocessing import decode_jpeg_window, decode_rgb

SIZES = [(32, 32), (375, 500), (500, 375), (20, 300), (300, 20), (9, 8), (1, 1), (1, 50)]
PREPROCESSING = Preprocessing(16, 12, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


def reference(height: int, width: int, draws) -> tuple[int, int, int, int]:
    """Torchvision's `RandomResizedCrop.get_params`, as a function of random numbers."""
    log_ratio = [math.log(r) for r in RATIO]
    for area_draw, ratio_draw in draws[: 2 * TRIES].reshape(TRIES, 2):
        area = height * width * (AREA[0] + area_draw * (AREA[1] - AREA[0]))
        ratio = math.exp(log_ratio[0] + ratio_draw * (log_ratio[1] - log_ratio[0]))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            i, j = draws[2 * TRIES :]
            return int(i * (height - h + 1)), int(j * (width - w + 1)), h, w
    if width / height < RATIO[0]:
        w, h = width, round(width / RATIO[0])
    elif width / height > RATIO[1]:
        w, h = round(height * RATIO[1]), height
    else:
        w, h = width, height
    return (height - h) // 2, (width - w) // 2, h, w


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Makes color noise in large spots, so that neighbours in a JPEG also differ in color."""
    rng = np.random.default_rng(seed)
    spots = rng.integers(0, 256, (-(-height // 3), -(-width // 3), 3), dtype=np.uint8)
    return np.kron(spots, np.ones((3, 3, 1), np.uint8))[:height, :width]


def encode(image: np.ndarray, file_format: str = "JPEG", **options) -> tf.Tensor:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, file_format, **options)
    return tf.constant(buffer.getvalue())


@mostly_slow(2, "size", SIZES)
def test_crop_window_is_torchvisions(size):
    draws = np.random.default_rng(sum(size)).random((200, DRAWS), np.float32)
    windows = tf.map_fn(
        lambda row: crop_window(tf.constant(size), row), draws, fn_output_signature=tf.int32
    ).numpy()
    expected = [reference(*size, row.astype(np.float64)) for row in draws]
    np.testing.assert_array_equal(windows, expected)
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, :2] + windows[:, 2:] <= size).all()


def test_crop_window_without_a_fitting_try_is_the_middle():
    draws = tf.concat([tf.tile([0.999, 0.999], [TRIES]), [0.0, 0.999]], 0)
    np.testing.assert_array_equal(crop_window(tf.constant((30, 90)), draws), [0, 25, 30, 40])
    np.testing.assert_array_equal(crop_window(tf.constant((90, 30)), draws), [25, 0, 40, 30])


def test_crop_window_stays_inside_for_the_largest_draw():
    largest = np.nextafter(np.float32(1), np.float32(0))
    draws = tf.constant([0.0, 0.5] * TRIES + [largest, largest], tf.float32)
    top, left, height, width = crop_window(tf.constant((4000, 6000)), draws).numpy()
    assert (top + height, left + width) == (4000, 6000)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(70, 53), (16, 64), (5, 5), (40, 9)])
def test_decoded_window_is_the_window_of_the_decoded_image(size, subsampling):
    encoded = encode(photo(*size), subsampling=subsampling, quality=80)
    whole = decode_rgb(encoded).numpy()
    rng = np.random.default_rng(0)
    decode = tf.function(decode_jpeg_window)
    for _ in range(60):
        height, width = (int(rng.integers(1, side + 1)) for side in size)
        top, left = (
            int(rng.integers(0, s - n + 1)) for s, n in zip(size, (height, width), strict=True)
        )
        window = decode(encoded, tf.constant([top, left, height, width]), tf.constant(size))
        np.testing.assert_array_equal(window, whole[top : top + height, left : left + width])


def test_decoded_windows_of_photos_are_those_of_the_decoded_photos(shared):
    rng = np.random.default_rng(1)
    for path in sorted((shared / "data" / "imagenet-sample").iterdir())[::8]:
        encoded = tf.io.read_file(str(path))
        whole = decode_rgb(encoded).numpy()
        for _ in range(4):
            draws = tf.constant(rng.random(DRAWS, np.float32))
            window = crop_window(tf.constant(whole.shape[:2]), draws)
            top, left, height, width = window.numpy()
            decoded = decode_jpeg_window(encoded, window, tf.constant(whole.shape[:2]))
            np.testing.assert_array_equal(decoded, whole[top : top + height, left : left + width])


@mostly_slow(1, "file_format", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("gray", [False, True])
def test_random_resized_crop_is_the_resized_window(file_format, gray):
    image = photo(60, 41)
    encoded = encode(image[..., 0] if gray else image, file_format)
    whole = decode_rgb(encoded).numpy()
    cropped = tf.function(random_resized_crop)
    for seed in range(8):
        draws = np.random.default_rng(seed).random(DRAWS, np.float32)
        top, left, height, width = reference(60, 41, draws.astype(np.float64))
        expected = whole[top : top + height, left : left + width]
        expected = tf.image.resize(expected, (24, 20), antialias=True)
        np.testing.assert_allclose(cropped(encoded, draws, 24, 20), expected, atol=1e-3)


@pytest.mark.parametrize("cutout", [0, 5])
def test_augment_encoded_crops_flips_normalises_and_cuts_out(cutout):
    encoded = encode(photo(60, 41))
    augmentation = Augmentation(flip=True, cutout=cutout, random_resized_crop=True)
    flips = 0
    for seed in range(8):
        draws = np.random.default_rng(seed).random(ENCODED_DRAWS, np.float32)
        received = augment_encoded(encoded, draws, augmentation, PREPROCESSING).numpy()
        image = random_resized_crop(encoded, draws[3 : 3 + DRAWS], 16, 12).numpy()
        flips += draws[0] < 0.5
        image = image[:, ::-1] if draws[0] < 0.5 else image
        expected = PREPROCESSING.normalize(image).numpy()
        y, x = (int(draw * side) - 2 for draw, side in zip(draws[1:3], (16, 12), strict=True))
        if cutout:
            expected[max(0, y) : max(0, y + 5), max(0, x) : max(0, x + 5)] = 0
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)
    assert 0 < flips < 8


def test_augmentation_has_one_crop_and_changes_colors_of_encoded_images_only():
    from darts_tf.data import ColorJitter

    with pytest.raises(ValueError, match="the only crop. Received: crop_padding=4 beside it"):
        Augmentation(crop_padding=4, random_resized_crop=True)
    with pytest.raises(ValueError, match="`color_jitter` expected random_resized_crop. Received"):
        Augmentation(color_jitter=ColorJitter())
