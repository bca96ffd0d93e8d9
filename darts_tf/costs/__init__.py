"""Costs of a genotype's network, without building it, and the best cells within a budget.

No TensorFlow. Imports, besides `errors`, `registry` and `runtime`: `spaces`, `configs`, `runs`.
"""
