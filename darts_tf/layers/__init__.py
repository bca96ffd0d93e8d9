"""Keras layers: primitives, mixed operations, cells, stems, heads, recurrent cells.

Imports, besides `errors`, `registry` and `runtime`: `ops`, `spaces`.
"""
