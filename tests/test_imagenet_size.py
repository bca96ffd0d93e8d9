"""The network of ImageNet's size, on real photos."""

from __future__ import annotations

import numpy as np

from darts_tf.data import PUBLISHED_STATISTICS, Preprocessing
from darts_tf.models.counting import count_macs, count_params
from darts_tf.models.network import build_network
from darts_tf.spaces.zoo import GENOTYPES


def test_darts_v2_has_the_papers_size_and_runs_on_photos(shared):
    network = build_network(GENOTYPES["DARTS_V2"], 48, 14, 1000, stem="imagenet", auxiliary=False)
    assert count_params(network) == 4_718_752
    assert count_macs(network, 224) == 529_911_552
    preprocessing = Preprocessing(224, 224, 3, *PUBLISHED_STATISTICS["imagenet2012"], 256)
    photos = sorted((shared / "data" / "imagenet-sample").glob("*.jpg"))[:2]
    images = np.stack([preprocessing.decode(photo.read_bytes()) for photo in photos])
    logits = network(preprocessing.normalize(images), training=False).numpy()
    assert logits.shape == (2, 1000)
    assert np.isfinite(logits).all()
    assert abs(logits[0] - logits[1]).max() > 1e-5  # nearly equal before training
