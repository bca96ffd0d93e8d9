"""Suspicious properties of images that many of a dataset share."""

import numpy as np
import PIL.Image
import pytest

from darts_tf.data import load_dataset
from darts_tf.data.quality import suspicions


def random_images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)


def file(index: int) -> tuple[str, bytes]:
    return f"photo {index}", b"\xff\xd8"


def lines(train, test):
    return suspicions(train, test, file, file)


def test_ordinary_images_are_not_suspicious():
    assert lines(random_images(20, 0), random_images(10, 1)) == []


def test_images_of_a_single_color_are_counted_and_named():
    train = random_images(20, 0)
    train[3:8] = [[[[i, 2, 3]]] for i in range(5)]
    (line,) = lines(train, random_images(10, 1))
    assert line == "5 of 30 images have a single color: photo 3, photo 4, photo 5 and 2 more"


def test_repeated_images_are_counted_and_named():
    train = random_images(20, 0)
    train[[4, 9]] = train[[2, 2]]
    (line,) = lines(train, random_images(10, 1))
    assert line == "2 of 20 training images are repetitions of others: photo 4, photo 9"


def test_test_images_among_the_training_images_are_counted_and_named():
    train, test = random_images(20, 0), random_images(10, 1)
    test[7] = train[2]
    (line,) = lines(train, test)
    assert line.startswith("1 of 10 test images are training images, too")
    assert line.endswith(": photo 7")


def test_few_of_many_are_not_reported():
    train, test = random_images(300, 0), random_images(150, 1)
    train[1] = train[0]
    train[2] = 7
    test[0] = train[0]
    assert lines(train, test) == []


@pytest.mark.parametrize(
    ("is_alpha", "why"), [(False, "16-bit PNG files whose values"), (True, "transparency")]
)
def test_reason_of_a_single_color_is_told(tmp_path, is_alpha, why):
    random = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(5):
            values = random.integers(0, 256, (8, 8))
            pixels = values.astype(np.uint16)
            if is_alpha:  # a shape in alpha alone
                pixels = np.dstack([np.zeros((8, 8, 3)), values]).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    notes = " ".join(load_dataset(str(tmp_path)).notes)
    assert "10 of 10 images have a single color" in notes
    assert why in notes
    assert str(tmp_path / "a") in notes
