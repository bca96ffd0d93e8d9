"""The page of a run, or of several, as one HTML file.

No TensorFlow. Imports, besides `errors`, `registry` and `runtime`: `studies`, `costs`, `plots`,
`runs`, `configs`, `spaces`, `search.early_stopping`; of them only what reaches no TensorFlow.
"""
