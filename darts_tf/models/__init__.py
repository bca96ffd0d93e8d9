"""Models: the supernets, the discrete network, the language model; their parameters and costs.

Imports, besides `errors`, `registry` and `runtime`: `layers`, `ops`, `costs`, `spaces`.
"""
