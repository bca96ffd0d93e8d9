"""Images of other folders and datasets as a test of a trained network."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from cli_helpers import COLOURS, write_images
from PIL import Image

from darts_tf.data import Preprocessing, Split, evaluation_batches, external_test
from darts_tf.data.external_test import load_external_test
from darts_tf.errors import InputError

CLASSES = tuple(COLOURS)
PREPROCESSING = Preprocessing(8, 8, 3, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture
def photos(tmp_path):
    """A folder with a folder of images for each class, of any size, and no splits."""
    random = np.random.default_rng(0)
    for name, count in zip(CLASSES, (3, 1, 2), strict=True):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            size = (20 + i, 300, 3)
            image = Image.fromarray(random.integers(0, 256, size, dtype=np.uint8))
            image.save(tmp_path / "photos" / name / f"{i}.jpg")
    return tmp_path / "photos"


def load(folder, classes=CLASSES, **options):
    return load_external_test(str(folder), classes, PREPROCESSING, **options)


def test_all_images_of_a_flat_folder_are_tested(photos):
    name, files = load(photos)
    assert name == str(photos)
    assert files.labels.tolist() == [0, 0, 0, 1, 2, 2]
    assert files.paths[3] == str(photos / "green" / "0.jpg")
    ((x, y),) = evaluation_batches(files, PREPROCESSING, 10)
    assert x.shape == (6, 8, 8, 3)  # as the network reads
    assert y.numpy().tolist() == files.labels.tolist()


def test_labels_are_those_of_the_network(photos):
    assert load(photos, ("red", "other", "green", "blue"))[1].labels.tolist() == [3, 3, 3, 2, 0, 0]


@pytest.mark.parametrize("name", ["test", "Test", "val"])
def test_folder_with_splits_is_tested_on_its_test_images(tmp_path, name):
    folder = write_images(tmp_path / "photos", {"train": 4, name: 2})
    _, files = load(folder)
    assert len(files.paths) == 6
    assert all(f"/{name}/" in path for path in files.paths)


def test_limit_keeps_every_class(photos):
    assert sorted(set(load(photos, limit=3)[1].labels)) == [0, 1, 2]


def test_other_files_are_skipped_with_one_warning(photos, caplog):
    (photos / "notes.txt").write_text("mine")
    (photos / "red" / "Thumbs.db").write_bytes(b"\0")
    (photos / ".DS_Store").write_bytes(b"\0")
    assert len(load(photos)[1].paths) == 6
    assert [record.getMessage() for record in caplog.records] == [
        f"{photos}: 3 files skipped: 1 .txt, 2 hidden or of the system"
    ]


def test_unknown_classes_are_refused_in_one_line(photos):
    with pytest.raises(InputError, match=r"only the run's classes \(blue, red\).*'green'") as error:
        load(photos, ("blue", "red"))
    assert "\n" not in str(error.value)


def test_folders_without_images_and_damaged_images_are_refused(photos, tmp_path):
    (tmp_path / "empty" / "red").mkdir(parents=True)
    with pytest.raises(InputError, match="in every class folder. Received: .*red without any"):
        load(tmp_path / "empty")
    (photos / "red" / "0.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match="test images are never left out.*red"):
        load(photos)
    with pytest.raises(InputError, match="Expected"):
        load(tmp_path / "nowhere")


def test_a_single_class_is_enough(photos):
    for name in ("blue", "green"):
        shutil.rmtree(photos / name)
    assert load(photos)[1].labels.tolist() == [2, 2]


def test_training_images_are_tested_if_there_are_no_others(tmp_path):
    folder = write_images(tmp_path / "photos", {"training": 2})
    assert len(load(folder)[1].paths) == 6


@pytest.mark.parametrize("split", ["", "test", "valid"])
def test_rows_of_a_table_are_tested(photos, split):
    rows = ["path,label,split", "red/0.jpg,red,train", f"blue/0.jpg,blue,{split}"]
    (photos / "list.csv").write_text("\n".join(rows))
    name, files = load(photos / "list.csv")
    assert name == str(photos / "list.csv")
    assert files.labels.tolist() == ([0] if split else [0, 2])


def test_dataset_by_name_is_resized_as_the_network_resizes(monkeypatch, digits):
    asked = []
    monkeypatch.setattr(external_test, "load_dataset", lambda *_, **kw: asked.append(kw) or digits)
    for side in (None, 8):
        gray = Preprocessing(8, 8, 1, (0.5,), (0.25,), side)
        load_external_test("digits", digits.classes, gray)
    assert [each["resize"] for each in asked] == ["squeeze", "crop"]


def test_dataset_in_memory_is_read_as_the_network_reads(digits):
    names = tuple(reversed(digits.classes))
    gray = Preprocessing(8, 8, 1, (0.5,), (0.25,))
    color = np.repeat(digits.test.images, 3, -1)
    dataset = dataclasses.replace(digits, test=Split(color, digits.test.labels))
    name, split = load_external_test(dataset, names, gray)
    assert name == digits.name
    np.testing.assert_array_equal(split.images, digits.test.images)
    np.testing.assert_array_equal(split.labels, 9 - digits.test.labels)
    with pytest.raises(InputError, match="of 9x8 pixels, as the network reads. .* with 8x8"):
        load_external_test(dataset, names, dataclasses.replace(gray, height=9))


def test_dataset_by_name_is_tested_on_its_test_split():
    digits = tuple(str(i) for i in range(9, -1, -1))
    gray = Preprocessing(8, 8, 1, (0.5,), (0.25,))
    name, split = load_external_test("digits", digits, gray)
    assert name == "digits"
    assert split.images.shape == (364, 8, 8, 1)
    assert split.labels[0] == 9 - 0  # the first image is a zero
    with pytest.raises(InputError, match="only the run's classes.*digits with '0'"):
        load_external_test("digits", digits[:5], gray)
