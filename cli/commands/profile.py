"""`darts-tf profile`: latency of every part of a network on this machine."""

from __future__ import annotations

from darts_tf.cli import output, startup
from darts_tf.configs import ProfileConfig
from darts_tf.costs import latency_table
from darts_tf.costs.parts import Target, all_parts
from darts_tf.layers.stems import USUAL_CLASSES, USUAL_SIZE
from darts_tf.models.counting import checked_target
from darts_tf.models.network import check_stack
from darts_tf.runtime.outputs import check_output_file
from darts_tf.spaces.search_spaces import SPACES


def run(config: ProfileConfig) -> int:
    """Measures all parts, prints a line for each, and writes the table."""
    from darts_tf.export import profiling

    # checked before measuring, which takes a minute
    check_output_file("output", config.output, overwrite=True)
    target = target_of(config)
    space = SPACES[config.space]
    parts = all_parts(target, space)
    output.say(f"{len(parts)} parts of every network of {target}, as TFLite models")
    with startup.held_stderr():
        costs, factor = profiling.profile(target, config.threads, config.seconds, output.say, space)
    latency_table.save(config.output, costs, config.threads, factor)
    measured = latency_table.measured_here(config.threads)
    about = ", ".join(f"{name} {value}" for name, value in measured.items())
    output.result(f"table: {config.output}, {len(costs)} parts, {about}")
    return 0


def target_of(config: ProfileConfig) -> Target:
    """Returns the network whose parts are measured.

    Raises:
        InputError: the images are too small, or there are too few channels.
    """
    size = config.image_size or USUAL_SIZE[config.stem]
    classes = config.classes or USUAL_CLASSES[config.stem]
    sizes = (config.channels, config.cells, size, size)
    genotype_class = SPACES[config.space].genotype_class
    check_stack(genotype_class, config.cells, config.stem)
    ends = (config.stem, classes, config.image_channels)
    return checked_target(Target(*sizes, *ends, genotype_class.stages))
