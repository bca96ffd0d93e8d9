"""Calls of primitives on a state, as in a cell."""

from __future__ import annotations

from darts_tf.layers.primitives import views


def applied(layer, state, **settings):
    """Applies a primitive to the view of a state that it reads."""
    return layer(views(state, layer.groups)[layer.reads], **settings)
