"""Whole jobs as functions for programs and notebooks, with results as objects.

May import all other rooms and `darts_tf.export`; nothing but `darts_tf.cli` imports this room.
"""
