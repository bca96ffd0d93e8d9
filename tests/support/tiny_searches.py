"""Trainers of tiny searches, for tests of alphas."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from darts_tf.models.supernet import Supernet
from darts_tf.search.darts import DARTS


def softmaxed(rows):
    exponentials = np.exp(rows)
    return exponentials / exponentials.sum(1, keepdims=True)


# In a supernet

FEW = ("none", "avg_pool_3x3", "skip_connect", "dil_conv_3x3")


def tiny(relaxation, **changed):
    settings = {"channels": 2, "cells": 3, "classes": 3, "nodes": 1, "primitives": FEW}
    return Supernet(**{**settings, **changed}, relaxation=relaxation)


def made_trainer(network, **settings):
    trainer = DARTS(network, **settings)
    trainer.compile(
        keras.optimizers.SGD(0.025, 0.9),
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return trainer


def drawn_batch(seed):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(3, 8, 8, 3))), tf.constant([0, 1, 2])


TRAIN, VALID = drawn_batch(0), drawn_batch(1)


def spread_alphas(network):
    for alphas in network.alphas:
        alphas.assign(np.random.default_rng(1).normal(size=alphas.shape))
