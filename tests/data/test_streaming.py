"""Streamed images: reproducible, seekable, divisible among replicas, and damaged files."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from collect_batches import assert_same, collected
from mostly_slow import mostly_slow
from PIL import Image

from darts_tf.data import (
    Augmentation,
    ColorJitter,
    Preprocessing,
    evaluation_batches,
    evaluation_steps,
    load_dataset,
    sample,
    search_batches,
    split_halves,
    steps_per_epoch,
    train_batches,
)
from darts_tf.data.splits import Files, Records

CROP = Augmentation(random_resized_crop=True)
EVERYTHING = Augmentation(flip=True, cutout=3, random_resized_crop=True, color_jitter=ColorJitter())
# an identity as normalisation, so that a batch contains the images themselves
RAW = Preprocessing(8, 8, 3, (0.0,) * 3, (1 / 255,) * 3, 9)


def write(path: pathlib.Path, level: int, size=(13, 11)) -> None:
    """Saves an image of one color."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory) -> pathlib.Path:
    """Makes 11 training and 5 test images of two classes, with their number as gray value."""
    folder = tmp_path_factory.mktemp("images")
    for split, count in (("train", 11), ("val", 5)):
        for i in range(count):
            suffix = "png" if i % 3 else "JPEG"
            write(folder / split / "ab"[i % 2] / f"{i:02}.{suffix}", 10 * i, (13 + i, 30 - i))
    return folder


@pytest.fixture(scope="module")
def dataset(image_folder):
    return load_dataset(str(image_folder), streamed=True, image_size=8)


def records(split: Files) -> Records:
    """Makes `Records` of the images that shuffle all of them."""

    def read(order):
        images = tf.data.Dataset.from_tensor_slices((split.paths, split.labels))
        images = images.map(lambda path, label: (tf.io.read_file(path), tf.cast(label, tf.int64)))
        if order is None:
            return images
        tf.random.set_seed(1)
        return images.shuffle(64, seed=order, reshuffle_each_iteration=False)

    return Records(read, split.size)


KINDS = {"files": lambda split: split, "records": records}


def trained(split, augmentation=EVERYTHING, batch_size=4, **options):
    options = {"seed": 3, "epochs": 3, **options}
    return train_batches(split, RAW, augmentation, batch_size, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_batches_hold_every_image_once_an_epoch_in_new_order(dataset, kind):
    split = KINDS[kind](dataset.train)
    batches = collected(trained(split, CROP, seed=0, epochs=4))
    assert [len(y) for _, y in batches] == [4, 4, 3] * 4
    levels = np.concatenate([x[:, 4, 4, 0] for x, _ in batches])
    numbers = np.round(levels / 10).astype(int).reshape(4, 11)
    np.testing.assert_array_equal(np.sort(numbers, 1), np.tile(np.arange(11), (4, 1)))
    assert len({epoch.tobytes() for epoch in numbers}) == 4
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), numbers.ravel() % 2)
    assert {(x.dtype, y.dtype) for x, y in batches} == {(np.dtype("f4"), np.dtype("i4"))}


@pytest.mark.parametrize("kind", KINDS)
@mostly_slow((1,), "start", [2, 3, 7, 9])
def test_streamed_batches_start_at_any_step_bit_for_bit(dataset, kind, start):
    split = KINDS[kind](dataset.train)
    full = collected(trained(split))
    assert_same(collected(trained(split, start_step=start)), full[start:])


@mostly_slow(1, "kind", KINDS)
def test_streamed_batches_follow_the_seed_and_no_other(dataset, kind):
    split = KINDS[kind](dataset.train)
    first = collected(trained(split))
    tf.random.set_seed(77)
    assert_same(collected(trained(split)), first)
    other = collected(trained(split, seed=4))
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@mostly_slow(
    1,
    ("here", "start"),
    [(1, 4), (3, 0), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((1, 0), (3, 4)))],
)
def test_parts_of_streamed_batches_are_the_batches(dataset, kind, here, start):
    split = KINDS[kind](dataset.train)
    whole = collected(trained(split, start_step=start))
    parts = [
        collected(trained(split, start_step=start, part=(first, here, 3)))
        for first in range(0, 3, here)
    ]
    for step, (x, y) in enumerate(whole):
        pieces = [piece for part in parts for piece in part[step * here : (step + 1) * here]]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in pieces]), x)
        np.testing.assert_array_equal(np.concatenate([y for _, y in pieces]), y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [2, 5, 64])
