"""Size and orientation of an image, from the header of its file, inside a graph.

TensorFlow's decoders neither rotate photos by their EXIF tag nor bound the memory that a small file
takes when it is decoded.
"""

from __future__ import annotations

import tensorflow as tf

MAX_PIXELS = 2**27
"""Largest number of pixels of an image that is decoded: 134 million, 11,585x11,585."""

_HEAD = 32
"""Bytes in which every format but JPEG has its size."""
_EXIF_WINDOW = 2**16
"""Bytes at the start and at the end of a file in which EXIF data is looked for."""
_ORIENTATION = 0x0112
"""Tag of the orientation (Exif 2.32, section 4.6.4 A)."""

# by orientation 0 (none) to 8: whether rows and columns are exchanged first, then whether the
# image is mirrored upside down and left to right
_TRANSPOSED = (False, False, False, False, False, True, True, True, True)
_UPSIDE_DOWN = (False, False, False, True, True, False, False, True, True)
_MIRRORED = (False, False, True, True, False, False, True, True, False)


def declared_size(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the height and width that an image file declares, before any rotation.

    Args:
        encoded: bytes of a JPEG, PNG, GIF, BMP or WEBP file, a scalar string.

    Returns:
        int64, `(2,)`; zeros for another or a truncated file, which the decoder refuses.

    Raises:
        tf.errors.InvalidArgumentError: a JPEG file without a size.
    """
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64),
        lambda: _size_in_head(encoded),
    )


def _size_in_head(encoded: tf.Tensor) -> tf.Tensor:
    head = tf.strings.join([tf.strings.substr(encoded, 0, _HEAD), bytes(_HEAD)])
    kind, of_webp = tf.strings.substr(head, 0, 4), tf.strings.substr(head, 12, 4)

    def integers(first: int, length: int, dtype: tf.DType, little: bool = True) -> tf.Tensor:
        text = tf.strings.substr(head, first, length)
        return tf.cast(tf.io.decode_raw(text, dtype, little_endian=little), tf.int64)

    (bits,) = tf.unstack(integers(21, 4, tf.int32), 1)
    extended = tf.concat([integers(24, 4, tf.int32), integers(27, 4, tf.int32)], 0)
    widths_and_heights = (
        (kind == b"\x89PNG", integers(16, 8, tf.int32, little=False)),
        (kind == b"GIF8", integers(6, 4, tf.uint16)),
        # a bitmap's height is negative if its first row is the top one
        (tf.strings.substr(head, 0, 2) == b"BM", integers(18, 8, tf.int32)),
        (of_webp == b"VP8 ", integers(26, 4, tf.uint16) % 2**14),
        (of_webp == b"VP8L", tf.stack([bits, bits // 2**14]) % 2**14 + 1),
        (of_webp == b"VP8X", extended % 2**24 + 1),
    )
    size = tf.zeros(2, tf.int64)
    for is_kind, width_and_height in widths_and_heights:
        size = tf.where(is_kind, tf.abs(width_and_height), size)
    return size[::-1]


def is_transparent_webp(encoded: tf.Tensor) -> tf.Tensor:
    """Returns whether a file is a WEBP file with transparency.

    TensorFlow decodes these to four channels only, and others to three.
    """
    head = tf.strings.join([tf.strings.substr(encoded, 0, _HEAD), bytes(_HEAD)])
    kind = tf.strings.substr(head, 12, 4)
    flags, lossless = (
        tf.io.decode_raw(tf.strings.substr(head, place, 1), tf.uint8)[0] for place in (20, 24)
    )
    extended = (kind == b"VP8X") & (flags // 16 % 2 == 1)
    return extended | ((kind == b"VP8L") & (lossless // 16 % 2 == 1))


def bounded(encoded: tf.Tensor) -> tf.Tensor:
    """Returns an image file's bytes if it declares at most `MAX_PIXELS` pixels.

    Raises:
        tf.errors.InvalidArgumentError: a larger image; nothing has been decoded.
    """
    height, width = tf.unstack(declared_size(encoded))
    message = f"Expected an image of at most {MAX_PIXELS:,} pixels. Received (height, width):"
    # the product of two 32-bit numbers may overflow
    fits = tf.cast(height, tf.float64) * tf.cast(width, tf.float64) <= MAX_PIXELS
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, height, width])]):
        return tf.identity(encoded)


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns an image file's EXIF orientation, 1 to 8; 1 if there is none that can be read.

    Args:
        encoded: bytes of an image file, a scalar string.

    Returns:
        int32 scalar.
    """
    value = _orientation_in(tf.strings.substr(encoded, 0, _EXIF_WINDOW))
    # WEBP files, and some PNG files, have it at the end
    size = tf.strings.length(encoded)
    end = tf.maximum(size - _EXIF_WINDOW, 0)
    value = tf.cond(
        (value == 0) & (end > 0) & ~tf.io.is_jpeg(encoded),
        lambda: _orientation_in(tf.strings.substr(encoded, end, _EXIF_WINDOW)),
        lambda: value,
    )
    return tf.where((value >= 1) & (value <= 8), value, 1)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Rotates and mirrors an image `(height, width, channels)` as its EXIF orientation says."""

    def turned() -> tf.Tensor:
        transposed, upside_down, mirrored = _turns(orientation)
        turned = tf.cond(transposed, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        turned = tf.cond(upside_down, lambda: tf.reverse(turned, [0]), lambda: turned)
        return tf.cond(mirrored, lambda: tf.reverse(turned, [1]), lambda: turned)

    return tf.cond(orientation == 1, lambda: image, turned)


def upright_size(size: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns height and width, `(2,)`, of an image after `upright`."""
    return tf.where(_turns(orientation)[0], size[::-1], size)


def stored_window(window: tf.Tensor, size: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Returns where a window of an upright image is in the image as stored.

    Args:
        window: first row and column, height and width, int32, `(4,)`.
        size: height and width of the upright image, int32, `(2,)`.
        orientation: EXIF orientation of the stored image, 1 to 8.

    Returns:
        int32, `(4,)`, as `window`.
    """
    transposed, upside_down, mirrored = _turns(orientation)
    first, extent = window[:2], window[2:]
    first = tf.where(tf.stack([upside_down, mirrored]), size - first - extent, first)
    swapped = tf.concat([first[::-1], extent[::-1]], 0)
    return tf.where(transposed, swapped, tf.concat([first, extent], 0))


def _turns(orientation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    tables = (_TRANSPOSED, _UPSIDE_DOWN, _MIRRORED)
    return tuple(tf.gather(tf.constant(table), orientation) for table in tables)


def _orientation_in(contents: tf.Tensor) -> tf.Tensor:
    """Returns the orientation of the first EXIF data in these bytes; 0 without any."""
    tiff = tf.constant(b"")
    for marker, skipped in ((b"EXIF", 4), (b"eXIf", 0), (b"Exif\0\0", 0)):  # WEBP, PNG, JPEG
        parts = tf.strings.split([contents], marker, maxsplit=1).values
        after = tf.strings.join([tf.concat([parts, [b""]], 0)[1], bytes(8)])
        after = tf.strings.substr(after, skipped, _EXIF_WINDOW)
        order = tf.strings.substr(after, 0, 4)
        tiff = tf.where((order == b"II*\0") | (order == b"MM\0*"), after, tiff)
    return tf.cond(tiff == b"", lambda: tf.constant(0), lambda: _orientation_of(tiff))


def _orientation_of(tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in a TIFF header and its first directory; 0 without any."""
    length = tf.strings.length(tiff)
    padded = tf.strings.join([tiff, bytes(16)])
    is_little = tf.strings.substr(padded, 0, 1) == b"I"

    def integers(first, count, dtype: tf.DType) -> tf.Tensor:
        text = tf.strings.substr(padded, first, count)
        little, large = (tf.io.decode_raw(text, dtype, little_endian=e) for e in (True, False))
        return tf.cast(tf.where(is_little, little, large), tf.int32)

    place = tf.clip_by_value(integers(4, 4, tf.int32)[0], 8, tf.maximum(length, 8))
    # a directory has the number of its entries, then 12 bytes for each: tag, type, count, value
    count = tf.minimum(integers(place, 2, tf.uint16)[0], tf.maximum(length - place - 2, 0) // 12)
    entries = tf.reshape(integers(place + 2, 12 * count, tf.uint16), (-1, 6))
    values = tf.where(entries[:, 0] == _ORIENTATION, entries[:, 4], 0)
    return tf.reduce_max(tf.concat([values, [0]], 0))
