"""Cells, search spaces, genotypes, derivation from alphas, the zoo, and tables of trained cells.

Plain data without TensorFlow. Imports, besides `errors` and `registry`: `runtime.atomic`,
`runtime.strict_json`.
"""
