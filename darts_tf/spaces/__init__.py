"""What can be searched and what is found: cells, search spaces, genotypes, derivation, the zoo.

Plain data without TensorFlow. Imports, besides `errors` and `registry`: `runtime.atomic`,
`runtime.strict_json`.
"""
