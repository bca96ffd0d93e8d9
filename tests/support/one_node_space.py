"""A script for `--plugin`: a space with cells of one node, whose graphs are ten times smaller."""

from __future__ import annotations

from darts_tf import register_space

register_space("one_node", 1, ("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3"))
