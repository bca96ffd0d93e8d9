"""Default settings of runs that follow the images of a folder. No image is decoded."""

from __future__ import annotations

from darts_tf.data.layouts import find_layout
from darts_tf.data.sizes import choose_size, sampled_sizes

BATCH = (8, 64)
"""Smallest and largest batch by default; in between an epoch has `STEPS_PER_EPOCH` steps."""
STEPS_PER_EPOCH = 8
SEARCH_STEPS, SEARCH_EPOCHS = 200, (12, 50)
"""Number of steps of a search by default, and the least and the largest number of epochs."""
TRAIN_STEPS, TRAIN_EPOCHS = 600, (20, 100)
"""Number of steps of a training by default, and the least and the largest number of epochs."""
PADDING = 8
"""Ratio of an image's side to the padding of random crops: 32 and 4 pixels in the paper."""


def images_per_epoch(
    folder: str, *, searches: bool, limit: int | None = None, held_out: float = 0.0
) -> int:
    """Returns the number of training images of a folder that an epoch passes over.

    Args:
        folder: path of an image folder, or of a table of images.
        searches: a search passes over one half of them, with the other the alphas learn.
        limit: maximum number of training images to use.
        held_out: fraction of the training images that is held out for validation.

    Raises:
        InputError: see `layouts.find_layout`.
    """
    count = len(find_layout(folder).train.paths)
    count = min(count, limit or count)
    count -= round(count * held_out)
    return count // 2 if searches else count


def of_folder(
    folder: str, count: int, *, searches: bool, image_size: int | None = None
) -> dict[str, int]:
    """Returns `batch_size`, `epochs` and `crop_padding` for a folder of images.

    Small folders get small batches and many epochs, so that a run has enough steps.

    Args:
        folder: path of an image folder, or of a table of images.
        count: number of images per epoch.
        searches: whether the run is a search.
        image_size: side of the images in pixels; by default as `choose_size` chooses.

    Raises:
        InputError: see `layouts.find_layout`.
    """
    least, most = BATCH
    batch = max(1, min(most, max(least, count // STEPS_PER_EPOCH), count))
    total, (fewest, largest) = (
        (SEARCH_STEPS, SEARCH_EPOCHS) if searches else (TRAIN_STEPS, TRAIN_EPOCHS)
    )
    epochs = min(largest, max(fewest, round(total / max(1, count / batch))))
    if image_size is None:
        size, _ = choose_size(sampled_sizes(find_layout(folder).train.paths), "crop")
        image_size = min(size.height, size.width)
    return {"batch_size": batch, "epochs": epochs, "crop_padding": image_size // PADDING}
