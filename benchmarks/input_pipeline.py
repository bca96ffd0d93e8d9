"""Images per second of the search pipeline, compared with what a search step consumes.

    python benchmarks/input_pipeline.py --batch-size 64 --consumed 17

A search step takes two batches. The pipeline crops, flips and normalizes 32x32 color images.
"""

from __future__ import annotations

import argparse
import time


def main():
    """Measures the pipeline in this process, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--consumed", type=float, help="images per second that training takes")
    args = parser.parse_args()
    from darts_tf.cli.startup import start_tensorflow

    start_tensorflow()
    import numpy as np
    from measuring import save, show

    from darts_tf.data import Augmentation, Preprocessing, Split, search_batches

    rng = np.random.default_rng(0)
    count, size = max(25_000, args.batch_size), args.image_size
    halves = [
        Split(
            rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
            rng.integers(0, 10, count, dtype=np.int32),
        )
        for _ in range(2)
    ]
    preprocessing = Preprocessing(size, size, 3, (0.5,) * 3, (0.25,) * 3)
    rows = []
    for cutout in (0, 16):
        batches = search_batches(
            *halves, preprocessing, Augmentation(4, True, cutout), args.batch_size, seed=0, epochs=9
        )
        steps = iter(batches)
        next(steps)
        start = time.perf_counter()
        for _ in range(args.steps):
            next(steps)
        rate = 2 * args.batch_size * args.steps / (time.perf_counter() - start)
        rows.append({"cutout": cutout, "images_per_second": rate})
    columns = ["crop, flip and", "images/s"] + ["times what is consumed"] * bool(args.consumed)
    show(
        "input pipeline",
        columns,
        [
            [f"cutout {r['cutout']}" if r["cutout"] else "no cutout", r["images_per_second"]]
            + [r["images_per_second"] / args.consumed] * bool(args.consumed)
            for r in rows
        ],
    )
    save("input_pipeline", {"settings": vars(args), "runs": rows})


if __name__ == "__main__":
    main()
