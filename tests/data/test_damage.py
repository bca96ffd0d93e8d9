"""Damaged images: training images are left out by name up to a limit, test images never."""

from __future__ import annotations

import io
import pathlib
import shutil

import numpy as np
import pytest
from mostly_slow import mostly_slow
from PIL import Image

from darts_tf.data import decoding, load_dataset
from darts_tf.errors import InputError

CLASSES = ("blue", "red")
CHUNK = decoding.CHUNK


def encoded(label: int, number: int, format: str = "PNG", size=(8, 8)) -> bytes:
    """Encodes an image with its label and its number in two channels, and noise in the third."""
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = 200 * label, number
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def make_folder(root: pathlib.Path, count: int, suffix: str = "png") -> pathlib.Path:
    """Makes a folder with `count` training and 2 test images of each of two classes."""
    for split, images in (("train", count), ("test", 2)):
        for label, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for number in range(images):
                contents = encoded(label, number, "JPEG" if suffix == "jpg" else "PNG")
                (root / split / name / f"{number:03}.{suffix}").write_bytes(contents)
    return root


def halve(path):
    contents = path.read_bytes()
    path.write_bytes(contents[: len(contents) // 2])


def shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def write_text(path):
    path.write_text("this is no image\n" * 20)


def lose(path):
    path.unlink()
    path.symlink_to("no_such_file")


DAMAGES = (halve, shorten, empty, write_text, lose)
REASONS = {lose: " (No such file or directory)"}


def left_out(path, count, limit) -> tuple[str, int, str]:
    return "darts_tf", 30, f"Left out a damaged training image, {count} of at most {limit}: {path}"


def logged(caplog) -> list[tuple[str, int, str]]:
    """Returns the messages that this package has logged."""
    return [record for record in caplog.record_tuples if record[0].startswith("darts_tf")]


def without(folder: pathlib.Path, paths, **options):
    """Loads the dataset of a copy of the folder without the files at `paths`."""
    copy = folder.parent / f"{folder.name}_copy"
    gone = {path.relative_to(folder) for path in paths}

    def ignored(directory, names):
        return [n for n in names if (pathlib.Path(directory) / n).relative_to(folder) in gone]

    shutil.copytree(folder, copy, ignore=ignored)
    return load_dataset(str(copy), **options)


def assert_equal(dataset, expected):
    for split in ("train", "test"):
        images, labels = getattr(dataset, split)
        np.testing.assert_array_equal(images, getattr(expected, split).images)
        np.testing.assert_array_equal(labels, getattr(expected, split).labels)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    assert dataset.classes == expected.classes
    assert dataset.preprocessing == expected.preprocessing


@mostly_slow(1, "image_size", [None, 12])
@mostly_slow(1, "suffix", ["jpg", "png"])
@mostly_slow((0, 3, 4, 5), "damage", DAMAGES)
def test_damaged_image_is_left_out_with_its_label(tmp_path, caplog, suffix, damage, image_size):
    folder = make_folder(tmp_path / "data", 3, suffix)
    path = folder / "train" / "blue" / f"001.{suffix}"
    damage(path)
    dataset = load_dataset(str(folder), image_size=image_size, max_bad_images=1)
    np.testing.assert_array_equal(dataset.train.labels, [0, 0, 1, 1, 1])
    assert logged(caplog) == [left_out(f"{path}{REASONS.get(damage, '')}", 1, 1)]
    assert_equal(dataset, without(folder, [path], image_size=image_size))


@mostly_slow(1, "image_size", [None, 9])
@mostly_slow(
    (2, 4),
    "positions",
    [
        [0],
        [CHUNK - 1, CHUNK],
        [0, 1, CHUNK + 5, 3 * CHUNK + 1],
        [*range(CHUNK - 1, 2 * CHUNK + 1)],
        [*range(2 * CHUNK + 3, 3 * CHUNK + 2)],
    ],
    ids=["first", "border", "spread", "chunk", "last"],
)
def test_labels_stay_with_their_images_in_every_chunk(tmp_path, caplog, positions, image_size):
    half = CHUNK + CHUNK // 2 + 1
    folder = make_folder(tmp_path / "data", half)
    paths = sorted((folder / "train").glob("*/*"))
    bad = [paths[i] for i in positions]
    for i, path in enumerate(bad):
        (empty, halve, write_text, lose)[i % 4](path)
    options = {"image_size": image_size, "max_bad_images": len(bad)}
    dataset = load_dataset(str(folder), **options)
    images, labels = dataset.train
    kept = np.delete(np.arange(2 * half), positions)
    np.testing.assert_array_equal(labels, kept // half)
    np.testing.assert_array_equal(images[:, 0, 0, 0], 200 * labels)
    np.testing.assert_array_equal(images[:, 0, 0, 1], kept % half)
    expected = [
        left_out(f"{path}{REASONS[lose] if path.is_symlink() else ''}", i, len(bad))
        for i, path in enumerate(bad, 1)
    ]
    assert logged(caplog) == expected
    assert_equal(load_dataset(str(folder), **options), dataset)
    assert logged(caplog) == 2 * expected
    assert_equal(dataset, without(folder, bad, image_size=image_size))


@mostly_slow((1,), "image_size", [None, 12])
@pytest.mark.parametrize("first", [0, 2])
def test_one_damaged_image_more_than_the_limit_is_an_error(tmp_path, caplog, first, image_size):
    folder = make_folder(tmp_path, 6)
    paths = sorted((folder / "train" / "red").iterdir())[first : first + 4]
    for path in paths:
        empty(path)
    options = {"image_size": image_size}
    assert len(load_dataset(str(folder), max_bad_images=4, **options).train.labels) == 8
    caplog.clear()
    message = (
        r"at most 3 damaged training images, .*\(--max-bad-images\). "
        rf"Received: at least 4, the last one {paths[3]}$"
    )
    with pytest.raises(InputError, match=message) as error:
        load_dataset(str(folder), max_bad_images=3, **options)
    assert "\n" not in str(error.value)
    assert logged(caplog) == [left_out(path, i, 3) for i, path in enumerate(paths[:3], 1)]


def test_undamaged_folder_is_not_changed_by_the_limit(tmp_path, caplog):
    folder = str(make_folder(tmp_path, 3))
    assert_equal(load_dataset(folder, max_bad_images=5), load_dataset(folder))
    assert not logged(caplog)


@mostly_slow((1,), "image_size", [None, 12])
@pytest.mark.parametrize("bad", [[0, 2], [1, 2]])
def test_without_a_limit_the_first_damaged_image_is_an_error(tmp_path, caplog, bad, image_size):
    folder = make_folder(tmp_path, 4)
    paths = [folder / "train" / "blue" / f"{number:03}.png" for number in bad]
    for path in paths:
        halve(path)
    message = rf"^Expected a readable image; .*--max-bad-images.* Received: {paths[0]}$"
    with pytest.raises(InputError, match=message):
        load_dataset(str(folder), image_size=image_size)
    assert not logged(caplog)


def test_first_readable_image_decides_the_size(tmp_path, caplog):
    folder = make_folder(tmp_path, 4)
    paths = sorted((folder / "train" / "blue").iterdir())
    empty(paths[0])
    halve(paths[1])
    dataset = load_dataset(str(folder), max_bad_images=2)
    assert dataset.train.images.shape == (6, 8, 8, 3)
    assert logged(caplog) == [left_out(path, i, 2) for i, path in enumerate(paths[:2], 1)]


def test_more_damaged_images_at_the_beginning_than_the_limit_are_an_error(tmp_path, caplog):
    folder = make_folder(tmp_path, 8)
    paths = sorted((folder / "train" / "blue").iterdir())
    for path in paths[:4]:
        write_text(path)
    with pytest.raises(InputError, match=rf"Received: at least 3, the last one {paths[2]}$"):
        load_dataset(str(folder), max_bad_images=2)
    assert logged(caplog) == [left_out(path, i, 2) for i, path in enumerate(paths[:2], 1)]


@pytest.mark.parametrize("position", [0, 5])
def test_image_of_another_size_is_not_damaged(tmp_path, caplog, position):
    folder = make_folder(tmp_path, 4)
    path = sorted((folder / "train").glob("*/*"))[position]
    path.write_bytes(encoded(0, 0, size=(10, 8)))
    dataset = load_dataset(str(folder))
    assert not logged(caplog)
    assert dataset.train.images.shape == (8, 8, 8, 3)


@mostly_slow(1, "image_size", [None, 12])
@mostly_slow((1,), "max_bad_images", [0, 9])
@pytest.mark.parametrize("damage", [halve, lose])
def test_damaged_test_image_is_an_error(tmp_path, caplog, damage, max_bad_images, image_size):
    folder = make_folder(tmp_path, 3)
    path = folder / "test" / "red" / "001.png"
    damage(path)
    message = rf"readable image \(test images are never left out\). Received: {path}"
    with pytest.raises(InputError, match=message):
        load_dataset(str(folder), image_size=image_size, max_bad_images=max_bad_images)
    assert not logged(caplog)


@pytest.mark.parametrize("image_size", [None, 12])
@pytest.mark.parametrize("classes", [["blue"], ["red"], ["blue", "red"]], ids="+".join)
def test_class_without_readable_images_is_an_error(tmp_path, caplog, classes, image_size):
    folder = make_folder(tmp_path, 3)
    paths = [path for name in classes for path in sorted((folder / "train" / name).iterdir())]
    for path in paths:
        empty(path)
    message = rf"in every class. Received: class {classes[0]}, all images read are damaged \(3\)$"
    with pytest.raises(InputError, match=message):
        load_dataset(str(folder), image_size=image_size, max_bad_images=9)
    assert logged(caplog) == [left_out(path, i, 9) for i, path in enumerate(paths[:3], 1)]


@pytest.mark.parametrize("image_size", [None, 12])
def test_limit_chooses_before_damaged_images_are_left_out(tmp_path, caplog, image_size):
    folder = make_folder(tmp_path, 9)
    options = {"limit": 8, "seed": 3, "image_size": image_size}
    before = load_dataset(str(folder), **options).train
    chosen = before.images[:, 0, 0, 1][before.labels == 1]
    other = min(set(range(9)) - set(chosen))
    paths = [folder / "train" / "red" / f"{number:03}.png" for number in (chosen[2], other)]
    for path in paths:
        halve(path)
    after = load_dataset(str(folder), **options, max_bad_images=5).train
    is_kept = np.arange(8) != 4 + 2
    np.testing.assert_array_equal(after.labels, before.labels[is_kept])
    np.testing.assert_array_equal(after.images, before.images[is_kept])
    assert logged(caplog) == [left_out(paths[0], 1, 5)]


def test_limit_can_leave_a_class_without_readable_images(tmp_path):
    folder = make_folder(tmp_path, 4)
    number = load_dataset(str(folder), limit=2).train.images[1, 0, 0, 1]
    halve(folder / "train" / "red" / f"{number:03}.png")
    with pytest.raises(InputError, match=r"class red, all images read are damaged \(1\)$"):
        load_dataset(str(folder), limit=2, max_bad_images=5)


@pytest.mark.parametrize("name", ["digits", "./nowhere"])
def test_negative_limit_is_refused(name):
    with pytest.raises(InputError, match="0 or more. Received: max_bad_images=-1"):
        load_dataset(name, max_bad_images=-1)
