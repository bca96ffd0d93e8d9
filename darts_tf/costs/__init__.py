"""What the network of a genotype costs, without building it; the best cells within a budget.

No TensorFlow. Imports, besides `errors`, `registry` and `runtime`: `spaces`, `configs`, `runs`.
"""
