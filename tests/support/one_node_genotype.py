"""Cells of one node, whose networks are traced in a quarter of the time of published ones.

They have a separable and a dilated convolution, a pooling, and a skip connection.
"""

from __future__ import annotations

from darts_tf.spaces.genotype import Genotype

ONE_NODE = Genotype(
    normal=(("sep_conv_3x3", 0), ("skip_connect", 1)),
    normal_concat=(2,),
    reduce=(("max_pool_3x3", 0), ("dil_conv_3x3", 1)),
    reduce_concat=(2,),
)
