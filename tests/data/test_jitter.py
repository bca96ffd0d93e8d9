"""Color jitter compared with Pillow's enhancers and the standard library's color systems."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from darts_tf.data import ColorJitter
from darts_tf.data.jitter import DRAWS, brighten, color_jitter, contrast, saturate, turn_hue

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
GRAY = np.array([0.299, 0.587, 0.114])


def brighten_reference(image, factor):
    return np.clip(image * factor, 0, 255)


def contrast_reference(image, factor):
    return np.clip(factor * image + (1 - factor) * (image @ GRAY).mean(), 0, 255)


def saturate_reference(image, factor):
    return np.clip(factor * image + (1 - factor) * (image @ GRAY)[..., None], 0, 255)


def turn_hue_reference(image, turn):
    def turned(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel / 255)
        return colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)

    return 255 * np.apply_along_axis(turned, -1, image)


REFERENCES = {
    brighten: brighten_reference,
    contrast: contrast_reference,
    saturate: saturate_reference,
    turn_hue: turn_hue_reference,
}


@pytest.mark.parametrize("change", REFERENCES)
@pytest.mark.parametrize("amount", [-0.2, 0.0, 0.13, 0.6, 1.0, 1.4])
def test_change_of_colors_is_its_formula(change, amount):
    if change is not turn_hue:
        amount = abs(amount)
    received = change(tf.constant(IMAGE, tf.float32), tf.constant(amount))
    expected = REFERENCES[change](IMAGE.astype(np.float64), amount)
    np.testing.assert_allclose(received, expected, atol=1e-2)


@pytest.mark.parametrize(
    ("change", "enhancer"),
    [
        (brighten, ImageEnhance.Brightness),
        (contrast, ImageEnhance.Contrast),
        (saturate, ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("factor", [0.6, 0.87, 1.0, 1.4])
def test_change_of_colors_is_pillows(change, enhancer, factor):
    received = change(tf.constant(IMAGE, tf.float32), tf.constant(factor))
    expected = np.asarray(enhancer(Image.fromarray(IMAGE)).enhance(factor), np.float32)
    assert np.abs(received - expected).max() < 1.5  # Pillow rounds gray values and drops decimals


def test_color_jitter_applies_all_changes_in_the_drawn_order():
    jitter = ColorJitter(0.4, 0.3, 0.2, 0.1)
    limits = np.array([0.4, 0.3, 0.2, 0.1])
    jittered = tf.function(color_jitter)
    orders = set()
    for seed in range(12):
        draws = np.random.default_rng(seed).random(DRAWS, np.float32)
        image = IMAGE.astype(np.float64)
        amounts = [1, 1, 1, 0] + (2 * draws[:4] - 1) * limits
        order = np.argsort(draws[4:])
        for kind in order:
            image = [*REFERENCES.values()][kind](image, amounts[kind])
        received = jittered(tf.constant(IMAGE, tf.float32), tf.constant(draws), jitter)
        np.testing.assert_allclose(received, image, atol=0.02)
        orders.add(tuple(order))
    assert len(orders) > 5


def test_color_jitter_of_nothing_changes_nothing():
    draws = tf.random.stateless_uniform([DRAWS], (0, 0))
    received = color_jitter(tf.constant(IMAGE, tf.float32), draws, ColorJitter(0, 0, 0, 0))
    np.testing.assert_allclose(received, IMAGE, atol=1e-3)


@pytest.mark.parametrize("fields", [{"brightness": -0.1}, {"contrast": 1.5}, {"hue": 0.6}])
def test_color_jitter_refuses_what_makes_no_sense(fields):
    ((name, value),) = fields.items()
    with pytest.raises(ValueError, match=f"`{name}` expected 0 to .* Received: {name}={value}"):
        ColorJitter(**fields)
