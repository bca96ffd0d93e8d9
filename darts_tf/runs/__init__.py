"""The folder of a run: names, lock and resume, metrics, alphas, checkpoints, log.

No TensorFlow. Imports, besides `errors` and `runtime`: `spaces`.
"""
