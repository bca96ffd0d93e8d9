"""The HTML report of one run, or of several runs side by side.

Never imports TensorFlow. May import `errors`, `registry`, `runtime`, `studies`, `costs`, `plots`,
`runs`, `configs`, `spaces` and `search.early_stopping`, and of these only modules without it.
"""