def test_streamed_evaluation_is_what_preprocessing_decodes(dataset, kind, batch_size):
    split = KINDS[kind](dataset.test)
    preprocessing = dataset.preprocessing
    batches = collected(evaluation_batches(split, preprocessing, batch_size))
    assert len(batches) == evaluation_steps(split, batch_size)
    decoded = [preprocessing.decode(tf.io.read_file(path)) for path in dataset.test.paths]
    expected = preprocessing.normalize(np.stack(decoded))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), expected)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), dataset.test.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_of_a_streamed_split_is_decoded_with_its_labels(dataset, kind):
    """Files are sorted by class, so evenly spaced ones represent all classes."""
    images, labels = sample(KINDS[kind](dataset.train), dataset.preprocessing, 4)
    chosen = {"files": [0, 2, 5, 8], "records": [0, 1, 2, 3]}[kind]
    assert labels.tolist() == dataset.train.labels[chosen].tolist()
    for image, i in zip(images, chosen, strict=True):
        contents = tf.io.read_file(dataset.train.paths[i])
        np.testing.assert_array_equal(image, dataset.preprocessing.decode(contents))
    assert len(sample(KINDS[kind](dataset.train), dataset.preprocessing, 99).labels) == 11


@mostly_slow(1, "kind", KINDS)
def test_parts_of_streamed_evaluation_may_be_empty(dataset, kind):
    split = KINDS[kind](dataset.test)
    whole = collected(evaluation_batches(split, RAW, 4))
    parts = [collected(evaluation_batches(split, RAW, 4, (first, 1, 3))) for first in range(3)]
    assert [[len(y) for _, y in part] for part in parts] == [[1, 0], [1, 0], [2, 1]]
    for step, (x, _) in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[step][0] for part in parts]), x)


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_batches_know_their_shapes_and_their_number(dataset, kind):
    split = KINDS[kind](dataset.train)
    spec = tf.TensorSpec((None, 8, 8, 3)), tf.TensorSpec((None,), tf.int32)
    batches = trained(split, start_step=1, part=(1, 2, 3))
    assert batches.element_spec == spec
    assert batches.cardinality() == (3 * steps_per_epoch(split, 4) - 1) * 2
    assert evaluation_batches(split, RAW, 4).element_spec == spec


def test_streamed_dataset_is_normalised_as_imagenet_and_cropped_in_the_middle(image_folder):
    dataset = load_dataset(str(image_folder), streamed=True)
    assert dataset.preprocessing == Preprocessing(
        224, 224, 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 256
    )
    assert (dataset.classes, dataset.train.size, dataset.test.size) == (("a", "b"), 11, 5)
    limited = load_dataset(str(image_folder), streamed=True, limit=4).train
    np.testing.assert_array_equal(limited.labels, [0, 0, 1, 1])


def test_random_resized_crops_need_a_streamed_dataset(dataset):
    digits = load_dataset("digits", limit=20)
    with pytest.raises(ValueError, match="with a streamed dataset.* Received: images in memory"):
        train_batches(digits.train, digits.preprocessing, CROP, 4, seed=0, epochs=1)
    halves = (records(dataset.train),) * 2
    with pytest.raises(ValueError, match="in memory or in files. Received: records of TFDS"):
        search_batches(*halves, RAW, Augmentation(), 4, seed=0, epochs=1)
    with pytest.raises(ValueError, match="Received: digits, which is in memory"):
        load_dataset("digits", streamed=True)


def levels(batch) -> list[int]:
    """Returns the numbers of the images in a batch, each of one color."""
    x, y = batch
    numbers = np.round(x.numpy().max((1, 2, 3)) / 10).astype(int)
    assert all(number % 2 == label for number, label in zip(numbers, y.numpy(), strict=True))
    return numbers.tolist()


