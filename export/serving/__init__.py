"""Serving an export: TensorFlow Serving's files, a server that speaks as it does, and a client.

Nothing here needs Keras or the network's code: a SavedModel is all that is served.
"""
