"""Decoding compared with Pillow, normalisation and statistics compared with NumPy."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from darts_tf.data import Preprocessing
from darts_tf.data.preprocessing import channel_statistics, decode_rgb, resize, to_gray

RGB = Preprocessing(32, 32, 3, (0.5, 0.4, 0.3), (0.25, 0.2, 0.1))
GRAY = Preprocessing(32, 32, 1, (0.5,), (0.25,))


def photo(height: int = 32, width: int = 32) -> np.ndarray:
    """Makes a smooth color pattern with some noise, which JPEG compresses well."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 5), np.cos(y / 7), np.sin((x + y) / 6)]
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    return np.clip(128 + 90 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


def encode(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP"])
@pytest.mark.parametrize("preprocessing", [RGB, GRAY], ids=["color", "gray"])
def test_decode_agrees_with_pillow(preprocessing, file_format, mode):
    encoded = encode(Image.fromarray(photo()).convert(mode), file_format)
    expected = Image.open(io.BytesIO(encoded)).convert("RGB")
    expected = np.asarray(expected if preprocessing.channels == 3 else expected.convert("L"))
    decoded = tf.function(preprocessing.decode)(tf.constant(encoded)).numpy()
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, expected.reshape(decoded.shape))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1"])
def test_decode_takes_every_kind_of_png(mode):
    image = Image.fromarray(photo()).convert(mode)
    decoded = RGB.decode(tf.constant(encode(image, "PNG")))
    np.testing.assert_array_equal(decoded, np.asarray(image.convert("RGB")))


def test_decode_takes_jpeg_in_four_colors():
    encoded = encode(Image.fromarray(photo()).convert("CMYK"), "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), int)
    assert np.abs(RGB.decode(tf.constant(encoded)).numpy() - expected).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (33, 47), (224, 150)])
def test_decode_resizes_like_pillow(height, width):
    image = Image.fromarray(photo(height, width))
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR), int)
    decoded = RGB.decode(tf.constant(encode(image, "PNG")))
    assert np.abs(decoded.numpy() - expected).max() <= 1


@pytest.mark.parametrize("size", [(28, 28), (33, 47), (224, 150), (61, 20), (20, 600)])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_decode_crops_the_centre_like_pillow(size, file_format):
    height, width = size
    encoded = encode(Image.fromarray(photo(height, width)), file_format)
    image = Image.open(io.BytesIO(encoded))
    short = min(size)
    image = image.resize((36 * width // short, 36 * height // short), Image.Resampling.BILINEAR)
    left, top = (round((side - 32) / 2) for side in image.size)
    expected = np.asarray(image.crop((left, top, left + 32, top + 32)), int)
    preprocessing = dataclasses.replace(RGB, shorter_side=36)
    decoded = tf.function(preprocessing.decode)(tf.constant(encoded)).numpy()
    assert decoded.shape == (32, 32, 3)
    difference = np.abs(decoded - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.25  # Pillow rounds between rows and columns


def test_decode_takes_the_first_frame_of_an_animation():
    frames = [Image.fromarray(photo()), Image.fromarray(255 - photo())]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    np.testing.assert_array_equal(RGB.decode(tf.constant(encoded)), expected)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP"])
def test_decode_refuses_truncated_files(file_format):
    encoded = encode(Image.fromarray(photo()), file_format)
    for length in (0, 10, len(encoded) // 2, len(encoded) - 2):
        with pytest.raises(tf.errors.InvalidArgumentError):
            RGB.decode(tf.constant(encoded[:length]))


def test_decode_has_a_static_shape_in_a_graph():
    decode = tf.function(RGB.decode, input_signature=[tf.TensorSpec((), tf.string)])
    assert decode.get_concrete_function().output_shapes == (32, 32, 3)


def test_resize_to_the_same_size_is_the_identity():
    images = np.stack([photo(), 255 - photo()])
    np.testing.assert_array_equal(resize(images, 32, 32), images)


def test_to_gray_leaves_every_gray_as_it_is():
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=-1)
    np.testing.assert_array_equal(to_gray(tf.constant(grays)), grays[:, :1])


def test_decode_rgb_repeats_gray():
    gray = photo()[..., 0]
    decoded = decode_rgb(tf.constant(encode(Image.fromarray(gray), "PNG")))
    np.testing.assert_array_equal(decoded, np.repeat(gray[..., None], 3, -1))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_normalize_is_the_formula(dtype):
    images = np.stack([photo(), photo()[::-1]]).astype(dtype)
    expected = (images / 255.0 - np.array(RGB.mean)) / np.array(RGB.std)
    normalized = RGB.normalize(images)
    assert normalized.dtype == tf.float32
    np.testing.assert_allclose(normalized, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_channel_statistics_agree_with_numpy(channels):
    images = np.random.default_rng(1).integers(0, 256, (7, 9, 5, channels), dtype=np.uint8)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, (images / 255).std((0, 1, 2)), rtol=1e-12)


def test_channel_statistics_of_constant_images_can_be_divided_by():
    assert channel_statistics(np.full((2, 8, 8, 1), 51, np.uint8)) == (
        (pytest.approx(0.2),),
        (1 / 255,),
    )


def test_preprocessing_survives_json():
    text = RGB.to_json()
    assert json.loads(text) == RGB.to_dict()
    assert Preprocessing.from_json(text) == RGB
    assert Preprocessing.from_dict(GRAY.to_dict()) == GRAY
    assert hash(Preprocessing.from_json(text)) == hash(RGB)
    cropping = dataclasses.replace(RGB, shorter_side=36)
    assert Preprocessing.from_json(cropping.to_json()) == cropping


def test_preprocessing_without_a_centre_crop_keeps_the_old_format():
    """Older runs can be read and resumed."""
    assert set(RGB.to_dict()) == {"height", "width", "channels", "mean", "std"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 0}, "height=0, width=32"),
        ({"channels": 2}, "channels=2"),
        ({"mean": (0.5,)}, r"3 numbers, one a channel. Received: mean=\(0.5,\)"),
        ({"std": (0.1, 0.0, 0.1)}, r"std=\(0.1, 0.0, 0.1\)"),
        ({"shorter_side": 31}, "32 .height and width. or more, or null. Received: .*=31"),
        ({"shorter_side": 40.0}, "shorter_side=40.0"),
        ({"shorter": 40}, "Expected the fields"),
    ],
)
def test_preprocessing_refuses_what_makes_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict({**RGB.to_dict(), **changes})


@pytest.mark.parametrize("text", ["[]", "{}", '{"height": 8}', "not json"])
def test_preprocessing_from_json_refuses_other_text(text):
    with pytest.raises(ValueError, match=r"Expect|expect"):
        Preprocessing.from_json(text)
