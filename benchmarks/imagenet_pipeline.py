"""Throughput of the streamed ImageNet pipeline, compared with only decoding and resizing.

    python benchmarks/imagenet_pipeline.py --shorter-side 375

Copies of the photos in ../shared/data/imagenet-sample, or of generated ones if there are none, are
written to a folder with that shorter side (most of ImageNet's photos are 500x375). They are then
read into batches of 224x224. Per core means per second of processor time.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import time

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet-sample"


def main():
    """Measures all pipelines in this process, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--shorter-side", type=int, default=375)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow()
    from measuring import cores, save, show

    with tempfile.TemporaryDirectory() as folder:
        write_copies(pathlib.Path(folder), args.images, args.shorter_side)
        start = time.perf_counter()
        pipelines = pipelines_of(folder, args.image_size, args.batch_size)
        loading = time.perf_counter() - start
        rows = [{"pipeline": name} | best(make, args.repeat) for name, make in pipelines.items()]
    title = f"{args.images} photos, shorter side {args.shorter_side}, {cores()} cores"
    columns = ["", "images/s", "images/s per core", "ms of a core per image"]
    show(title, columns, [row.values() for row in rows])
    print(f"listed and checked in {loading:.2f} s")
    save("imagenet_pipeline", {"settings": vars(args), "loading": loading, "runs": rows})


def write_copies(folder: pathlib.Path, count: int, shorter_side: int) -> None:
    """Writes an image folder of two classes, with `count` images in each of two splits."""
    import tensorflow as tf

    from darts_tf.data.preprocessing import decode_rgb, resize_shorter

    paths = sorted(SAMPLE.glob("*.jpg")) if SAMPLE.is_dir() else []
    photos = [decode_rgb(tf.io.read_file(str(path))) for path in paths] or generated()
    encoded = [
        tf.io.encode_jpeg(resize_shorter(photo, shorter_side), quality=90).numpy()
        for photo in photos
    ]
    for split, copies in (("train", count), ("val", count)):
        for label in range(2):
            (folder / split / str(label)).mkdir(parents=True)
        for i in range(copies):
            (folder / split / str(i % 2) / f"{i:06}.jpg").write_bytes(encoded[i % len(encoded)])


def generated() -> list:
    """Returns generated 375x500 photos with spots of several sizes."""
    import numpy as np
    import tensorflow as tf

    from darts_tf.data.preprocessing import resize

    rng = np.random.default_rng(0)
    spots = [rng.integers(0, 256, (n, n, 3), dtype=np.uint8) for n in (8, 32, 128) * 8]
    return [tf.cast(resize(photo, 375, 500), tf.uint8) for photo in spots]


def pipelines_of(folder: str, size: int, batch_size: int) -> dict:
    """Returns functions that create a dataset of batches, by name of the pipeline."""
    import functools

    import tensorflow as tf

    from darts_tf.data import (
        Augmentation,
        ColorJitter,
        evaluation_batches,
        load_dataset,
        train_batches,
    )

    dataset = load_dataset(folder, streamed=True, image_size=size)

    def bare(antialias, **decoding):
        def image(path):
            whole = tf.io.decode_jpeg(tf.io.read_file(path), channels=3, **decoding)
            return tf.image.resize(whole, (size, size), antialias=antialias), 0

        paths = tf.data.Dataset.from_tensor_slices(dataset.train.paths)
        return paths.map(image, tf.data.AUTOTUNE).batch(batch_size).prefetch(2)

    def train(**augmentation):
        augment = Augmentation(random_resized_crop=True, **augmentation)
        options = {"seed": 0, "epochs": 1}
        return train_batches(dataset.train, dataset.preprocessing, augment, batch_size, **options)

    evaluation = functools.partial(evaluation_batches, dataset.test, dataset.preprocessing)
    accurate = {"antialias": True, "dct_method": "INTEGER_ACCURATE"}
    return {
        "bare decode_jpeg and resize": functools.partial(bare, antialias=False),
        "the same, accurate, antialiased": functools.partial(bare, **accurate),
        "random resized crop": train,
        "and flip, color jitter": functools.partial(train, flip=True, color_jitter=ColorJitter()),
        "evaluation": functools.partial(evaluation, batch_size),
    }


def best(make, repeat: int) -> dict:
    """Returns rates of the pass with the least processor time, without the first pass."""
    passes = [one_pass(make()) for _ in range(repeat + 1)][1:]
    images, wall, processor = min(passes, key=lambda measured: measured[2])
    return {
        "images_per_second": images / wall,
        "images_per_second_per_core": images / processor,
        "milliseconds_per_image": 1000 * processor / images,
    }


def one_pass(batches) -> tuple[int, float, float]:
    """Returns the number of images, seconds, and seconds of processor time of all cores."""
    wall, processor = time.perf_counter(), time.process_time()
    images = sum(len(y) for _, y in batches)
    return images, time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
