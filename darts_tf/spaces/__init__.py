"""Cells, search spaces, genotypes, derivation of genotypes from alphas, and the zoo.

Plain data without TensorFlow. Imports, besides `errors` and `registry`: `runtime.atomic`,
`runtime.strict_json`.
"""