def test_streamed_searches_draw_both_halves_and_start_at_any_step(dataset):
    halves = split_halves(dataset.train, seed=0)
    augmentation = Augmentation(crop_padding=2, flip=True)

    def batches(**options):
        return search_batches(*halves, RAW, augmentation, 2, seed=3, epochs=4, **options)

    steps = [(levels(one), levels(other)) for one, other in batches()]
    assert len(steps) == 4 * 3
    epochs = [sorted(sum((one for one, _ in steps[i : i + 3]), [])) for i in range(0, 12, 3)]
    assert all(epoch == epochs[0] for epoch in epochs)
    assert len({tuple(one) for one, _ in steps}) > 3  # a new order in every epoch
    alphas = sum((other for _, other in steps), [])
    size = halves[1].size
    passes = [sorted(alphas[i : i + size]) for i in range(0, len(alphas) - size + 1, size)]
    assert all(len(set(part)) == size and part == passes[0] for part in passes)
    assert not set(epochs[0]) & set(alphas)
    assert_same(collected(batches(start_step=5)), collected(batches())[5:])


# Damaged files


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    for split, count in (("train", 4), ("test", 2)):
        for i in range(count):
            for name in "ab":
                write(tmp_path / split / name / f"{i}.jpg", 40 * i)
    return tmp_path


def shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def replace(path):
    path.write_text("this is no image")


def lose(path):
    path.unlink()
    path.symlink_to("no_such_file")


def logged(caplog) -> list[str]:
    return [message for logger, _, message in caplog.record_tuples if logger == "darts_tf"]


@mostly_slow((0, 3), "damage", [shorten, empty, replace, lose])
def test_damaged_file_is_left_out_and_named(folder, caplog, damage):
    path = folder / "train" / "b" / "1.jpg"
    damage(path)
    with pytest.raises(ValueError, match=f"max-bad-images.* Received: {path}"):
        load_dataset(str(folder), streamed=True)
    dataset = load_dataset(str(folder), streamed=True, image_size=8, max_bad_images=1)
    assert str(path) not in dataset.train.paths
    np.testing.assert_array_equal(dataset.train.labels, [0] * 4 + [1] * 3)
    reason = " (No such file or directory)" if damage is lose else ""
    assert logged(caplog) == [f"Left out a damaged training image, 1 of at most 1: {path}{reason}"]
    assert len(collected(trained(dataset.train, epochs=1, batch_size=7))[0][1]) == 7


def test_too_many_damaged_files_are_refused_and_those_of_test_always(folder):
    for name in ("1.jpg", "2.jpg"):
        shorten(folder / "train" / "a" / name)
    with pytest.raises(ValueError, match="at most 1 damaged.* at least 2, the last one .*a.2.jpg"):
        load_dataset(str(folder), streamed=True, max_bad_images=1)
    empty(folder / "test" / "a" / "0.jpg")
    with pytest.raises(ValueError, match="never left out.* Received: .*test.a.0.jpg"):
        load_dataset(str(folder), streamed=True, max_bad_images=5)


def test_file_with_something_after_its_end_is_whole(folder):
    path = folder / "train" / "a" / "0.jpg"
    path.write_bytes(path.read_bytes() + b"\n\n")
    assert load_dataset(str(folder), streamed=True).train.size == 8


@pytest.mark.parametrize("number", [0, 2, 3])
@pytest.mark.parametrize("part", [(0, 1, 1), (0, 2, 2)])
def test_file_damaged_in_the_middle_stops_with_its_name(folder, number, part):
    path = folder / "test" / "ab"[number // 2] / f"{number % 2}.jpg"
    contents = path.read_bytes()
    path.write_bytes(contents[:4] + bytes(len(contents) - 8) + contents[-4:])
    dataset = load_dataset(str(folder), streamed=True, image_size=8)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"a readable image.*{path}"):
        collected(evaluation_batches(dataset.test, RAW, 4, part))


def test_file_lost_while_it_is_used_stops_with_its_name(folder):
    dataset = load_dataset(str(folder), streamed=True, image_size=8)
    path = folder / "train" / "a" / "2.jpg"
    path.unlink()
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"a readable image.*{path}"):
        collected(trained(dataset.train))
