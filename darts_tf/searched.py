"""What a finished search says about its alphas, for pictures of its supernet."""

from __future__ import annotations

import os
import pathlib

from darts_tf import runs
from darts_tf.errors import InputError
from darts_tf.names import shown, unknown_name
from darts_tf.run_space import load_primitives
from darts_tf.spaces.derivation import STRENGTHS
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype
from darts_tf.spaces.zoo import load_genotype


def settings(folder: str | os.PathLike[str]) -> dict[str, object]:
    """What `pictures.plot_supernet` has to know of the search in a folder.

    Raises:
        InputError: The folder holds no search, or one in stages, whose folders hold one each.
    """
    path = pathlib.Path(folder)
    stages = path / runs.STAGES
    if stages.is_dir():
        last = max(stages.iterdir(), key=lambda stage: (len(stage.name), stage.name))
        raise InputError(
            f"Expected one stage of this search, such as {last}. Received: all of them"
        )
    if not runs.is_run(path):
        raise InputError(f"Expected the folder of a search. Received: {shown(str(folder))}")
    if runs.is_text_run(path):
        return {}
    relaxation = runs.read_json(path / runs.CONFIG).get("relaxation", "softmax")
    if relaxation not in STRENGTHS:
        raise unknown_name(f"the relaxation in {path / runs.CONFIG}", relaxation, STRENGTHS)
    own = (path / runs.EDGE_PRIMITIVES).exists()
    return {"relaxation": relaxation} | ({"edge_primitives": load_primitives(path)} if own else {})


def genotype(folder: str | os.PathLike[str]) -> Genotype | RecurrentGenotype | None:
    """The cells that the search has chosen, if it has come so far.

    Raises:
        InputError: A file of cells that cannot be.
    """
    path = pathlib.Path(folder) / runs.GENOTYPE
    return load_genotype(path, recurrent=None) if path.is_file() else None
