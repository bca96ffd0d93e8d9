"""Serving of an export: TensorFlow Serving's files, a server with its protocols, and a client.

Only SavedModels are served, so nothing here needs Keras or the network's code.
"""
