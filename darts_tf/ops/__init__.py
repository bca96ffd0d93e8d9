"""Tensor functions with exact first and second derivatives.

Imports, besides `errors`: `runtime.distribution`.
"""
