"""Primitives called on a state, as a cell calls them."""

from __future__ import annotations

from darts_tf.layers.primitives import views


def applied(layer, state, **settings):
    """What a primitive gives for a state: it is shown the view of it that it reads."""
    return layer(views(state, layer.groups)[layer.reads], **settings)
