"""Training a network: trainer, loop, optimizers, checkpointing, TensorBoard, weights of others.

Imports, besides `errors`, `registry` and `runtime`: `models`, `layers`, `data`, `ops`, `plots`,
`runs`, `configs`, `spaces`.
"""
