"""Sizes of image files, and the size that is chosen for a dataset."""

import pytest
from PIL import Image

from darts_tf.data import sizes


@pytest.mark.parametrize(
    ("of_files", "side"),
    [
        ([(480, 640), (4000, 3000)], 64),
        ([(97, 97)], 64),
        ([(40, 50), (50, 41), (300, 43)], 40),
        ([(5, 6), (7, 9)], 8),
        ([(8, 7)], 8),
    ],
)
def test_photos_of_any_size_get_a_size_that_is_told(of_files, side):
    size, note = sizes.choose_size(of_files, "crop")
    assert size == (side, side, side)
    assert f"resized to {side}x{side} (shorter side, then centre crop); --image-size" in note
    assert sizes.choose_size(of_files, "squeeze")[0] == (side, side, None)


@pytest.mark.parametrize("size", [(8, 8), (32, 40), (96, 96)])
def test_images_of_one_small_size_keep_it(size):
    assert sizes.choose_size([size] * 3, "crop") == ((*size, None), None)


def test_sizes_are_those_of_upright_photos(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "x.jpg", exif=exif)
    (tmp_path / "y.jpg").write_bytes(b"no image")
    files = [str(tmp_path / name) for name in ("x.jpg", "y.jpg", "z.jpg")]
    assert sizes.stored_sizes(files) == [(40, 30)]
