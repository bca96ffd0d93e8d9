"""Size and orientation of image files, against Pillow."""

import io

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from darts_tf.data import header
from darts_tf.data.cropping import random_resized_crop
from darts_tf.data.preprocessing import Preprocessing, decode_rgb

LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}}


def photo(height=5, width=9, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(image, format, orientation=None, **options):
    exif = PIL.Image.Exif()
    if orientation is not None:
        exif[0x010F] = "a maker"  # an entry before that of the orientation
        exif[0x0112] = orientation
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, format, exif=exif.tobytes(), **options)
    return file.getvalue()


@pytest.mark.parametrize("format", LOSSLESS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_rotated_as_pillow_does(format, orientation):
    file = encoded(photo(), format, orientation, **LOSSLESS[format])
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(file)).convert("RGB"))
    assert header.orientation(tf.constant(file)) == orientation
    np.testing.assert_array_equal(decode_rgb(tf.constant(file)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_photos_are_rotated_as_pillow_does(orientation):
    file = tf.constant(encoded(photo(), "JPEG", orientation))
    upright = PIL.Image.open(io.BytesIO(encoded(photo(), "JPEG")))
    upright.getexif()[0x0112] = orientation
    expected = np.asarray(PIL.ImageOps.exif_transpose(upright))
    assert np.abs(decode_rgb(file).numpy().astype(int) - expected).max() <= 2


@pytest.mark.parametrize("order", ["II", "MM"])
def test_orientation_is_read_in_both_byte_orders(order):
    ends = "little" if order == "II" else "big"
    tiff = order.encode() + (42).to_bytes(2, ends) + (10).to_bytes(4, ends) + b"\0\0"
    entry = b"".join(n.to_bytes(size, ends) for n, size in ((0x112, 2), (3, 2), (1, 4), (6, 2)))
    tiff += (1).to_bytes(2, ends) + entry + b"\0\0" + bytes(4)
    plain = encoded(photo(), "JPEG")
    segment = b"Exif\0\0" + tiff
    marked = plain[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:]
    assert header.orientation(tf.constant(marked)) == 6
    for length in range(len(plain[:2]) + 4, len(segment) + 6):  # damaged at any place
        damaged = marked[:length]
        assert header.orientation(tf.constant(damaged)) in (1, 6)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientations_change_nothing(value):
    assert header.orientation(tf.constant(encoded(photo(), "JPEG", value))) == 1


@pytest.mark.parametrize("contents", [b"", b"x", b"Exif\0\0II*\0", b"Exif\0\0MM\0*\0\0\0\x08"])
def test_files_without_an_image_have_no_orientation(contents):
    assert header.orientation(tf.constant(contents)) == 1


def test_orientation_is_found_behind_a_large_image():
    image = photo(300, 300)
    file = encoded(image, "WEBP", 8, lossless=True)
    assert len(file) > 2**17
    assert header.orientation(tf.constant(file)) == 8


@pytest.mark.parametrize(
    ("format", "options"),
    [
        *[("JPEG", {}), ("PNG", {}), ("GIF", {}), ("BMP", {})],
        *[("WEBP", {}), ("WEBP", {"lossless": True})],
    ],
)
def test_declared_size_is_that_of_the_decoded_image(format, options):
    for height, width in ((5, 9), (1, 300), (257, 3)):
        file = tf.constant(encoded(photo(height, width), format, **options))
        assert tuple(header.declared_size(file).numpy()) == (height, width)


def test_declared_size_of_an_extended_webp_file_and_an_upside_down_bitmap():
    rgba = np.dstack([photo(7, 12), np.full((7, 12), 9, np.uint8)])
    assert tuple(header.declared_size(tf.constant(encoded(rgba, "WEBP"))).numpy()) == (7, 12)
    bitmap = bytearray(encoded(photo(7, 12), "BMP"))
    bitmap[22:26] = (-7).to_bytes(4, "little", signed=True)
    assert tuple(header.declared_size(tf.constant(bytes(bitmap))).numpy()) == (7, 12)


@pytest.mark.parametrize("size", [(20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_large_images_are_refused_before_they_are_decoded(size):
    file = bytearray(encoded(photo(), "PNG"))
    file[16:24] = b"".join(side.to_bytes(4, "big") for side in size)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 134,217,728 pixels"):
        decode_rgb(tf.constant(bytes(file)))
    network = Preprocessing(8, 8, 3, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 134,217,728 pixels"):
        tf.function(network.decode)(tf.constant(bytes(file)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_random_crops_are_windows_of_the_upright_photo(monkeypatch, orientation, format):
    file = tf.constant(encoded(photo(40, 56), format, orientation))
    upright = decode_rgb(file)
    height, width = upright.shape[:2]
    window = tf.constant([3, 5, height - 10, width - 9])
    seen = []

    def chosen(size, draws):
        seen.append(tuple(size.numpy()))
        return window

    monkeypatch.setattr("darts_tf.data.cropping.crop_window", chosen)
    cropped = random_resized_crop(file, tf.zeros(22), height - 10, width - 9)
    assert seen == [(height, width)]
    expected = upright[3 : height - 7, 5 : width - 4]
    np.testing.assert_array_equal(cropped, tf.cast(expected, tf.float32))


def test_first_frame_of_an_animation_is_read():
    frames = [PIL.Image.fromarray(photo(seed=seed)) for seed in range(3)]
    opaque = PIL.Image.new("L", frames[0].size, 255)
    clear = [PIL.Image.merge("RGBA", (*frame.split(), opaque)) for frame in frames]
    clear[1].putpixel((0, 0), (0, 0, 0, 0))  # otherwise it is written without transparency
    for format, images in (("WEBP", clear), ("GIF", frames)):
        file = io.BytesIO()
        images[0].save(file, format, save_all=True, append_images=images[1:], lossless=True)
        image = decode_rgb(tf.constant(file.getvalue())).numpy()
        expected = PIL.Image.open(io.BytesIO(file.getvalue())).convert("RGB")
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("orientation", [None, 6])  # with EXIF data a file is an extended one
def test_transparency_of_webp_files_is_dropped(lossless, orientation):
    rgba = np.dstack([photo(16, 24), np.full((16, 24), 200, np.uint8)])
    file = encoded(rgba, "WEBP", orientation, lossless=lossless, exact=True)
    image = decode_rgb(tf.constant(file)).numpy()
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(file)))
    np.testing.assert_array_equal(image, np.asarray(expected)[..., :3])
