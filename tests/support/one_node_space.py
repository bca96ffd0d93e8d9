"""A script for `--plugin`: a space with cells of one node, whose graphs are five times smaller."""

from __future__ import annotations

from darts_tf import register_space

register_space("one_node", nodes=1)
