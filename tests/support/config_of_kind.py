"""A config of every kind of run."""

from __future__ import annotations

import dataclasses

import pytest

from darts_tf import configs

GIVEN = {
    "workdir": "runs/a b",
    "genotypes": ("DARTS_V2", "it's.json"),
    "seeds": (3, 0),
    "final_seeds": (7,),
    "stages": ("3:8:0", "4:5:0.25"),
    "over": ("learning_rate=0.01..0.1:log", "flip=true,false"),
    "set": ("epochs=3",),
    "search": ("epochs=3", "channels=4"),
    "train": ("epochs=6",),
    "budget": None,
    "genotype": "DARTS_V2",
}
"""Values of settings that are texts with a meaning."""


def kinds():
    """Parametrizes a test over all kinds of runs."""
    return pytest.mark.parametrize("kind", configs.KINDS, ids=lambda kind: kind.__name__)


def of_kind(kind, **fields):
    """Returns a config of this kind of run, with values for all required fields."""
    required = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
    own = {name: GIVEN[name] for name in required if name in GIVEN}
    own |= {"of": "train"} if kind is configs.TuneConfig else {}
    own |= {"genotype": "DARTS_V2"} if kind is configs.TuneConfig else {}
    own |= {"genotypes": GIVEN["genotypes"]} if kind is configs.CompareConfig else {}
    own |= {"dataset": "digits"} if kind is configs.SelectConfig else {}
    if issubclass(kind, configs.RunConfig):
        return kind.from_preset(fields.pop("preset", "tiny"), **{**own, **fields})
    return kind(**{**own, **fields})
