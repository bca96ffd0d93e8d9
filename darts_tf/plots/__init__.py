"""Pictures and films of cells.

No TensorFlow. Imports, besides `errors`, `registry` and `runtime`: `spaces`.
"""
