"""Data sets made of arrays and of `tf.data.Dataset`s."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from given_data import colored_arrays
from PIL import Image

from darts_tf.data import load_dataset, make_dataset
from darts_tf.errors import InputError

X, Y = colored_arrays(30)


def batches(x=X, y=Y, size=None):
    dataset = tf.data.Dataset.from_tensor_slices((x, y))
    return dataset if size is None else dataset.batch(size)


def assert_same(dataset, expected):
    assert dataset.classes == expected.classes
    assert dataset.preprocessing == expected.preprocessing
    for split in ("train", "test"):
        actual, wanted = getattr(dataset, split), getattr(expected, split)
        np.testing.assert_array_equal(actual.images, wanted.images)
        np.testing.assert_array_equal(actual.labels, wanted.labels)


FORMS = {
    "signed": lambda: (X.astype(np.int64), Y[:, None]),
    "float": lambda: (X.astype(np.float32) + 0.25, Y),
    "lists": lambda: [list(X), Y.tolist()],
    "one_hot": lambda: (X, np.eye(3)[Y]),
    "tensors": lambda: (tf.constant(X), tf.constant(Y)),
    "images_one_by_one": batches,
    "batches": lambda: batches(size=7),
    "batches_of_one_hot": lambda: batches(y=np.eye(3, dtype=np.float32)[Y], size=7),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_all_forms_give_the_same_data_set(form):
    assert_same(make_dataset(form()), make_dataset((X, Y)))


def test_a_fifth_is_held_out_in_proportion_to_the_classes():
    dataset = make_dataset((X, Y), seed=5)
    assert (dataset.train.size, dataset.test.size) == (24, 6)
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), [2, 2, 2])
    together = np.concatenate([dataset.train.images, dataset.test.images])
    assert len(np.unique(together.reshape(30, -1), axis=0)) == 30
    assert_same(make_dataset((X, Y), seed=6), dataset)  # whatever the seed of a limit
    mean = dataset.train.images.mean((0, 1, 2)) / 255
    np.testing.assert_allclose(dataset.preprocessing.mean, mean, rtol=1e-9)


def test_test_images_are_kept_and_have_no_part_in_the_statistics():
    dataset = make_dataset((X[:20], Y[:20]), batches(X[20:], Y[20:]), classes=("r", "g", "b"))
    np.testing.assert_array_equal(dataset.test.images, X[20:])
    assert dataset.classes == ("r", "g", "b")
    mean = X[:20].mean((0, 1, 2)) / 255
    np.testing.assert_allclose(dataset.preprocessing.mean, mean, rtol=1e-9)


def test_limit_and_size_hold_for_both_splits():
    dataset = make_dataset((X, Y), limit=9, image_size=16, seed=1)
    assert dataset.train.images.shape == (9, 16, 16, 3)
    assert dataset.test.images.shape == (6, 16, 16, 3)
    assert (dataset.preprocessing.height, dataset.preprocessing.width) == (16, 16)


def test_gray_images_need_no_channel():
    assert make_dataset((X[..., 0], Y)).train.images.shape == (24, 8, 8, 1)


def test_folder_as_keras_reads_it_has_its_class_names(tmp_path):
    for name, color in (("cat", 30), ("dog", 200)):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.new("RGB", (9, 8), (color, i, 0)).save(tmp_path / name / f"{i}.png")
    read = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(8, 9), batch_size=4, verbose=False
    )
    dataset = make_dataset(read)
    assert dataset.classes == ("cat", "dog")
    assert str(dataset).startswith("(arrays): 8 training and 2 test images, 8x9 color")
    bright = dataset.train.images[..., 0].mean((1, 2)) > 100
    np.testing.assert_array_equal(bright, dataset.train.labels == 1)


REFUSED = {
    "scaled": (lambda: (X / 255.0, Y), r"values 0 to 255. Received: values 0 to \S+, which are to"),
    "normalized": (lambda: (X / 100.0 - 1, Y), "values 0 to 255. Received: values -1 to"),
    "nan": (lambda: (np.full(X.shape, np.nan), Y), "values 0 to 255. Received: values nan"),
    "text": (lambda: (X.astype(str), Y), r"images uint8 \(n, height.* Received: <U"),
    "flat": (lambda: (X.reshape(30, -1), Y), r"images uint8 \(n, height.*uint8 \(30, 192\)"),
    "few_labels": (lambda: (X, Y[:9]), r"labels, integers \(30,\).*\(9,\)"),
    "shares": (lambda: (X, np.full((30, 3), 1 / 3)), "labels, integers"),
    "images_alone": (lambda: X, r"a pair \(images, labels\)"),
    "batches_of_images": (lambda: tf.data.Dataset.from_tensor_slices(X), "pairs"),
    "endless": (lambda: batches().repeat(), "that ends. Received: one that repeats"),
    "empty": (lambda: batches().take(0), "with images in it. Received: an empty one"),
    "one_class": (lambda: (X, 0 * Y), "two classes or more"),
    "one_of_a_class": (lambda: (X[:4], np.array([0, 0, 0, 1])), "Received: 1 of '1'"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_other_data_is_refused_in_one_line(data, message):
    with pytest.raises(InputError, match=message) as error:
        make_dataset(data())
    assert len(str(error.value).splitlines()) == 1


def test_arrays_of_a_program_are_not_looked_for_elsewhere():
    with pytest.raises(InputError, match="arrays that a program has given.*evaluate_network"):
        load_dataset("(arrays)")
