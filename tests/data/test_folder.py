"""Image folders: the images read, and a one-line error for each bad folder."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from mostly_slow import mostly_slow
from PIL import Image

from darts_tf.data import decoding, load_dataset
from darts_tf.data import folder as folders
from darts_tf.data.layouts import find_layout
from darts_tf.data.pipeline import evaluation_batches
from darts_tf.data.splits import Files, Split


def write(path: pathlib.Path, size=(8, 8), channels: int = 3, seed: int = 0) -> pathlib.Path:
    """Saves a random image; `size` is (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if channels == 1 else (*size, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """Makes two classes with two training and one test color image each."""
    for i, name in enumerate(("cat", "dog")):
        write(tmp_path / "train" / name / "a.png", seed=3 * i)
        write(tmp_path / "train" / name / "b.JPG", seed=3 * i + 1)
        write(tmp_path / "test" / name / "c.jpeg", seed=3 * i + 2)
    return tmp_path


@mostly_slow((1, 4), "size", [(8, 8), (28, 28), (33, 33), (96, 96), (12, 40)])
@pytest.mark.parametrize("channels", [1, 3])
def test_folder_holds_what_pillow_reads(tmp_path, size, channels):
    for split in ("train", "test"):
        for i, name in enumerate(("zebra", "ant")):
            for suffix in ("png", "jpg"):
                write(tmp_path / split / name / f"x.{suffix}", size, channels, seed=i)
    dataset = load_dataset(str(tmp_path))
    assert dataset.classes == ("ant", "zebra")
    np.testing.assert_array_equal(dataset.test.labels, [0, 0, 1, 1])
    assert dataset.test.labels.dtype == np.int32
    paths = [
        tmp_path / "test" / name / f"x.{s}" for name in ("ant", "zebra") for s in ("jpg", "png")
    ]
    expected = np.stack([np.asarray(Image.open(path)) for path in paths])
    np.testing.assert_array_equal(dataset.test.images, expected.reshape(4, *size, channels))
    preprocessing = dataset.preprocessing
    assert (preprocessing.height, preprocessing.width, preprocessing.channels) == (*size, channels)
    np.testing.assert_allclose(
        preprocessing.std, (dataset.train.images / 255).std((0, 1, 2)), rtol=1e-9
    )


def test_folder_agrees_with_tfds_image_folder(folder):
    import tensorflow_datasets as tfds

    builder = tfds.ImageFolder(str(folder))
    dataset = load_dataset(str(folder))
    classes, train, *_ = find_layout(str(folder))
    assert list(classes) == builder.info.features["label"].names
    examples = builder.as_dataset(split="train").as_numpy_iterator()
    theirs = {example["image/filename"].decode(): example for example in examples}
    assert sorted(theirs) == sorted(train.paths)
    for path, image, label in zip(train.paths, *dataset.train, strict=True):
        assert theirs[path]["label"] == label
        # their JPEG decoder uses the fast inverse DCT
        difference = np.abs(theirs[path]["image"].astype(int) - image)
        assert difference.max() <= (0 if path.endswith("png") else 8)


@pytest.mark.parametrize("channels", [1, 3])
def test_folder_images_are_what_preprocessing_decodes(tmp_path, channels):
    for split in ("train", "test"):
        for i, size in enumerate([(30, 40), (9, 9), (64, 20)]):
            write(tmp_path / split / "a" / f"{i}.png", size, channels, seed=i)
            write(tmp_path / split / "b" / f"{i}.jpg", size, channels, seed=i)
    dataset = load_dataset(str(tmp_path), image_size=16)
    _, train, *_ = find_layout(str(tmp_path))
    decoded = [dataset.preprocessing.decode(tf.io.read_file(path)) for path in train.paths]
    np.testing.assert_array_equal(dataset.train.images, decoded)
    assert dataset.train.images.shape == (6, 16, 16, channels)


def test_folder_with_one_color_image_has_three_channels(tmp_path):
    for split in ("train", "test"):
        write(tmp_path / split / "a" / "x.png", channels=1)
        write(tmp_path / split / "b" / "x.png", channels=1)
    assert load_dataset(str(tmp_path)).preprocessing.channels == 1
    write(tmp_path / "test" / "b" / "y.png", channels=3)
    dataset = load_dataset(str(tmp_path))
    assert dataset.preprocessing.channels == 3
    gray = np.asarray(Image.open(tmp_path / "train" / "a" / "x.png"))
    np.testing.assert_array_equal(dataset.train.images[0], np.repeat(gray[..., None], 3, -1))


def test_folder_of_more_images_than_a_chunk_keeps_their_order(tmp_path):
    count = decoding.CHUNK + 3
    for i in range(count):
        path = tmp_path / "train" / ("a" if i % 2 else "b") / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(path)
    write(tmp_path / "test" / "a" / "x.png", channels=1)
    images, labels = load_dataset(str(tmp_path)).train
    expected = [*range(1, count, 2), *range(0, count, 2)]
    np.testing.assert_array_equal(images[:, 0, 0, 0], expected)
    np.testing.assert_array_equal(labels, [1 - number % 2 for number in expected])


def test_folder_limit_opens_only_the_chosen_files(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "test" / name / "x.png")
        for i in range(5):
            write(tmp_path / "train" / name / f"{i}.png", seed=i)
    options = {"limit": 4, "seed": 3}
    before = load_dataset(str(tmp_path), **options)
    assert np.bincount(before.train.labels).tolist() == [2, 2]
    kept = {image.tobytes() for image in before.train.images}
    for path in (tmp_path / "train").glob("*/*"):
        if np.asarray(Image.open(path)).tobytes() not in kept:
            path.write_bytes(b"broken")
    after = load_dataset(str(tmp_path), **options)
    np.testing.assert_array_equal(after.train.images, before.train.images)


def test_folder_ignores_hidden_files_and_the_classes_that_test_lacks(folder):
    (folder / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    (folder / ".cache").mkdir()
    for path in (folder / "test" / "dog").iterdir():
        path.unlink()
    (folder / "test" / "dog").rmdir()
    dataset = load_dataset(str(folder))
    assert dataset.classes == ("cat", "dog")
    np.testing.assert_array_equal(dataset.test.labels, [0])


def break_truncate(folder):
    path = folder / "train" / "dog" / "b.JPG"
    path.write_bytes(path.read_bytes()[:-40])
    return rf"readable image; .*--max-bad-images.* Received: {path}$"


def break_unreadable(folder):
    path = folder / "test" / "cat" / "c.jpeg"
    path.write_bytes(b"this is no image")
    return rf"readable image \(test images are never left out\). Received: {path}$"


def break_huge(folder):
    path = folder / "train" / "dog" / "b.JPG"
    file = bytearray((folder / "train" / "dog" / "a.png").read_bytes())
    file[16:24] = (20_000).to_bytes(4, "big") * 2
    path.write_bytes(bytes(file))
    return rf"readable image; .* Received: {path} \(more than 134,217,728 pixels\)$"


def break_first_image(folder):
    path = folder / "train" / "cat" / "a.png"
    path.write_bytes(b"")
    return rf"readable image; .*--max-bad-images.* Received: {path}$"


BREAKS = [value for name, value in sorted(globals().items()) if name.startswith("break_")]


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__[6:])
def test_bad_folder_gives_one_line_that_names_it(folder, damage):
    message = damage(folder)
    with pytest.raises(ValueError, match=message) as error:
        load_dataset(str(folder))
    assert "\n" not in str(error.value)


def test_bad_image_is_named_under_image_size_too(folder):
    message = break_truncate(folder)
    with pytest.raises(ValueError, match=message):
        load_dataset(str(folder), image_size=16)


def test_bad_image_is_named_in_a_later_chunk(folder):
    for i in range(decoding.CHUNK):
        write(folder / "train" / "cat" / f"{i}.png", seed=i)
    with pytest.raises(ValueError, match=break_truncate(folder)):
        load_dataset(str(folder))


@pytest.mark.parametrize("name", ["no/such/folder", "./nowhere", "~/no_such_folder_here"])
def test_missing_folder_gives_one_line(name):
    with pytest.raises(ValueError, match=f"one folder per class. Received: {name}, which"):
        load_dataset(name)


def test_folder_that_does_not_fit_in_memory_is_streamed(folder, monkeypatch):
    monkeypatch.setattr(folders, "available_bytes", lambda: 6 * 8 * 8 * 3)
    dataset = load_dataset(str(folder))
    assert isinstance(dataset.train, Files)
    assert "read while they are used" in dataset.notes[-1]
    assert isinstance(load_dataset(str(folder), limit=2).train, Files)
    monkeypatch.undo()
    in_memory = load_dataset(str(folder))
    assert isinstance(in_memory.train, Split)
    decoded = [dataset.preprocessing.decode(tf.io.read_file(p)) for p in dataset.train.paths]
    np.testing.assert_array_equal(in_memory.train.images, decoded)


def test_image_size_must_be_one_that_networks_take(folder):
    with pytest.raises(ValueError, match="8 pixels or more. Received: image_size=7"):
        load_dataset(str(folder), image_size=7)
    assert load_dataset(str(folder), image_size=230).train.images.shape == (4, 230, 230, 3)


def test_folder_limit_smaller_than_the_classes_is_refused(folder):
    with pytest.raises(ValueError, match="at least 2, one image a class. Received: limit=1"):
        load_dataset(str(folder), limit=1)


def test_photos_are_cropped_at_the_centre_or_squeezed(tmp_path):
    for i, (name, size) in enumerate([("a", (100, 300)), ("b", (200, 80))]):
        for j in range(2):
            write(tmp_path / name / f"{j}.png", size, seed=10 * i + j)
    cropped = load_dataset(str(tmp_path))
    assert cropped.train.images.shape == (2, 64, 64, 3)
    (path,) = [p for p in (tmp_path / "a").iterdir() if p.name not in str(cropped.held_out)]
    with Image.open(path) as image:
        expected = image.resize((192, 64), Image.Resampling.BILINEAR).crop((64, 0, 128, 64))
        squeezed = image.resize((64, 64), Image.Resampling.BILINEAR)
    assert np.abs(cropped.train.images[0].astype(int) - np.asarray(expected)).max() <= 1
    other = load_dataset(str(tmp_path), resize="squeeze").train.images[0]
    assert np.abs(other.astype(int) - np.asarray(squeezed)).max() <= 1


def test_held_out_images_are_those_of_the_earlier_run(tmp_path):
    for name in "ab":
        for i in range(5):
            write(tmp_path / name / f"{i}.png", seed=i)
    before = load_dataset(str(tmp_path))
    assert before.held_out == tuple(sorted(before.held_out))
    names = ("a/0.png", "b/3.png")
    after = load_dataset(str(tmp_path), held_out=names)
    assert after.held_out == names
    pixels = [np.asarray(Image.open(tmp_path / name)) for name in names]
    np.testing.assert_array_equal(after.test.images, pixels)


def test_names_that_are_not_utf8_are_read(folder):
    path = write(folder / "train" / "cat" / "z.png", seed=99)
    os.rename(path, os.fsencode(path.parent) + b"/caf\xe9.png")
    assert load_dataset(str(folder)).train.size == 5
    streamed = load_dataset(str(folder), streamed=True, image_size=8)
    assert (
        sum(len(y) for _, y in evaluation_batches(streamed.train, streamed.preprocessing, 2)) == 5
    )
